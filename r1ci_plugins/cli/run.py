"""``r1ci run``: a staged recipe, from the base model to the trained one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from r1ci_plugins.runs.staged_run import StagedRun

_WIDE = 160
"""Characters a line, where nothing says how many there are."""


def run(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe with stages, a YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a key for all stages, or for one: stages.NAME.key=value."
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="STAGE", help="A stage to leave out. Repeatable.")
    ] = None,
    must_improve: Annotated[
        bool,
        typer.Option("--must-improve", help="Exit with 1 unless each training stage raised accuracy for certain."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show what would be done; start nothing.")
    ] = False,
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", metavar="NAME", help="A plugin to load; default r1ci. Repeatable.")
    ] = None,
) -> None:
    """Run a recipe's stages one after the other: synthesis, SFT, RL, with evaluations between.

    Each stage starts from what the ones before it left. Interrupted by Ctrl-C, a crash or a reboot, the same command
    goes on: finished stages are kept, training goes on from its last checkpoint. For a cold start leave the warm one
    out: r1ci run RECIPE --without synthesis --without sft --set output_dir=runs/cold
    """
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.runs.staged_run import StagedRun, State, locked
    from r1ci_plugins.runs.stages import load_stages

    names = plugin or ["r1ci"]
    stages = load_stages(recipe_file, overrides or [], without or [])
    work = StagedRun.of(stages, names)
    for stage in stages:
        prepare(stage.recipe, plugins=names, command=stage.flags_of).findings()
    states = work.states()
    for number, stage in enumerate(stages, 1):
        typer.echo(f"{number}/{len(stages)} {stage.name} ({states[stage.name]}): {' '.join(work.command(stage))}")
    if dry_run:
        typer.echo("Checked: keys, plugins, packs, tasks, OpenRLHF's flags. Nothing was started.")
        return
    with locked(work.path) as lock:
        for number, stage in enumerate(stages, 1):
            if states[stage.name] is State.DONE:
                continue
            typer.secho(f"\n== stage {number}/{len(stages)}: {stage.name}", bold=True)
            try:
                work.run(stage, lock)
            except KeyboardInterrupt:
                typer.secho(f"stopped in stage {stage.name}; the same command goes on from there", err=True)
                raise typer.Exit(130) from None
            typer.echo(f"r1ci: stage {stage.name} took {work.seconds()[stage.name]:.0f} s")
    raise typer.Exit(0 if _report(work) or not must_improve else 1)


def _report(work: StagedRun) -> bool:
    """Print and keep what came of it; whether every training stage raised accuracy for certain."""
    from rich.console import Console

    from r1ci_plugins.report.comparison import comparison_table, gains
    from r1ci_plugins.report.progress_picture import draw
    from r1ci_plugins.rollout.run_folder import RunFolder, read_lines, writing

    evaluations = work.evaluations()
    table, steps = comparison_table(evaluations), gains(evaluations)
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    if table is None:
        console.print("r1ci: fewer than two evaluations, nothing to compare; tasks.eval makes the trainer evaluate")
        return False
    console.print()
    console.print(table)
    curves = {stage.name: list(read_lines(RunFolder(stage.folder).metrics)) for stage in work.stages}
    with writing(work.path):
        with open(work.path / "comparison.txt", "w", encoding="utf-8") as text:
            Console(file=text, width=_WIDE).print(table)
        picture = draw(
            work.path / "progress.png", evaluations, {name: lines for name, lines in curves.items() if lines}
        )
    seconds = work.seconds()
    for gain in steps:
        verdict = "a rise of more than two standard errors" if gain.certain else "NO rise beyond two standard errors"
        console.print(f"r1ci: {gain}: {verdict}", soft_wrap=True)
    console.print(
        f"r1ci: {sum(seconds.values()) / 60:.1f} minutes: "
        + ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items()),
        soft_wrap=True,
    )
    console.print(
        f"r1ci: {picture or 'no picture: pip install matplotlib'}; everything in {work.path}", soft_wrap=True
    )
    return all(gain.certain for gain in steps)
