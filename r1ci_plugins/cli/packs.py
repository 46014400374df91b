"""``r1ci validate`` and ``r1ci new-pack``: whether a task pack keeps its promises, and a pack to start from."""

from __future__ import annotations

import json
import keyword
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.errors import PluginError

if TYPE_CHECKING:
    from r1ci_plugins.pack_checks.validation import TaskReport

_TEMPLATE = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "$name.py": "module.py.txt",
    "tests/test_$name.py": "test.py.txt",
}
"""Files of a new pack, and the templates in ``r1ci_plugins/pack_checks/new_pack`` that they are made from."""


def validate(
    pack: Annotated[str, typer.Argument(help="An installed pack's name, or the path of its folder or module.")],
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be repeated.")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Processes.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per task on standard output.")] = False,
) -> None:
    """Examine a task pack: the conformance rules, on questions of every task. Exits with 1 if a rule is broken.

    No randomness but the seed, references and harmless variation right, everything else wrong, checkers that are
    bounded, never raise and never evaluate, and more: see r1ci_plugins/pack_checks/rules.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from r1ci_plugins.pack_checks.validation import chosen, validate
    from r1ci_plugins.plugins.packs import load_pack

    loaded = load_pack(pack)
    names = chosen(loaded, task or ())
    reports: list[TaskReport] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(loaded.name, total=len(names))
        for report in validate(pack, names, jobs):
            reports.append(report)
            progress.update(bar, advance=1, description=f"{loaded.name}/{report.task}")
    reports.sort(key=lambda report: names.index(report.task))
    if as_json:
        for report in reports:
            typer.echo(json.dumps({"pack": loaded.name, "passed": report.passed, **asdict(report)}))
    else:
        _show(loaded.name, reports)
    if any(report.failures for report in reports):
        raise typer.Exit(1)


def _show(pack: str, reports: Sequence[TaskReport]) -> None:
    """A table of the tasks, then each failure in full."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("task", "result", "seconds", "broken rules, notes", box=None, pad_edge=False)
    for report in reports:
        rules = list(dict.fromkeys(failure.rule for failure in report.failures))
        result = Text("no data here", "yellow") if report.missing else Text("failed", "red")
        remarks = "; ".join([*rules, *(f"{rule}: {note}" for rule, note in report.notes.items())])
        table.add_row(report.task, Text("ok", "green") if report.passed else result, f"{report.seconds:.1f}", remarks)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for report in reports:
        for failure in report.failures:
            console.print(f"\n[bold red]{pack}/{report.task}[/]", end=": ")
            console.print(Text(str(failure)))
        if report.missing:
            console.print(Text(f"\n{pack}/{report.task}: {report.missing}"))
    failed = sum(bool(report.failures) for report in reports)
    missing = sum(bool(report.missing) for report in reports)
    passed = len(reports) - failed - missing
    console.print(f"\n{passed} passed, {failed} failed" + (f", {missing} without data" if missing else ""))


def new_pack(
    name: Annotated[str, typer.Argument(help="The pack's name: lower-case letters, digits and underscores.")],
    folder: Annotated[Path, typer.Option("--dir", help="Where to make the pack's folder.")] = Path(),
) -> None:
    """Make the folder of a new task pack: one task that works, its test, and what to change."""
    place = folder / name
    _refuse(name, place)
    values = {"name": name, "distribution": name.replace("_", "-"), "title": name.replace("_", " ")}
    templates = files("r1ci_plugins.pack_checks") / "new_pack"
    for target, template in _TEMPLATE.items():
        file = place / Template(target).substitute(values)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            Template((templates / template).read_text(encoding="utf-8")).substitute(values), encoding="utf-8"
        )
    typer.echo(
        f"made {place}; next:\n  pip install -e {place}\n  r1ci validate {name}\n  r1ci tasks sample {name}/doubling"
    )


def _refuse(name: str, place: Path) -> None:
    """Refuse a name that cannot be a module's, or that something has already.

    Raises:
        PluginError: With what to do instead.
    """
    from r1ci_plugins.plugins.registry import installed

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise PluginError(
            f"{name!r} cannot be the name of a pack",
            fix="use lower-case letters, digits and underscores, such as my_tasks; not a name of Python's own",
        )
    taken = [one.origin for one in installed() if one.origin.name == name and one.origin.kind == "task pack"]
    if taken:
        raise PluginError(f"a pack of that name is installed: {taken[0]}", fix="choose another name")
    if place.exists():
        raise PluginError(f"{place} exists already", fix="choose another name, or another folder with --dir")
