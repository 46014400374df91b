"""``r1ci curriculum``: what each training question has to teach, and which questions are trained on when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, NO_OVERRIDES, Jobs, Overrides, PluginNames, RecipeOption

if TYPE_CHECKING:
    from r1ci_plugins.curriculum.profile import Profile
    from r1ci_plugins.environment import Prepared
    from r1ci_plugins.protocol.chat_template import ChatTemplate
    from r1ci_plugins.tasks.task import Question

app = typer.Typer(help="Profile the training questions; show the stages of a curriculum.", no_args_is_help=True)


@app.command()
def profile(
    recipe_file: RecipeOption,
    jobs: Jobs = None,
    overrides: Overrides = NO_OVERRIDES,
    plugins: PluginNames = DEFAULT_PLUGINS,
) -> None:
    """Ask the recipe's training questions several times and count how often each is answered right.

    It leaves a table, profile.parquet in output_dir, and a picture. The table has the accuracy p of each question and
    its improvement potential 4p(1-p), both with their errors; RL reads it by curriculum.table. The recipe's
    curriculum.profile says who answers, how often and at which temperatures. If the command is stopped, or killed,
    repeat it: every answer that has ended is kept.
    """
    from r1ci_plugins.curriculum.profile import open_profile
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.report.progress import questions_with_progress

    prepared = prepare(recipe_file, plugins=plugins, command="train_ppo", overrides=overrides)
    template = prepared.template()
    work = open_profile(prepared)
    found = questions_with_progress(prepared, "train", template, jobs)
    for note in found.notes:
        typer.echo(note)
    total = len(found.questions) * work.per_question
    typer.echo(
        f"r1ci: {len(found.questions)} questions x {len(work.config.agents)} agents x {work.config.samples} answers "
        f"= {total} episodes, {len(work.answers)} of them done"
    )
    try:
        asyncio.run(_draw(work, prepared, found.questions, template))
    except KeyboardInterrupt:
        typer.secho(f"stopped; the same command goes on from what is in {work.folder}", err=True)
        raise typer.Exit(130) from None
    _finish(work, prepared, found.questions)


async def _draw(work: Profile, prepared: Prepared, questions: Sequence[Question], template: ChatTemplate) -> None:
    """Draw the missing answers with a bar that says how many are right so far."""
    from r1ci_plugins.curriculum.profile import draw_answers
    from r1ci_plugins.report.progress import progress

    if not work.missing(questions):
        return
    with progress(keep=True) as bars:
        total = len(questions) * work.per_question
        bar = bars.add_task("answers", total=total, completed=len(work.answers), detail="")

        def ended() -> None:
            done = len(work.answers)
            if done % 20 == 0 or done == total:
                bars.update(bar, completed=done, detail=f"{work.accuracy:.1%} right")

        await draw_answers(work, prepared, questions, template, ended)


def _finish(work: Profile, prepared: Prepared, questions: Sequence[Question]) -> None:
    """Write table and picture, and say what they come to."""
    from r1ci_plugins.curriculum.candidates import table_groups
    from r1ci_plugins.curriculum.table import write_table
    from r1ci_plugins.report.profile_picture import draw
    from r1ci_plugins.rollout.run_folder import writing

    table = work.finished(questions)
    with writing(work.folder):
        write_table(work.table, table)
    groups, lines = table_groups(table, prepared)
    typer.echo(f"r1ci: {work.accuracy:.1%} of the answers are right")
    for line in lines:
        typer.echo(f"r1ci: {line}")
    if draw(work.picture, table.rows, groups) is None:
        typer.echo("r1ci: no picture: matplotlib is not installed")
    typer.echo(f"r1ci: table in {work.table}")


@app.command()
def show(
    recipe_file: RecipeOption,
    jobs: Jobs = None,
    overrides: Overrides = NO_OVERRIDES,
    plugins: PluginNames = DEFAULT_PLUGINS,
) -> None:
    """Say what each stage of the recipe's curriculum trains on: questions, steps, repeats, range of potential."""
    from r1ci_plugins.curriculum.candidates import candidates, recipe_table, sampler_of, volumes
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.report.progress import questions_with_progress

    prepared = prepare(recipe_file, plugins=plugins, command="train_ppo", overrides=overrides)
    table = recipe_table(prepared)
    found = questions_with_progress(prepared, "train", prepared.template(), jobs)
    for line in volumes(sampler_of(candidates(found.questions, table), prepared)):
        typer.echo(line)
