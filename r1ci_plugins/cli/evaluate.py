"""``r1ci evaluate``: a model's accuracy on held-out questions, without training it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.rollout.run_folder import RunFolder, append_line, writing

if TYPE_CHECKING:
    from r1ci_plugins.engines.vllm import LocalVLLM
    from r1ci_plugins.environment import Environment
    from r1ci_plugins.plugins.registry import Plugins
    from r1ci_plugins.protocol.chat_template import ChatTemplate
    from r1ci_plugins.rollout.trajectory import Trajectory
    from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter
    from r1ci_plugins.tasks.task import Question


def evaluate(
    recipe_file: Annotated[Path, typer.Option("--recipe", metavar="FILE", help="The recipe, a YAML file.")],
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="Processes that make questions; default one per core.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as model=runs/sft/model."),
    ] = None,
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", metavar="NAME", help="A plugin to load; default r1ci. Repeatable.")
    ] = None,
) -> None:
    """Ask a model the recipe's held-out questions and say how many it gets right.

    Same questions, loop, sandbox and checkers as the evaluations of train_ppo, which need not be repeated here. How
    many samples of each question, and at which temperature, the trainer's flags eval.n_samples_per_prompt and
    eval.temperature say. Everything goes to output_dir; stopped half-way, the same command goes on.
    """
    from r1ci_plugins.engines.tokenizer import load_template
    from r1ci_plugins.engines.vllm import LocalVLLM
    from r1ci_plugins.environment import make_environment
    from r1ci_plugins.evaluation.record import Evaluation
    from r1ci_plugins.plugins.packs import load_packs
    from r1ci_plugins.plugins.registry import load_plugins
    from r1ci_plugins.questions.fitting import check_thinking, fitting_questions, room_for_prompt
    from r1ci_plugins.recipe import openrlhf_flags
    from r1ci_plugins.recipe.loading import dump, load_recipe
    from r1ci_plugins.rollout.metrics import OutcomeSummary
    from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter, read_trajectories

    names = plugin or ["r1ci"]
    recipe = load_recipe(recipe_file, overrides or [])
    if not recipe.tasks.eval:
        raise RecipeError(
            "the recipe names no held-out questions",
            where="recipe key tasks.eval",
            fix="add, for example, tasks: {eval: [{suite: default, part: test, count: 20}]}",
        )
    plugins = load_plugins(names)
    packs = load_packs(recipe.pack_names(), plugins=plugins)
    given = plugins.trainer_arguments(recipe, "train_ppo") | recipe.flags()
    openrlhf_flags.check(given, "train_ppo")
    flags: dict[str, Any] = {name: flag.default for name, flag in openrlhf_flags.flags("train_ppo").items()}
    flags |= {name: value for name, value in given.items() if value is not None}
    context = room_for_prompt(recipe, flags)
    environment = make_environment(recipe, plugins, names, sorted(packs), context)
    template = load_template(recipe.model, environment.parts.instructions)
    check_thinking(recipe, template)
    folder = RunFolder(Path(recipe.output_dir).absolute())
    _open(folder, dump(recipe), names)
    found = fitting_questions(recipe, "eval", packs, names, template, context, jobs)
    for note in found.notes:
        typer.echo(note)
    file = folder.trajectories("eval")
    already = list(read_trajectories(file)) if file.exists() else []
    engine = LocalVLLM(
        recipe.model,
        context,
        float(flags["eval.temperature"]),
        recipe.seed,
        int(flags["vllm.tensor_parallel_size"]),
        float(flags["vllm.gpu_memory_utilization"]),
    )
    samples = int(flags["eval.n_samples_per_prompt"])
    writer = TrajectoryWriter(file, max_mb=float("inf"))
    try:
        new = asyncio.run(_ask(found.questions, samples, engine, template, environment, plugins, writer, already))
    except KeyboardInterrupt:
        typer.secho(f"stopped; the same command goes on from what is in {folder.path}", err=True)
        raise typer.Exit(130) from None
    if writer.lost:
        raise MachineProblem(
            f"{writer.lost} trajectories could not be written",
            where=str(file),
            fix="free some space and repeat the command; it goes on from those that were written",
        )
    evaluation = Evaluation(f"of {recipe.model}", [OutcomeSummary.of(trajectory) for trajectory in [*already, *new]])
    with writing(folder.path):
        folder.evaluations.unlink(missing_ok=True)
        append_line(folder.evaluations, evaluation.to_line(0))
    typer.echo(f"r1ci: {evaluation}")
    typer.echo(f"r1ci: everything in {folder.path}")


def _open(folder: RunFolder, recipe: str, plugins: Sequence[str]) -> None:
    """Create the folder, or make sure that it holds this very evaluation."""
    run = json.dumps({"plugins": list(plugins), "command": "r1ci evaluate"}, indent=2) + "\n"
    files = {folder.recipe: recipe, folder.run: run}
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


async def _ask(
    questions: Sequence[Question],
    samples: int,
    engine: LocalVLLM,
    template: ChatTemplate,
    environment: Environment,
    plugins: Plugins,
    writer: TrajectoryWriter,
    already: Sequence[Trajectory],
) -> list[Trajectory]:
    """Ask with a progress bar; write each trajectory as it ends."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from r1ci_plugins.evaluation.asking import ask

    new: list[Trajectory] = []
    right = sum(trajectory.correct for trajectory in already)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        await environment.start()
        await engine.start()
        with Progress(*columns, TextColumn("{task.fields[right]}")) as progress:
            total = len(questions) * samples
            bar = progress.add_task("episodes", total=total, completed=len(already), right="")

            def ended(trajectory: Trajectory) -> None:
                nonlocal right
                writer.write([trajectory])
                new.append(trajectory)
                plugins.notify(trajectory)
                right += trajectory.correct
                progress.update(bar, advance=1, right=f"{right / (len(already) + len(new)):.1%} right")

            await ask(
                questions,
                samples,
                engine=engine,
                template=template,
                environment=environment,
                ended=ended,
                already=already,
            )
        return new
    finally:
        await engine.close()
        await environment.close()
