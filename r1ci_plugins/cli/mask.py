"""``r1ci mask``: show which tokens of a trajectory are trained, and check a file of trajectories."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, PluginNames
from r1ci_plugins.errors import LossMaskError, MachineProblem, RecipeError, TrajectoryFileError

if TYPE_CHECKING:
    from r1ci_plugins.environment import Prepared
    from r1ci_plugins.protocol.chat_template import ChatTemplate
    from r1ci_plugins.report.token_rows import TokenRow
    from r1ci_plugins.rollout.trajectory import Trajectory
    from r1ci_plugins.training.audit import Audit
    from r1ci_plugins.training.loss_mask import LossMask

app = typer.Typer(help="Show which tokens of a trajectory are trained; check a whole file.", no_args_is_help=True)

TokenizerName = Annotated[
    str | None,
    typer.Option("--tokenizer", metavar="MODEL", help="Model folder or hub name; the default is the recipe's."),
]
MaskName = Annotated[
    str | None,
    typer.Option(
        "--mask", metavar="NAME", help="masked, unmasked, auxiliary or a plugin's; the default is the recipe's."
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", metavar="FILE", help="Their recipe; the default is the one recorded with the file."),
]


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Recorded trajectories, .jsonl.gz or .jsonl.")
    ] = None,
    number: Annotated[
        int | None, typer.Option(min=1, help="Which line of the file; the default is the first.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Instead of --number: the question's key, or its beginning.")] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="PACK/TASK", help="Instead of a file: play a reference program and the correct answer."),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --task: which question.")] = 0,
    tokenizer: TokenizerName = None,
    mask: MaskName = None,
    html: Annotated[Path | None, typer.Option(metavar="OUT.html", help="Write a page instead of printing.")] = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Print one line per token, with all that is known of it.")
    ] = False,
    recipe_file: RecipeFile = None,
    plugins: PluginNames = DEFAULT_PLUGINS,
) -> None:
    """Show each token of a trajectory: who wrote it, in which turn, with which log-prob, and whether it is trained.

    A token that is trained though the policy did not write it is a leak, as in the paper's ablation, --mask unmasked.
    """
    from r1ci_plugins.report.specimen import find_trajectory, recorded_advantage

    if (file is None) == (task is None):
        raise typer.BadParameter("name either a file of trajectories or --task PACK/TASK")
    setting = _settle(file, tokenizer=tokenizer, mask=mask, recipe_file=recipe_file, plugins=plugins)
    advantage = None
    if file is not None:
        trajectory = find_trajectory(file, number, key)
        advantage = recorded_advantage(file, trajectory)
    else:
        assert task is not None  # one of the two is given
        trajectory = _played(task, seed, setting)
    about, rows, alarm = _looked_at(trajectory, advantage, setting)
    if html is not None:
        _write_page(html, about, rows, alarm)
    else:
        _print_view(about, rows, alarm, one_a_line=tokens)


@app.command()
def audit(
    trajectories: Annotated[Path, typer.Option(metavar="FILE", help="Recorded trajectories, .jsonl.gz or .jsonl.")],
    tokenizer: TokenizerName = None,
    mask: MaskName = None,
    all_offenders: Annotated[bool, typer.Option("--all", help="List every offence, not only the first.")] = False,
    recipe_file: RecipeFile = None,
    plugins: PluginNames = DEFAULT_PLUGINS,
) -> None:
    """Check every trajectory of a file against its mask and its tokenizer. Exits with 1 if one is wrong.

    A mask trains only what the policy sampled, and code outputs where it says so. Ids belong to the tokenizer and
    spell their texts. Prompts and feedback are what the chat template makes of them. Log-probs fit their tokens.
    """
    from r1ci_plugins.report.audit_lines import tally_lines
    from r1ci_plugins.rollout.trajectory_file import count_lines
    from r1ci_plugins.training.audit import Audit

    total = count_lines(trajectories)
    if not total:
        raise TrajectoryFileError("there is no trajectory in it", where=str(trajectories))
    setting = _settle(trajectories, tokenizer=tokenizer, mask=mask, recipe_file=recipe_file, plugins=plugins)
    audit = Audit(setting.template, setting.loss_mask)
    offenders, looked_at = _print_offences(trajectories, audit, total=total, all_offenders=all_offenders)
    for line in tally_lines(audit.tally, setting.mask, setting.model):
        typer.echo(line)
    if offenders:
        rest = "" if all_offenders else f"; looked at {looked_at} of {total}, --all looks at the rest"
        typer.secho(f"{offenders} of the lines are wrong{rest}", fg=typer.colors.RED)
        raise typer.Exit(1)
    typer.secho("ok", fg=typer.colors.GREEN)


@dataclass(frozen=True)
class _Setting:
    """What both commands check trajectories against."""

    prepared: Prepared
    model: str
    template: ChatTemplate
    mask: str
    loss_mask: LossMask


def _settle(
    file: Path | None, *, tokenizer: str | None, mask: str | None, recipe_file: Path | None, plugins: Sequence[str]
) -> _Setting:
    """What is given as an option, else what the named or the recorded recipe says."""
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.recipe.schema import Recipe
    from r1ci_plugins.report.specimen import recorded_recipe

    recipe: Recipe | Path | None = recipe_file
    if recipe is None and file:
        recipe = recorded_recipe(file)
    if recipe is None:
        if tokenizer is None:
            raise RecipeError(
                "nothing says which tokenizer to use",
                where=str(file) if file else None,
                fix="name it with --tokenizer, or a recipe with --recipe",
            )
        recipe = Recipe(output_dir=".", model=tokenizer)
    prepared = prepare(recipe, plugins=plugins, command=None)
    model, mask = tokenizer or prepared.recipe.model, mask or prepared.recipe.mask.name
    template, loss_mask = prepared.template(model), prepared.loss_mask(mask)
    return _Setting(prepared=prepared, model=model, template=template, mask=mask, loss_mask=loss_mask)


def _played(task: str, seed: int, setting: _Setting) -> Trajectory:
    from r1ci_plugins.plugins.packs import find_task
    from r1ci_plugins.report.specimen import play

    pack, found = find_task(task)
    return asyncio.run(play(pack=pack, task=found, seed=seed, prepared=setting.prepared, template=setting.template))


def _looked_at(
    trajectory: Trajectory, advantage: Mapping[str, float] | None, setting: _Setting
) -> tuple[Mapping[str, str], list[TokenRow], str]:
    """What to know about a trajectory, its tokens, and what is wrong with its mask, if anything."""
    from r1ci_plugins.report.token_rows import facts, token_rows
    from r1ci_plugins.training.loss_mask import check_invariants, output_ranges, trained_ranges
    from r1ci_plugins.training.supervised import segments_for

    if not trajectory.token_ids:
        trajectory = replace(trajectory, segments=segments_for(trajectory, setting.template))
    ranges, alarm = [], ""
    try:
        ranges = trained_ranges(trajectory, setting.loss_mask)
        check_invariants(trajectory, ranges, setting.loss_mask)
    except LossMaskError as error:
        alarm = error.what
    rows = token_rows(trajectory, ranges, setting.template.tokenizer, output_ranges(trajectory, setting.loss_mask))
    weight = setting.loss_mask.outputs_weight
    mask = f"{setting.mask}, weight {weight:g}" if weight else setting.mask
    return {**facts(trajectory, rows, advantage), "mask": mask}, rows, alarm


def _write_page(file: Path, facts: Mapping[str, str], rows: Sequence[TokenRow], alarm: str) -> None:
    from r1ci_plugins.report.token_page import page

    try:
        file.write_text(page(facts, rows, alarm), encoding="utf-8")
    except OSError as error:
        raise MachineProblem(f"the page cannot be written: {error}", where=str(file)) from error
    typer.echo(f"{len(rows)} tokens in {file}")


def _print_view(facts: Mapping[str, str], rows: Sequence[TokenRow], alarm: str, *, one_a_line: bool) -> None:
    from rich.console import Console

    from r1ci_plugins.report.token_lines import fact_lines, flowing_lines, token_lines

    console = Console(highlight=False, soft_wrap=True)
    for line in fact_lines(facts, alarm):
        console.print(line)
    console.print()
    width = console.width if console.is_terminal else None
    for line in token_lines(rows) if one_a_line else flowing_lines(rows, width):
        console.print(line)


def _print_offences(file: Path, audit: Audit, *, total: int, all_offenders: bool) -> tuple[int, int]:
    """Print offences as they are found; return how many lines have one, and how many were looked at."""
    from r1ci_plugins.report.audit_lines import offence_line
    from r1ci_plugins.report.progress import progress
    from r1ci_plugins.training.audit import audited

    offenders, line = 0, 0
    with progress(keep=False) as bars:
        bar = bars.add_task("auditing", total=total, detail="")
        for line, key, offences in audited(file, audit):
            bars.update(bar, completed=line)
            for offence in offences if all_offenders else offences[:1]:
                typer.echo(offence_line(file, line, key, offence))
            if offences:
                offenders += 1
                if not all_offenders:
                    break
    return offenders, line
