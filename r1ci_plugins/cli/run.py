"""``r1ci run``: a staged recipe, from the base model to the trained one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, NO_OVERRIDES, PluginNames

if TYPE_CHECKING:
    from r1ci_plugins.runs.staged_run import StagedRun
    from r1ci_plugins.trainers.openrlhf.machine import Machine


def run(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe with stages, a YAML file.")],
    overrides: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a key for all stages, or for one: stages.NAME.key=value."
        ),
    ] = NO_OVERRIDES,
    without: Annotated[
        list[str], typer.Option("--without", metavar="STAGE", help="A stage to leave out; may be repeated.")
    ] = NO_OVERRIDES,
    must_improve: Annotated[
        bool,
        typer.Option(
            "--must-improve",
            help="Exit with 1 if a training stage did not raise accuracy by more than two standard errors, "
            "unless 90 % of the answers were right before it.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show what would be done; start nothing.")
    ] = False,
    machine: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="8x80",
            help="With --dry-run: plan for 8 GPUs of 80 GB, or 2x8x80 for two nodes, instead of this machine.",
        ),
    ] = None,
    plugins: PluginNames = DEFAULT_PLUGINS,
) -> None:
    """Run a recipe's stages one after the other: synthesis, SFT, RL, with evaluations between.

    Each stage starts from what the ones before it left. If the command is interrupted by Ctrl-C, a crash or a reboot,
    repeat it: finished stages are kept, training goes on from its last checkpoint. For a cold start leave the warm
    one out: r1ci run RECIPE --without synthesis --without sft --set output_dir=runs/cold
    """
    from r1ci_plugins.runs.staged_run import StagedRun, State
    from r1ci_plugins.runs.stages import load_stages
    from r1ci_plugins.trainers.openrlhf.machine import planned_machine

    planned = planned_machine(machine, dry_run=dry_run)
    stages = load_stages(recipe_file, overrides, without)
    work = StagedRun.of(stages, plugins)
    sizes = _check_sizes(work, planned)
    states = dict.fromkeys(sizes, State.TO_DO) if planned else work.states()
    for number, stage in enumerate(stages, 1):
        typer.echo(f"{number}/{len(stages)} {stage.name} ({states[stage.name]}): {' '.join(work.command(stage))}")
        if dry_run:
            typer.echo("".join(f"    {line}\n" for line in sizes[stage.name]), nl=False)
    if dry_run:
        typer.echo("Checked: keys, plugins, packs, tasks, OpenRLHF's flags, sizes. Nothing was started.")
        return
    _run_stages(work, [stage.name for stage in stages if states[stage.name] is not State.DONE])
    raise typer.Exit(0 if _report(work) or not must_improve else 1)


def _check_sizes(work: StagedRun, machine: Machine | None) -> dict[str, list[str]]:
    """Check everything; the sizes of each stage in lines, none where nothing is trained."""
    from r1ci_plugins.runs.stages import TRAINING
    from r1ci_plugins.trainers.openrlhf.sizes import check_sizes, describe_sizes, launched_processes

    prepared = work.check(cpu=None if machine is None else False)
    lines: dict[str, list[str]] = {}
    for stage in work.stages:
        lines[stage.name] = []
        one = prepared[stage.name]
        if stage.command in TRAINING and not one.unchecked:
            model = work.base_model(stage) if one.model == stage.recipe.model else one.model
            processes = launched_processes(stage.launcher)
            case = check_sizes(one, machine, processes=processes, model=model, stage=stage.name)
            lines[stage.name] = describe_sizes(case, one)
    return lines


def _run_stages(work: StagedRun, unfinished: list[str]) -> None:
    from r1ci_plugins.runs.staged_run import locked

    with locked(work.path) as lock:
        for number, stage in enumerate(work.stages, 1):
            if stage.name not in unfinished:
                continue
            typer.secho(f"\n== stage {number}/{len(work.stages)}: {stage.name}", bold=True)
            try:
                work.run(stage, lock)
            except KeyboardInterrupt:
                typer.secho(f"stopped in stage {stage.name}; the same command goes on from there", err=True)
                raise typer.Exit(130) from None
            typer.echo(f"r1ci: stage {stage.name} took {work.seconds()[stage.name]:.0f} s")


def _report(work: StagedRun) -> bool:
    """Print and keep what came of the run; whether every training stage improved the model, or had no room to."""
    from rich.console import Console

    from r1ci_plugins.report.staged_report import WIDE, report_lines, write_report

    report = write_report(work)
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    if report.table is not None:
        console.print()
        console.print(report.table)
    for line in report_lines(report, work):
        console.print(line, soft_wrap=True)
    return report.improved
