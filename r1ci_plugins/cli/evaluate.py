"""``r1ci evaluate``: a model's accuracy on held-out questions, without training it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, NO_OVERRIDES, Jobs, Overrides, PluginNames, RecipeOption

if TYPE_CHECKING:
    from r1ci_plugins.evaluation.held_out import HeldOutEvaluation
    from r1ci_plugins.protocol.chat_template import ChatTemplate
    from r1ci_plugins.rollout.trajectory import Trajectory
    from r1ci_plugins.tasks.task import Question


def evaluate(
    recipe_file: RecipeOption,
    jobs: Jobs = None,
    overrides: Overrides = NO_OVERRIDES,
    plugins: PluginNames = DEFAULT_PLUGINS,
) -> None:
    """Ask a model the recipe's held-out questions and say how many it gets right.

    Questions, loop, sandbox and checkers are those of train_ppo, whose own evaluations need not be repeated here. The
    trainer's flags eval.n_samples_per_prompt and eval.temperature say how many samples of each question are drawn, and
    at which temperature. Everything goes to output_dir. If the command is stopped, repeat it: it goes on from there.
    """
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.evaluation.held_out import open_evaluation, require_questions
    from r1ci_plugins.report.progress import questions_with_progress

    prepared = prepare(recipe_file, plugins=plugins, command="train_ppo", overrides=overrides)
    require_questions(prepared.recipe)
    template = prepared.template()
    held_out = open_evaluation(prepared)
    found = questions_with_progress(prepared, "eval", template, jobs)
    for note in found.notes:
        typer.echo(note)
    try:
        asyncio.run(_ask(held_out, found.questions, template))
    except KeyboardInterrupt:
        typer.secho(f"stopped; the same command goes on from what is in {held_out.folder.path}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"r1ci: {held_out.finish()}")
    typer.echo(f"r1ci: everything in {held_out.folder.path}")


async def _ask(evaluation: HeldOutEvaluation, questions: Sequence[Question], template: ChatTemplate) -> None:
    """Ask with a bar that says how many answers are right so far."""
    from r1ci_plugins.report.progress import progress

    done = evaluation.trajectories
    with progress(keep=True) as bars:
        bar = bars.add_task("episodes", total=len(questions) * evaluation.samples, completed=len(done), detail="")

        def ended(trajectory: Trajectory) -> None:
            right = sum(one.correct for one in done) / len(done)
            bars.update(bar, completed=len(done), detail=f"{right:.1%} right")

        await evaluation.ask(questions, template, ended)
