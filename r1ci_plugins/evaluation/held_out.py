"""An evaluation without training: a model is asked a recipe's held-out questions. It can be stopped and resumed."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from r1ci_plugins.engines.vllm import LocalVLLM
from r1ci_plugins.environment import Environment, Prepared
from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.recipe.loading import dump_for_record
from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.rollout.engine import Engine
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.run_folder import RunFolder, append_line, writing
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter, read_trajectories
from r1ci_plugins.tasks.task import Question

AT_A_TIME = 128
"""Episodes that run at the same time; the engine batches what they sample."""


@dataclass(frozen=True)
class HeldOutEvaluation:
    """The evaluation of one recipe in its folder.

    Attributes:
        trajectories: Those that have ended, of earlier starts of the command too.
        samples: Episodes per question, ``eval.n_samples_per_prompt``.
    """

    prepared: Prepared
    folder: RunFolder
    trajectories: list[Trajectory]
    samples: int

    async def ask(
        self, questions: Sequence[Question], template: ChatTemplate, ended: Callable[[Trajectory], None]
    ) -> None:
        """Run every episode that is still missing, write each trajectory as it ends, and call ``ended`` with it.

        Raises:
            MachineProblem: vLLM cannot load the model or has died, or trajectories could not be written.
            SandboxUnavailable: The sandbox cannot start safely.
        """
        prepared, file = self.prepared, self.folder.trajectories("eval")
        environment = prepared.environment()
        engine = LocalVLLM(
            model=prepared.model,
            max_total_tokens=prepared.context,
            temperature=float(prepared.flag("eval.temperature")),
            seed=prepared.recipe.seed,
            tensor_parallel_size=int(prepared.flag("vllm.tensor_parallel_size")),
            gpu_memory_utilization=float(prepared.flag("vllm.gpu_memory_utilization")),
        )
        writer = TrajectoryWriter(file, max_mb=float("inf"), sample_rate=1.0)

        def keep(trajectory: Trajectory) -> None:
            writer.write([trajectory])
            self.trajectories.append(trajectory)
            prepared.plugins.notify(trajectory)
            ended(trajectory)

        try:
            await environment.start()
            await engine.start()
            await ask(
                questions,
                self.samples,
                engine=engine,
                template=template,
                environment=environment,
                ended=keep,
                already=list(self.trajectories),
            )
        finally:
            await engine.close()
            await environment.close()
        if writer.lost:
            raise MachineProblem(
                f"{writer.lost} trajectories could not be written",
                where=str(file),
                fix="free some space and repeat the command; it goes on from those that were written",
            )

    def finish(self) -> Evaluation:
        """Sum up what was asked, and keep it as the folder's one evaluation.

        Raises MachineProblem if the folder cannot be written.
        """
        outcomes = [OutcomeSummary.of(trajectory) for trajectory in self.trajectories]
        evaluation = Evaluation(f"of {self.prepared.model}", outcomes)
        with writing(self.folder.path):
            self.folder.evaluations.unlink(missing_ok=True)
            append_line(self.folder.evaluations, evaluation.to_line(0))
        return evaluation


def require_questions(recipe: Recipe) -> None:
    """Refuse a recipe without held-out questions. Raises RecipeError if it has none."""
    if not recipe.tasks.eval:
        raise RecipeError(
            "the recipe names no held-out questions",
            where="recipe key tasks.eval",
            fix="add, for example, tasks: {eval: [{suite: default, part: test, count: 20}]}",
        )


def open_evaluation(prepared: Prepared) -> HeldOutEvaluation:
    """Create a recipe's folder, or take up the evaluation that it holds.

    Raises:
        RecipeError: The folder holds another run.
        MachineProblem: The folder cannot be written, or OpenRLHF, whose flags are used, is not installed.
        TrajectoryFileError: The recorded trajectories are broken.
    """
    samples = int(prepared.flag("eval.n_samples_per_prompt"))
    folder = RunFolder(Path(prepared.recipe.output_dir).absolute())
    run = json.dumps({"plugins": list(prepared.plugin_names), "command": "r1ci evaluate"}, indent=2) + "\n"
    files = {folder.recipe: dump_for_record(prepared.recipe), folder.run: run}
    with writing(folder.path):
        if not folder.run.exists():
            folder.path.mkdir(parents=True, exist_ok=True)
            for path, text in files.items():
                path.write_text(text, encoding="utf-8")
        elif any(not path.exists() or path.read_text(encoding="utf-8") != text for path, text in files.items()):
            raise RecipeError(
                f"{folder.path} holds another run",
                where="recipe key output_dir",
                fix="give another folder with --set output_dir=..., or delete it",
            )
    file = folder.trajectories("eval")
    return HeldOutEvaluation(prepared, folder, list(read_trajectories(file)) if file.exists() else [], samples)


async def ask(
    questions: Sequence[Question],
    samples: int,
    *,
    engine: Engine,
    template: ChatTemplate,
    environment: Environment,
    ended: Callable[[Trajectory], None],
    already: Iterable[Trajectory] = (),
) -> None:
    """Run every episode that is still missing; engine and environment are started.

    Args:
        questions: What is asked.
        samples: Episodes per question.
        engine: The policy.
        template: The chat template of its model.
        environment: Runs programs and judges answers.
        ended: Called with each trajectory, judged, as it ends.
        already: Trajectories of an evaluation that was interrupted; they count.

    Raises the first error of the engine or of ``ended``; episodes that have not ended are given up.
    """
    have = Counter(trajectory.question.key for trajectory in already)
    missing = [question for question in questions for _ in repeat(None, max(0, samples - have[question.key]))]
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(question: Question) -> None:
        async with room:
            ended(await environment.episode(question, engine, template))

    try:
        async with asyncio.TaskGroup() as group:
            for question in missing:
                group.create_task(one(question))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
