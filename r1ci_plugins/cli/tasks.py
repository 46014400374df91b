"""``r1ci tasks``: which tasks are installed, what they ask, and what their questions look like."""

from collections.abc import Sequence
from typing import Annotated

import typer

from r1ci_plugins.cli.options import Jobs, Json
from r1ci_plugins.errors import PluginError
from r1ci_plugins.plugins.packs import find_task, loadable_packs
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.tasks.task import Question

app = typer.Typer(help="List the tasks, describe one, draw its questions, and measure all.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="pack/task, or the task alone where only one pack has it.")]
Pack = Annotated[str | None, typer.Option(help="Only this pack's tasks.")]
Seed = Annotated[int, typer.Option(help="The recipe's seed.")]


@app.command("list")
def list_tasks(pack: Pack = None) -> None:
    """List the tasks of the installed packs: a table on a terminal, else tab-separated lines."""
    from r1ci_plugins.report.tables import print_table

    packs, broken = loadable_packs(None if pack is None else [pack])
    if not packs and not broken:
        typer.echo("no task packs are installed; try: pip install r1ci-tasks-reasoning-gym", err=True)
    tasks = [(name, task) for name in sorted(packs) for task in packs[name].tasks]
    rows = [(name, task.name, str(task.levels), task.description) for name, task in tasks]
    print_table(("pack", "task", "levels", "asks"), rows, heads_in_lines=False)
    _tell(broken)


def _tell(broken: Sequence[PluginError]) -> None:
    """Say what is wrong with packs that do not load, after all the others; exit with 1 if there are any."""
    for error in broken:
        typer.secho(f"\n{error}", fg=typer.colors.RED, err=True)
    if broken:
        raise typer.Exit(1)


@app.command()
def show(name: Name, seed: Seed = 0) -> None:
    """Describe one task and show one of its questions with the reference answer."""
    pack, task = find_task(name)
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
    difficulty: Annotated[int | None, typer.Option(help="A level; the default is the task's default.")] = None,
    json: Json = False,
) -> None:
    """Draw the first questions of a task, exactly those that a run with this seed gets."""
    pack, task = find_task(name)
    for number, question in enumerate(draw(pack, task, split, seed, count, difficulty)):
        if json:
            typer.echo(question.to_json())
        else:
            typer.echo("\n" if number else "", nl=False)
            _print(question)


def _print(question: Question) -> None:
    level = "the default" if question.difficulty is None else question.difficulty
    typer.echo(
        f"--- {question.task}, split {question.split}, seed {question.seed}, index {question.index}, level {level}\n"
        f"{question.text.strip()}\n--- reference answer\n{question.answer}"
    )


@app.command()
def table(
    pack: Pack = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Time for each task's questions.")] = 1.0,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Measure every installed task: number of different questions, speed of its generator and of its checker.

    Questions are counted at the default difficulty, up to 2000. For a slow task the table gives a lower bound, which
    is estimated from how rarely the questions that were drawn repeat (95 % confidence).
    """
    from r1ci_plugins.pack_checks.measurement import HEADS, NUMBERS, measure_all
    from r1ci_plugins.report.progress import progress
    from r1ci_plugins.report.tables import print_table

    packs, broken = loadable_packs(None if pack is None else [pack])
    with progress(keep=False) as bars:
        bar = bars.add_task("measuring", total=sum(len(one.tasks) for one in packs.values()), detail="")
        found = measure_all(packs, seconds, jobs, lambda name: bars.update(bar, advance=1, description=name))
    if not json:
        print_table(HEADS, [one.row for one in found], numbers=NUMBERS)
    for one in found if json else []:
        typer.echo(one.to_json())
    _tell(broken)
