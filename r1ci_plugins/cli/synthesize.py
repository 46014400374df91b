"""``r1ci synthesize``: trajectories for supervised fine-tuning."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, NO_OVERRIDES, Jobs, Overrides, PluginNames, RecipeOption

if TYPE_CHECKING:
    from r1ci_plugins.synthesis.part import Statistics
    from r1ci_plugins.synthesis.production import Questions
    from r1ci_plugins.synthesis.synthesis_run import SynthesisRun


def synthesize(
    recipe_file: RecipeOption,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder; the default is synthesis in output_dir.")
    ] = None,
    jobs: Jobs = None,
    overrides: Overrides = NO_OVERRIDES,
    plugins: PluginNames = DEFAULT_PLUGINS,
) -> None:
    """Make trajectories to learn from, with a teacher or from the tasks' own programs, and keep the good ones.

    The recipe's section synthesis says how. If the command is stopped half-way, by Ctrl-C, a crash or a full disk,
    repeat it: finished tasks are on the disk, and so is every reply of a paid teacher.
    """
    from r1ci_plugins.engines.tokenizer import spare_torch
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.synthesis.synthesis_run import open_synthesis

    prepared = prepare(recipe_file, plugins=plugins, command="train_sft", overrides=overrides, check_flags=False)
    if prepared.recipe.synthesis is None or prepared.recipe.synthesis.teacher != "local":
        spare_torch()
    run = open_synthesis(prepared, out or Path(prepared.recipe.output_dir) / "synthesis")
    questions = _questions(run, jobs)
    started = time.monotonic()
    try:
        statistics = asyncio.run(_make(run, questions))
    except KeyboardInterrupt:
        typer.secho(f"stopped; the same command goes on from what is finished in {run.folder}", err=True)
        raise typer.Exit(130) from None
    for note in run.finish(statistics):
        typer.echo(note)
    kept, attempts = sum(one.kept for one in statistics), sum(one.attempts for one in statistics)
    typer.echo(f"{kept} trajectories of {attempts} tried in {run.folder}, {time.monotonic() - started:.0f} s")
    if not kept:
        typer.secho("nothing was kept; the lines above and the data set's card say why", fg=typer.colors.RED, err=True)
        raise typer.Exit(1)


def _questions(run: SynthesisRun, jobs: int | None) -> Questions:
    """Draw the questions, with a bar."""
    from r1ci_plugins.report.progress import progress

    with progress(keep=True) as bars:
        bar = bars.add_task("generating questions", total=sum(draw.count for draw in run.draws), detail="")
        return run.questions(lambda drawn: bars.update(bar, completed=drawn), jobs)


async def _make(run: SynthesisRun, questions: Questions) -> list[Statistics]:
    """Make the trajectories, with a bar for all tasks and one for each that is being worked on."""
    from r1ci_plugins.report.progress import progress

    per_task, kept = run.prepared.recipe.synthesis.per_task, dict[str, int]()
    with progress(keep=True) as bars:
        whole = bars.add_task("tasks", total=len(questions), detail="")
        of_task = {name: bars.add_task(name, total=per_task, detail="", visible=False) for name in questions}

        def show(one: Statistics, done: bool) -> None:
            kept[one.task] = one.kept
            rejected = ", ".join(f"{reason} {count}" for reason, count in one.rejections.most_common(2))
            bars.update(of_task[one.task], completed=one.kept, detail=rejected, visible=not done)
            bars.update(whole, advance=int(done), detail=f"{sum(kept.values())} trajectories")

        return await run.make(questions, show)
