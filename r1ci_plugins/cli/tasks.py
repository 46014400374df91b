"""``r1ci tasks``: which tasks are installed, what they ask, and what their questions look like."""

from __future__ import annotations

import sys
from typing import Annotated, NamedTuple

import typer

from r1ci_plugins.errors import PluginError, suggest
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.tasks.task import Question, Task, TaskPack

app = typer.Typer(help="List tasks, describe one, draw questions of it, and measure them all.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="pack/task, or the task alone where only one pack has it.")]
Seed = Annotated[int, typer.Option(help="The recipe's seed.")]


class _Found(NamedTuple):
    pack: str
    task: Task


@app.command("list")
def list_tasks(pack: Annotated[str | None, typer.Option(help="Only this pack's tasks.")] = None) -> None:
    """List the tasks of the installed packs: a table on a terminal, else tab-separated lines."""
    packs = _packs(pack)
    if not packs:
        typer.echo("no task packs are installed; try: pip install r1ci-tasks-reasoning-gym", err=True)
    rows = [
        (name, task.name, str(task.levels), task.description) for name in sorted(packs) for task in packs[name].tasks
    ]
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("pack", "task", "levels", "asks", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


@app.command()
def show(name: Name, seed: Seed = 0) -> None:
    """Describe one task and show a question of it with its reference answer."""
    pack, task = find(name)
    levels = "1 (only the default)" if task.levels == 1 else f"{task.levels}, difficulty 0 to {task.levels - 1}"
    typer.echo(f"{pack}/{task.name}: {task.description}\nlevels: {levels}\n")
    for question in draw(pack, task, "rl", seed, 1):
        _print(question)
    typer.echo(f"\nmore: r1ci tasks sample {pack}/{task.name} -n 3 --seed {seed}")


@app.command()
def sample(
    name: Name,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many questions.")] = 3,
    seed: Seed = 0,
    split: Annotated[str, typer.Option(help="sft, rl or test.")] = "rl",
    difficulty: Annotated[int | None, typer.Option(help="A level; without it the task's default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, metadata included.")] = False,
) -> None:
    """Draw the first questions of a task, exactly those that a run with this seed gets."""
    pack, task = find(name)
    for number, question in enumerate(draw(pack, task, split, seed, count, difficulty)):
        if json:
            typer.echo(question.to_json())
        else:
            typer.echo("\n" if number else "", nl=False)
            _print(question)


@app.command()
def table(
    pack: Annotated[str | None, typer.Option(help="Only this pack's tasks.")] = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Time for each task's questions.")] = 1.0,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Processes; default one per core.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Measure every installed task: number of different questions, speed of its generator and of its checker.

    Questions are counted at the default difficulty, 2000 at most; of a slow task the table says how many there are at
    least, by how rarely the few that were drawn repeat (95 % confidence).
    """
    from dataclasses import asdict
    from json import dumps

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table
    from rich.text import Text

    from r1ci_plugins.pack_checks.measurement import measure_all
    from r1ci_plugins.questions.suite import load_suite

    packs = _packs(pack)
    members = load_suite("default").members
    tasks = {f"{name}/{task.name}": task for name in packs for task in packs[name].tasks}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("measuring", total=len(tasks))
        found = measure_all(packs, seconds, jobs, lambda name: progress.update(bar, advance=1, description=name))
    heads = ("pack", "task", "class", "part", "questions", "questions/s", "check ms", "problem")
    rows = []
    for full, one in found.items():
        part = members[full].part if full in members else ""
        if json:
            typer.echo(dumps({"task": full, "capability": tasks[full].capability, "part": part, **asdict(one)}))
        speed = "" if one.questions_per_s is None else f"{one.questions_per_s:.0f}"
        check = "" if one.check_ms is None else f"{one.check_ms:.3f}"
        count = "" if one.questions_per_s is None else one.questions_text
        rows.append((*full.split("/"), tasks[full].capability, part, count, speed, check, one.problem))
    if json:
        return
    if not sys.stdout.isatty():
        for row in (heads, *rows):
            typer.echo("\t".join(row))
        return
    shown = Table(*heads[:4], box=None, pad_edge=False)
    for head in heads[4:7]:
        shown.add_column(head, justify="right")
    shown.add_column(heads[7])
    for row in rows:
        shown.add_row(*map(Text, row))
    Console().print(shown)


def _print(question: Question) -> None:
    level = "the default" if question.difficulty is None else question.difficulty
    typer.echo(
        f"--- {question.task}, split {question.split}, seed {question.seed}, index {question.index}, level {level}\n"
        f"{question.text.strip()}\n--- reference answer\n{question.answer}"
    )


def _packs(name: str | None) -> dict[str, TaskPack]:
    from r1ci_plugins.plugins.packs import load_packs

    return load_packs(None if name is None else [name])


def find(name: str) -> _Found:
    """The task of that name.

    Raises:
        PluginError: If there is none, or several packs have one.
    """
    pack_name, slash, _ = name.rpartition("/")
    packs = _packs(pack_name if slash else None)
    tasks = {f"{pack}/{task.name}": _Found(pack, task) for pack in packs for task in packs[pack].tasks}
    matches = [full for full in tasks if name in (full, full.split("/")[1])]
    if len(matches) == 1:
        return tasks[matches[0]]
    if matches:
        raise PluginError(f"several packs have a task {name!r}", fix=f"name one of {', '.join(sorted(matches))}")
    known = tasks if slash else {full.split("/")[1] for full in tasks}
    raise PluginError(f"there is no task {name!r}", fix=f"{suggest(name, known)}; see `r1ci tasks list`")
