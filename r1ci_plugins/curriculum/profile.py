"""A profile: answers to every training question, counted as they come, so that nothing is paid for twice.

::

    <output_dir>/
      recipe.yaml, run.json   as every run has them
      profile.json            what the profile is made from
      answers.jsonl           a line per answer, written as it ends: an interrupted profile goes on from it
      trajectories/           profile.jsonl.gz: the answers themselves, as far as recipe key trajectories lets
      profile.parquet         the table, one row per question
      profile.png             the same as a picture
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from r1ci_plugins.curriculum.answering import Answer, answers_of
from r1ci_plugins.curriculum.table import Origin, Row, Table, model_identity
from r1ci_plugins.engines.vllm import LocalVLLM
from r1ci_plugins.environment import Prepared
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.questions.cache import pack_source
from r1ci_plugins.recipe.loading import dump_for_record
from r1ci_plugins.recipe.schema import CurriculumConfig, ProfileConfig
from r1ci_plugins.rollout.engine import Engine
from r1ci_plugins.rollout.run_folder import RunFolder, append_line, read_lines, writing
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter
from r1ci_plugins.tasks.task import Question

AT_A_TIME = 128
"""Episodes that run at the same time; the engine batches what they sample."""

Place = tuple[str, str, int]
"""An answer's question, agent and number."""


@dataclass
class Profile:
    """The profile of one recipe in its folder.

    Attributes:
        answers: Whether each answer that has ended was right; None for one that a fault ended.
    """

    folder: Path
    origin: Origin
    config: ProfileConfig
    answers: dict[Place, bool | None] = field(default_factory=dict)

    @property
    def table(self) -> Path:
        """The table's file."""
        return self.folder / "profile.parquet"

    @property
    def picture(self) -> Path:
        """The picture's file."""
        return self.folder / "profile.png"

    @property
    def per_question(self) -> int:
        """Answers to each question."""
        return len(self.config.agents) * self.config.samples

    @property
    def accuracy(self) -> float:
        """Share of right answers so far."""
        known = [right for right in self.answers.values() if right is not None]
        return sum(known) / max(1, len(known))

    def missing(self, questions: Sequence[Question]) -> list[tuple[Question, str, int]]:
        """The answers that are still to be drawn, in order."""
        return [
            (question, agent, number)
            for question in questions
            for agent in self.config.agents
            for number in range(self.config.samples)
            if (question.key, agent, number) not in self.answers
        ]

    def keep(self, place: Place, trajectory: Trajectory) -> None:
        """Count an answer that has ended, on disk first. Raises OSError if it cannot be written."""
        right = None if trajectory.excluded else trajectory.correct
        question, agent, number = place
        line = {"question": question, "agent": agent, "number": number, "correct": right}
        append_line(self.folder / "answers.jsonl", line)
        self.answers[place] = right

    def rows(self, questions: Sequence[Question]) -> list[Row]:
        """The table's rows."""
        right, known, excluded = Counter[str](), Counter[str](), Counter[str]()
        for (question, _, _), correct in self.answers.items():
            if correct is None:
                excluded[question] += 1
            else:
                known[question] += 1
                right[question] += correct
        return [Row.of(one, right[one.key], known[one.key], excluded[one.key]) for one in questions]

    def finished(self, questions: Sequence[Question]) -> Table:
        """The table of a profile whose answers have all ended."""
        return Table(self.origin, self.rows(questions))


def curriculum_of(prepared: Prepared) -> CurriculumConfig:
    """The recipe's curriculum, or the default one, which a profile may be made for too."""
    return prepared.recipe.curriculum or CurriculumConfig()


def origin_of(prepared: Prepared) -> Origin:
    """What a profile of this recipe is made from."""
    config = curriculum_of(prepared).profile
    return Origin(
        model=model_identity(prepared.model),
        packs={
            pack: pack_source(prepared.packs[pack]) for pack in sorted({draw.pack for draw in prepared.draws("train")})
        },
        instructions=prepared.recipe.protocol.instructions or prepared.answer_format().instructions,
        agents=list(config.agents),
        samples=config.samples,
        temperatures=[float(value) for value in config.temperatures],
    )


def open_profile(prepared: Prepared) -> Profile:
    """Create a recipe's folder, or take up the profile that it holds.

    Raises:
        RecipeError: There are no questions; the folder holds another run, or a profile of something else.
        MachineProblem: The folder cannot be written.
    """
    if not prepared.recipe.tasks.train:
        raise RecipeError(
            "the recipe names no questions to train on, which a profile is made of",
            where="recipe key tasks.train",
            fix="add, for example, tasks: {train: [{suite: default, part: train, count: 100}]}",
        )
    folder = RunFolder(Path(prepared.recipe.output_dir).absolute())
    profile = Profile(folder.path, origin_of(prepared), curriculum_of(prepared).profile)
    file = folder.path / "profile.json"
    fix = "give another folder with --set output_dir=..., or delete it"
    with writing(folder.path):
        if not file.exists():
            if folder.run.exists():
                raise RecipeError(f"{folder.path} holds another run", where="recipe key output_dir", fix=fix)
            folder.path.mkdir(parents=True, exist_ok=True)
            run = {"plugins": list(prepared.plugin_names), "command": "r1ci curriculum profile"}
            folder.recipe.write_text(dump_for_record(prepared.recipe), encoding="utf-8")
            folder.run.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
            file.write_text(profile.origin.to_json() + "\n", encoding="utf-8")
        elif changed := Origin.from_json(file.read_text(encoding="utf-8")).differences(profile.origin):
            raise RecipeError(f"{folder.path} holds another profile: {'; '.join(changed)}", where=str(file), fix=fix)
    for line in read_lines(folder.path / "answers.jsonl"):
        profile.answers[line["question"], line["agent"], line["number"]] = line["correct"]
    return profile


async def draw_answers(
    profile: Profile,
    prepared: Prepared,
    questions: Sequence[Question],
    template: ChatTemplate,
    ended: Callable[[], None],
) -> None:
    """Draw every answer that is still missing; each is on disk before ``ended`` is called.

    Raises:
        MachineProblem: vLLM cannot load the model or has died.
        SandboxUnavailable: The sandbox cannot start safely.
        RecipeError: There is no such agent.
    """
    environment, recipe = prepared.environment(), prepared.recipe
    answers = answers_of(profile.config.agents, environment, template)
    engine = LocalVLLM(
        model=prepared.model,
        max_total_tokens=prepared.context,
        temperature=float(profile.config.temperatures[0]),
        seed=recipe.seed,
        tensor_parallel_size=int(prepared.flag("vllm.tensor_parallel_size")),
        gpu_memory_utilization=float(prepared.flag("vllm.gpu_memory_utilization")),
    )
    file = RunFolder(profile.folder).trajectories("profile")
    options = recipe.trajectories
    writer = TrajectoryWriter(file, max_mb=options.max_mb, sample_rate=options.sample_rate)

    def keep(place: Place, trajectory: Trajectory) -> None:
        origin = {**trajectory.origin, "agent": place[1]}
        profile.keep(place, trajectory)
        writer.write([replace(trajectory, origin=origin)])
        ended()

    try:
        await environment.start()
        await engine.start()
        engines = [replace(engine, temperature=float(value)) for value in profile.config.temperatures]
        await answer_all(profile.missing(questions), answers, engines, keep)
    finally:
        await engine.close()
        await environment.close()


async def answer_all(
    missing: Sequence[tuple[Question, str, int]],
    answers: Mapping[str, Answer],
    engines: Sequence[Engine],
    keep: Callable[[Place, Trajectory], Any],
) -> None:
    """Draw answers, many at a time.

    Args:
        missing: Question, agent and the answer's number.
        answers: How each agent answers.
        engines: The model at each temperature; an agent's answers take them in turn.
        keep: Called with each answer as it ends.

    Raises the first error of an engine or of ``keep``; answers that have not ended are given up.
    """
    work = iter(missing)

    async def worker() -> None:
        for question, agent, number in work:
            trajectory = await answers[agent](question, engines[number % len(engines)])
            keep((question.key, agent, number), trajectory)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_A_TIME, len(missing))):
                group.create_task(worker())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
