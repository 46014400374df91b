"""From orders to kept trajectories, task by task: make, judge, object, choose.

Orders of a task are numbered, and their results are looked at in that order whatever finishes first: the same recipe
keeps the same trajectories, and a run that goes on after a crash decides as it would have done.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from r1ci_plugins.protocol.answer_format import AnswerFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rewards.judge import judge
from r1ci_plugins.rollout.loop import Budget, CodeRunner
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.synthesis.acceptance import INCORRECT, objection
from r1ci_plugins.synthesis.dialogue import Dialogue, converse
from r1ci_plugins.synthesis.part import Part, Statistics, is_multi_turn
from r1ci_plugins.synthesis.similarity import NearDuplicates
from r1ci_plugins.synthesis.teacher import BudgetSpent, Order, Teacher, TeacherFault, Usage
from r1ci_plugins.synthesis.variant import Variant
from r1ci_plugins.tasks.task import Question, Task
from r1ci_plugins.workers.checkers import VerifierPool

TASKS_AT_ONCE = 4
"""So that the last orders of one task do not leave the teacher and the sandbox idle."""

MULTI_TURN_SHARE = 0.5
"""Of a task's trajectories, with emphasis on them: at least so many, if they can be had."""

PATIENCE = 1.5
"""Good trajectories, as a multiple of those wanted, after which no more is tried for the sake of that share."""

NOTHING_TO_SAY = "nothing_to_say"
NEAR_DUPLICATE = "near_duplicate"
SURPLUS = "single_turn_surplus"


@dataclass(frozen=True)
class Choice:
    """What is wanted, and what is kept of it.

    Attributes:
        per_task: Trajectories kept per task.
        attempts: Trajectories tried per question.
        keep_only_correct: Whether wrong answers are rejected.
        prompt_diversity: Whether all prompt variants take turns; else all orders are free.
        multi_turn_emphasis: Whether half of what is kept should have several programs.
        near_duplicate: Similarity from which a trajectory is one too many.
        concurrency: Conversations at a time.
    """

    per_task: int = 70
    attempts: int = 4
    keep_only_correct: bool = True
    prompt_diversity: bool = True
    multi_turn_emphasis: bool = True
    near_duplicate: float = 0.9
    concurrency: int = 16


@dataclass(frozen=True)
class Made:
    """The outcome of one order: a trajectory and an objection to it or None; without trajectory always a reason."""

    trajectory: Trajectory | None
    objection: str | None
    usage: Usage = Usage()


def orders(task: Task, questions: Sequence[Question], choice: Choice) -> Iterator[Order]:
    """Every question once, then every question again; variants take turns in both directions."""
    variants = list(Variant) if choice.prompt_diversity else [Variant.FREE]
    for attempt in range(choice.attempts):
        for number, question in enumerate(questions):
            yield Order(task, question, variants[(number + attempt) % len(variants)], attempt)


@dataclass(frozen=True)
class Maker:
    """Everything that one order needs."""

    teacher: Teacher
    template: ChatTemplate
    answer_format: AnswerFormat
    code_runner: CodeRunner
    budget: Budget
    verifier: VerifierPool

    async def make(self, order: Order) -> Made:
        """Carry out an order.

        Raises:
            BudgetSpent: Nothing more may be spent.
            MachineProblem: The teacher cannot be used.
        """
        speaker = self.teacher.speaker(order)
        if speaker is None:
            return Made(None, NOTHING_TO_SAY)
        dialogue = Dialogue(
            order, speaker, self.template, self.answer_format, self.code_runner, self.budget.max_output_chars
        )
        try:
            trajectory = await converse(dialogue, self.budget)
        except TeacherFault as fault:
            return Made(None, fault.what, dialogue.usage + fault.usage)
        trajectory = await judge(trajectory, self.verifier, {})
        origin = {
            "teacher": self.teacher.name,
            "variant": order.variant.value,
            "style": speaker.style,
            "attempt": order.attempt,
        }
        trajectory = replace(trajectory, origin=origin)
        return Made(trajectory, objection(trajectory, self.answer_format), dialogue.usage)


class Selection:
    """Chooses among the outcomes of a task's orders, in their order."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._duplicates = NearDuplicates(choice.near_duplicate)
        emphasis = choice.multi_turn_emphasis
        self._single_room = int(choice.per_task * (1 - MULTI_TURN_SHARE)) if emphasis else choice.per_task
        self._spare: list[Trajectory] = []
        self.kept: list[Trajectory] = []

    @property
    def missing(self) -> int:
        """How many more good trajectories are wanted."""
        kept, good = len(self.kept), len(self.kept) + len(self._spare)
        return min(self._choice.per_task - kept, math.ceil(PATIENCE * self._choice.per_task) - good)

    def consider(self, made: Made) -> str | None:
        """Keep an outcome, or say why not. A spare one counts as kept for now."""
        trajectory, reason = made.trajectory, made.objection
        if reason == INCORRECT and not self._choice.keep_only_correct:
            reason = None
        if reason is not None or trajectory is None:
            return reason
        if not self._duplicates.adds(trajectory):
            return NEAR_DUPLICATE
        if is_multi_turn(trajectory):
            self.kept.append(trajectory)
        elif self._single_room > 0:
            self._single_room -= 1
            self.kept.append(trajectory)
        else:
            self._spare.append(trajectory)
        return None

    def finish(self) -> int:
        """Fill what is still missing with spare ones.

        Returns:
            How many spare ones are left.
        """
        count = min(self._choice.per_task - len(self.kept), len(self._spare))
        self.kept += self._spare[:count]
        return len(self._spare) - count


Progress = Callable[[Statistics, bool], None]
"""Called with a task's statistics, and whether the task is done."""


async def produce(
    questions: Mapping[str, tuple[Task, Sequence[Question]]],
    maker: Maker,
    choice: Choice,
    parts: Mapping[str, Part],
    progress: Progress,
) -> list[Statistics]:
    """Make every task's part that is not there yet.

    Args:
        questions: Tasks by qualified name, and what they ask.
        maker: Started.
        choice: What is wanted.
        parts: Where each task's trajectories go.
        progress: Called after each order, and when a task is done.

    Returns:
        Statistics of all tasks, those of earlier runs included.

    Raises:
        MachineProblem: The teacher cannot be used, or the disk is full. What is finished is on the disk.
    """
    room = asyncio.Semaphore(choice.concurrency)
    tasks_room = asyncio.Semaphore(TASKS_AT_ONCE)

    async def make(order: Order) -> Made:
        async with room:
            return await maker.make(order)

    async def one(name: str) -> Statistics:
        done = parts[name].read()
        if done is not None and done.complete:
            progress(done, True)
            return done
        async with tasks_room:
            kept, statistics = await _produce_task(name, *questions[name], make, choice, progress)
            await asyncio.to_thread(parts[name].write, kept, statistics)
            progress(statistics, True)
            return statistics

    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(name)) for name in questions]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in running]


async def _produce_task(
    name: str,
    task: Task,
    questions: Sequence[Question],
    make: Callable[[Order], Coroutine[Any, Any, Made]],
    choice: Choice,
    progress: Progress,
) -> tuple[list[Trajectory], Statistics]:
    started = time.monotonic()
    statistics, selection = Statistics(name), Selection(choice)
    waiting = orders(task, questions, choice)
    running: deque[asyncio.Task[Made]] = deque()
    try:
        while True:
            # Never more at work than could be kept: what is paid for should not be thrown away.
            while len(running) < min(selection.missing, choice.concurrency) and (order := next(waiting, None)):
                running.append(asyncio.create_task(make(order)))
            if not running:
                break
            try:
                made = await running.popleft()
            except BudgetSpent:
                statistics.complete = False
                waiting = iter(())
                continue
            statistics.orders += 1
            statistics.usage += made.usage
            reason = selection.consider(made)
            if reason is not None:
                statistics.rejections[reason] += 1
            progress(replace(statistics, kept=len(selection.kept), seconds=time.monotonic() - started), False)
    finally:
        for left in running:
            left.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if surplus := selection.finish():
        statistics.rejections[SURPLUS] += surplus
    statistics.count(selection.kept)
    statistics.seconds = time.monotonic() - started
    return selection.kept, statistics
