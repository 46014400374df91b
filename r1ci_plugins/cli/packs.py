"""``r1ci validate`` and ``r1ci new-pack``: whether a task pack keeps its promises, and a pack to start from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.cli.options import Json

if TYPE_CHECKING:
    from r1ci_plugins.pack_checks.validation import TaskReport


def validate(
    pack: Annotated[str, typer.Argument(help="An installed pack's name, or the path of its folder or module.")],
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be repeated.")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Processes.")] = 2,
    as_json: Json = False,
) -> None:
    """Check the conformance rules on questions of every task of a pack. Exits with 1 if a rule is broken.

    Questions depend on the seed alone; references and harmless variations of them are right, everything else is
    wrong; checkers take bounded time, never raise and never evaluate; and more: see r1ci_plugins/pack_checks/rules.
    """
    from r1ci_plugins.pack_checks.validation import chosen
    from r1ci_plugins.plugins.packs import load_pack

    loaded = load_pack(pack)
    reports = _reports(pack, chosen(loaded, task or ()), jobs)
    if as_json:
        for report in reports:
            typer.echo(json.dumps({"pack": loaded.name, "passed": report.passed, **asdict(report)}))
    else:
        _show_table(reports)
        _show_failures(loaded.name, reports)
    if any(report.failures for report in reports):
        raise typer.Exit(1)


def _reports(pack: str, tasks: Sequence[str], jobs: int) -> list[TaskReport]:
    """Validate with a bar; reports in the order of the tasks."""
    from r1ci_plugins.pack_checks.validation import validate
    from r1ci_plugins.report.progress import progress

    reports: list[TaskReport] = []
    with progress(keep=False) as bars:
        bar = bars.add_task("validating", total=len(tasks), detail="")
        for report in validate(pack, tasks, jobs):
            reports.append(report)
            bars.update(bar, advance=1, detail=report.task)
    return sorted(reports, key=lambda report: tasks.index(report.task))


def _show_table(reports: Sequence[TaskReport]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "no data here": "yellow", "failed": "red"}
    table = Table("task", "result", "seconds", "broken rules, notes", box=None, pad_edge=False)
    for report in reports:
        result = Text(report.result, colours[report.result])
        table.add_row(report.task, result, f"{report.seconds:.1f}", "; ".join(report.remarks))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _show_failures(pack: str, reports: Sequence[TaskReport]) -> None:
    for report in reports:
        for failure in report.failures:
            typer.echo("\n" + typer.style(f"{pack}/{report.task}", fg="red", bold=True) + f": {failure}")
        if report.missing:
            typer.echo(f"\n{pack}/{report.task}: {report.missing}")
    results = [report.result for report in reports]
    missing = results.count("no data here")
    counts = f"\n{results.count('ok')} passed, {results.count('failed')} failed"
    typer.echo(counts + (f", {missing} without data" if missing else ""))


def new_pack(
    name: Annotated[str, typer.Argument(help="The pack's name: lower-case letters, digits and underscores.")],
    folder: Annotated[Path, typer.Option("--dir", help="The folder in which to make the pack's folder.")] = Path(),
) -> None:
    """Make the folder of a new task pack: one task that works, its test, and what to change."""
    from r1ci_plugins.pack_checks.new_pack import make_pack

    place = folder / name
    make_pack(name, place)
    typer.echo(
        f"made {place}; next:\n  pip install -e {place}\n  r1ci validate {name}\n  r1ci tasks sample {name}/doubling"
    )
