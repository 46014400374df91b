"""From attempts to kept trajectories, task by task: let the teacher try, judge, object, choose.

Attempts at a task are numbered, and their results are looked at in that sequence, whichever finishes first. So the
same recipe keeps the same trajectories, and a run that goes on after a crash decides as it would have done without.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from r1ci_plugins.environment import Environment
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.recipe.schema import SynthesisConfig
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.synthesis.acceptance import INCORRECT, objection
from r1ci_plugins.synthesis.dialogue import Dialogue, converse
from r1ci_plugins.synthesis.part import Part, Statistics, is_multi_turn
from r1ci_plugins.synthesis.similarity import NearDuplicates
from r1ci_plugins.synthesis.teacher import Attempt, BudgetSpent, Teacher, TeacherFault, Usage
from r1ci_plugins.synthesis.variant import Variant
from r1ci_plugins.tasks.task import Question, Task

TASKS_AT_ONCE = 4
"""Several, so that the last attempts at one task do not leave the teacher and the sandbox idle."""

MULTI_TURN_SHARE = 0.5
"""With ``multi_turn_emphasis``: the share of a task's trajectories that should run several programs."""

PATIENCE = 1.5
"""Good trajectories, as a multiple of those wanted, after which no more are tried for the sake of that share."""

NOTHING_TO_SAY = "nothing_to_say"
NEAR_DUPLICATE = "near_duplicate"
SURPLUS = "single_turn_surplus"

Questions = Mapping[str, tuple[Task, Sequence[Question]]]
"""Tasks by qualified name, each with its questions."""

Progress = Callable[[Statistics, bool], None]
"""Called with a task's statistics so far, and whether the task is done."""


@dataclass(frozen=True)
class AttemptResult:
    """What came of one attempt, and what the teacher took.

    Attributes:
        trajectory: None if there is none.
        objection: Why it must not be learned from, or why there is none; None if nothing is wrong.
    """

    trajectory: Trajectory | None
    objection: str | None
    usage: Usage


def attempts(task: Task, questions: Sequence[Question], config: SynthesisConfig) -> Iterator[Attempt]:
    """Every question once, then every question again, with variants in turn both ways."""
    variants = list(Variant) if config.prompt_diversity else [Variant.FREE]
    for number in range(config.attempts):
        for place, question in enumerate(questions):
            yield Attempt(task, question, variants[(place + number) % len(variants)], number)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes one trajectory at a time, for the chat template of the model that will learn. Its parts are started."""

    teacher: Teacher
    template: ChatTemplate
    environment: Environment

    async def make(self, attempt: Attempt) -> AttemptResult:
        """Let the teacher try once, and judge what it did.

        Raises BudgetSpent if no more may be spent, and MachineProblem if the teacher cannot be used.
        """
        speaker = self.teacher.speaker(attempt)
        if speaker is None:
            return AttemptResult(None, NOTHING_TO_SAY, Usage())
        dialogue = Dialogue(attempt, speaker, self.template, self.environment)
        try:
            trajectory = await converse(dialogue)
        except TeacherFault as fault:
            return AttemptResult(None, fault.what, dialogue.usage + fault.usage)
        origin = {
            "teacher": self.teacher.name,
            "variant": attempt.variant.value,
            "style": speaker.style,
            "attempt": attempt.number,
        }
        trajectory = replace(trajectory, origin=origin)
        return AttemptResult(trajectory, objection(trajectory, self.environment.answer_format), dialogue.usage)


class Collector:
    """Collects the good trajectories of one task from the results of its attempts, in their sequence."""

    def __init__(self, config: SynthesisConfig) -> None:
        self._config = config
        self._duplicates = NearDuplicates(config.near_duplicate)
        self._single_turn_room = config.per_task
        if config.multi_turn_emphasis:
            self._single_turn_room = int(config.per_task * (1 - MULTI_TURN_SHARE))
        self._spare: list[Trajectory] = []
        self.kept: list[Trajectory] = []

    @property
    def missing(self) -> int:
        """How many more good trajectories are wanted."""
        kept, good = len(self.kept), len(self.kept) + len(self._spare)
        return min(self._config.per_task - kept, math.ceil(PATIENCE * self._config.per_task) - good)

    def consider(self, result: AttemptResult) -> str | None:
        """Keep a trajectory, or say why not. A single-turn one without room is set aside and counts as kept so far."""
        trajectory, reason = result.trajectory, result.objection
        if reason == INCORRECT and not self._config.keep_only_correct:
            reason = None
        if reason is not None or trajectory is None:
            return reason
        if not self._duplicates.adds(trajectory):
            return NEAR_DUPLICATE
        if is_multi_turn(trajectory):
            self.kept.append(trajectory)
        elif self._single_turn_room > 0:
            self._single_turn_room -= 1
            self.kept.append(trajectory)
        else:
            self._spare.append(trajectory)
        return None

    def finish(self) -> int:
        """Fill what is missing with trajectories that were set aside; returns how many of those are left over."""
        count = min(self._config.per_task - len(self.kept), len(self._spare))
        self.kept += self._spare[:count]
        return len(self._spare) - count


async def produce(
    questions: Questions, *, maker: Maker, config: SynthesisConfig, folder: Path, progress: Progress
) -> list[Statistics]:
    """Make the part of every task that has none yet.

    Returns:
        Statistics of all tasks, those of earlier runs included.

    Raises:
        MachineProblem: The teacher cannot be used, or the disk is full. Finished tasks are on the disk.
    """
    conversations = asyncio.Semaphore(config.concurrency)
    tasks_at_once = asyncio.Semaphore(TASKS_AT_ONCE)

    async def make(attempt: Attempt) -> AttemptResult:
        async with conversations:
            return await maker.make(attempt)

    async def finish_task(name: str) -> Statistics:
        part = Part(folder, name)
        done = part.read()
        if done is not None and done.complete:
            progress(done, True)
            return done
        async with tasks_at_once:
            task, asked = questions[name]
            waiting = attempts(task, asked, config)
            kept, statistics = await _collect(name, waiting, make=make, config=config, progress=progress)
            await asyncio.to_thread(part.write, kept, statistics)
            progress(statistics, True)
            return statistics

    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(finish_task(name)) for name in questions]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in running]


async def _collect(
    name: str,
    waiting: Iterator[Attempt],
    *,
    make: Callable[[Attempt], Coroutine[Any, Any, AttemptResult]],
    config: SynthesisConfig,
    progress: Progress,
) -> tuple[list[Trajectory], Statistics]:
    """Make attempts at one task until enough trajectories are kept, the attempts run out, or the budget is spent."""
    started = time.monotonic()
    statistics, collector = Statistics(name), Collector(config)
    running: deque[asyncio.Task[AttemptResult]] = deque()
    try:
        while True:
            # Never start more than could be kept: what is paid for should not be thrown away.
            while len(running) < min(collector.missing, config.concurrency) and (attempt := next(waiting, None)):
                running.append(asyncio.create_task(make(attempt)))
            if not running:
                break
            try:
                result = await running.popleft()
            except BudgetSpent:
                statistics.complete = False
                waiting = iter(())
                continue
            statistics.attempts += 1
            statistics.usage += result.usage
            reason = collector.consider(result)
            if reason is not None:
                statistics.rejections[reason] += 1
            progress(replace(statistics, kept=len(collector.kept), seconds=time.monotonic() - started), False)
    finally:
        for left in running:
            left.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if surplus := collector.finish():
        statistics.rejections[SURPLUS] += surplus
    statistics.count(collector.kept)
    statistics.seconds = time.monotonic() - started
    return collector.kept, statistics
