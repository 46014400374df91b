"""``r1ci mask``: which tokens of a trajectory are trained, for everybody to see, and whether that is right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.errors import LossMaskError, MachineProblem, RecipeError, TrajectoryFileError

if TYPE_CHECKING:
    from r1ci_plugins.plugins.registry import Plugins
    from r1ci_plugins.protocol.chat_template import ChatTemplate
    from r1ci_plugins.recipe.schema import Recipe
    from r1ci_plugins.report.token_rows import TokenRow
    from r1ci_plugins.rollout.trajectory import Trajectory
    from r1ci_plugins.training.audit import Audit, Offence, Tally
    from r1ci_plugins.training.loss_mask import LossMask, Range

app = typer.Typer(help="Show which tokens of a trajectory are trained; check a whole file.", no_args_is_help=True)

TokenizerName = Annotated[
    str | None, typer.Option("--tokenizer", metavar="MODEL", help="Model folder or hub name; default the recipe's.")
]
MaskName = Annotated[
    str | None,
    typer.Option("--mask", metavar="NAME", help="masked, unmasked or a plugin's; default the recipe's, else masked."),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe", metavar="FILE", help="The recipe of the trajectories; default the one recorded with the file."
    ),
]
PluginNames = Annotated[
    list[str] | None, typer.Option("--plugin", metavar="NAME", help="A plugin to load; default r1ci. Repeatable.")
]


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Recorded trajectories, .jsonl.gz or .jsonl.")
    ] = None,
    number: Annotated[int | None, typer.Option(min=1, help="Which line of the file; default the first.")] = None,
    key: Annotated[str | None, typer.Option(help="Instead of a line: the question's key, or its beginning.")] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="PACK/TASK", help="Instead of a file: play a reference program and the right answer."),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --task: which question.")] = 0,
    tokenizer: TokenizerName = None,
    mask: MaskName = None,
    html: Annotated[Path | None, typer.Option(metavar="OUT.html", help="Write a page instead.")] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="One token a line, with all that is known of it.")] = False,
    recipe_file: RecipeFile = None,
    plugin: PluginNames = None,
) -> None:
    """Show a trajectory token by token: who wrote it, in which turn, with which log-prob, and whether it is trained.

    A token that a mask trains though the policy did not write it is a leak: see --mask unmasked, the paper's ablation.
    """
    from r1ci_plugins.report.token_page import page
    from r1ci_plugins.report.token_rows import facts, token_rows
    from r1ci_plugins.training.loss_mask import check_invariants, trained_ranges
    from r1ci_plugins.training.supervised import segments_for

    if (file is None) == (task is None):
        raise typer.BadParameter("name either a file of trajectories or --task PACK/TASK")
    setting = _settle(file, task, tokenizer, mask, recipe_file, plugin or ["r1ci"])
    if file is not None:
        trajectory = _chosen(file, number, key)
    else:
        assert task is not None  # one of the two
        trajectory = asyncio.run(_play(task, seed, setting, plugin or ["r1ci"]))
    if not trajectory.token_ids:
        trajectory = replace(trajectory, segments=segments_for(trajectory, setting.template))
    ranges: list[Range] = []
    alarm = ""
    try:
        ranges = trained_ranges(trajectory, setting.loss_mask)
        check_invariants(trajectory, ranges, sampled_only=setting.sampled_only)
    except LossMaskError as error:
        alarm = error.what
    rows = token_rows(trajectory, ranges, setting.template.tokenizer)
    about = {**facts(trajectory, rows, _advantage(file, trajectory)), "mask": setting.mask}
    if html is None:
        _print_view(about, rows, alarm, one_a_line=tokens)
        return
    try:
        html.write_text(page(about, rows, alarm), encoding="utf-8")
    except OSError as error:
        raise MachineProblem(f"the page cannot be written: {error}", where=str(html)) from error
    typer.echo(f"{len(rows)} tokens in {html}")


@app.command()
def audit(
    trajectories: Annotated[Path, typer.Option(metavar="FILE", help="Recorded trajectories, .jsonl.gz or .jsonl.")],
    tokenizer: TokenizerName = None,
    mask: MaskName = None,
    all_offenders: Annotated[bool, typer.Option("--all", help="List every offender; default the first.")] = False,
    recipe_file: RecipeFile = None,
    plugin: PluginNames = None,
) -> None:
    """Check every trajectory of a file against its mask and its tokenizer. Exits with 1 if one offends.

    Only what the policy sampled is trained (of the ablation: and code outputs); ids are the tokenizer's and those of
    their texts; prompts and feedback are what the chat template makes of them; log-probs fit; a trajectory that is
    excluded trains nothing.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from r1ci_plugins.rollout.trajectory_file import count_lines
    from r1ci_plugins.training.audit import Audit

    total = count_lines(trajectories)
    if not total:
        raise TrajectoryFileError("there is no trajectory in it", where=str(trajectories))
    setting = _settle(trajectories, None, tokenizer, mask, recipe_file, plugin or ["r1ci"])
    audit = Audit(setting.template, setting.loss_mask, setting.sampled_only)
    offenders, line = 0, 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("auditing", total=total)
        for line, key, offences in _audited(trajectories, audit):
            progress.update(bar, completed=line)
            for offence in offences if all_offenders else offences[:1]:
                typer.echo(_offence_text(trajectories, line, key, offence))
            offenders += bool(offences)
            if offences and not all_offenders:
                break
    _print_tally(audit.tally, setting)
    if offenders:
        rest = "" if all_offenders else f"; looked at {line} of {total}, --all looks at the rest"
        typer.secho(f"{offenders} of the lines offend{rest}", fg=typer.colors.RED)
        raise typer.Exit(1)
    typer.secho("ok", fg=typer.colors.GREEN)


@dataclass(frozen=True)
class _Setting:
    """What both commands hold trajectories against."""

    recipe: Recipe
    plugins: Plugins
    model: str
    template: ChatTemplate
    mask: str
    loss_mask: LossMask

    @property
    def sampled_only(self) -> bool:
        return self.mask == "masked"


def _settle(
    file: Path | None,
    task: str | None,
    tokenizer: str | None,
    mask: str | None,
    recipe_file: Path | None,
    plugin_names: Sequence[str],
) -> _Setting:
    """Options first, then the recipe that is named or recorded, then defaults.

    Raises:
        RecipeError: It is not known which tokenizer to use; or a name is unknown.
        MachineProblem, TemplateError: The tokenizer cannot be used.
    """
    from r1ci_plugins.engines.tokenizer import load_template
    from r1ci_plugins.plugins.registry import load_plugins
    from r1ci_plugins.recipe.loading import load_recipe
    from r1ci_plugins.recipe.schema import Recipe

    recipe = load_recipe(recipe_file) if recipe_file else _recorded_recipe(file) if file else None
    model = tokenizer or (recipe.model if recipe else None)
    if model is None:
        raise RecipeError(
            f"it is not known which tokenizer {'made the file' if file else 'to use'}",
            where=str(file or task),
            fix="name it with --tokenizer, or a recipe with --recipe",
        )
    recipe = recipe or Recipe(output_dir=".", model=model)
    mask = mask or recipe.mask.code_outputs
    plugins = load_plugins(plugin_names)
    loss_mask = plugins.make("loss_masks", mask, {})
    protocol = recipe.protocol
    answer_format = plugins.make("answer_formats", protocol.answer_format, protocol.answer_format_options)
    template = load_template(model, protocol.instructions or answer_format.instructions)
    return _Setting(recipe, plugins, model, template, mask, loss_mask)


def _recorded_recipe(file: Path) -> Recipe | None:
    """The recipe of the run or of the synthesis that wrote a file, if it still lies in its folder."""
    import yaml

    from r1ci_plugins.recipe.loading import load_recipe
    from r1ci_plugins.recipe.schema import Recipe

    run, build = file.absolute().parent.parent / "recipe.yaml", file.absolute().parent / "build.json"
    if run.exists():
        return load_recipe(run)
    if not build.exists():
        return None
    try:
        return Recipe.model_validate(yaml.safe_load(json.loads(build.read_text(encoding="utf-8"))["recipe"]))
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise RecipeError(
            f"the recipe recorded with the file cannot be read: {error}",
            where=str(build),
            fix="name the recipe with --recipe",
        ) from error


def _advantage(file: Path | None, trajectory: Trajectory) -> dict[str, float] | None:
    """What the trainer made of a trajectory's reward, if the run that recorded it has trained on it."""
    from r1ci_plugins.rollout.run_folder import RunFolder, read_lines

    lines = read_lines(RunFolder(file.absolute().parent.parent).advantages) if file else ()
    return next((line for line in lines if line.get("trajectory") == trajectory.fingerprint), None)


def _chosen(file: Path, number: int | None, key: str | None) -> Trajectory:
    """One trajectory of a file.

    Raises:
        TrajectoryFileError: There is no such one, or its line is broken.
    """
    from r1ci_plugins.rollout.trajectory_file import read_records

    line = 0
    for line, record in enumerate(read_records(file), 1):
        if isinstance(record, TrajectoryFileError):
            if key is None and line == (number or 1):
                raise record
        elif record.question.key.startswith(key) if key is not None else line == (number or 1):
            return record
    wanted = f"no trajectory of a question {key!r}" if key is not None else f"no line {number or 1}"
    raise TrajectoryFileError(f"there is {wanted} among {line} lines", where=str(file))


async def _play(task: str, seed: int, setting: _Setting, plugin_names: Sequence[str]) -> Trajectory:
    """A fresh trajectory: a question's reference program and right answer, through the real loop and sandbox.

    Raises:
        RecipeError: The answer format can be read, but not written.
        SandboxUnavailable: The sandbox cannot start safely.
    """
    from r1ci_plugins.cli.tasks import find
    from r1ci_plugins.engines.scripted import ScriptedEngine
    from r1ci_plugins.environment import make_environment
    from r1ci_plugins.protocol.answer_format import WritableFormat
    from r1ci_plugins.questions.splits import draw
    from r1ci_plugins.rollout.loop import Budget

    pack, found = find(task)
    (question,) = draw(pack, found, "sft", seed, 1)
    recipe, template, whole = setting.recipe, setting.template, Budget()
    environment = make_environment(recipe, setting.plugins, plugin_names, [pack], whole.max_total_tokens)
    writes = environment.parts.answer_format
    if not isinstance(writes, WritableFormat):
        raise RecipeError(
            f"the answer format {type(writes).__name__} can be read, but not written",
            where="recipe key protocol.answer_format",
            fix="use another one, or look at recorded trajectories",
        )
    turns = [writes.code_turn("I compute it.", program.code) for program in found.programs(question)[:1]]
    turns.append(writes.answer_turn("That is the answer." if turns else "I know the answer.", question.answer))
    engine = ScriptedEngine(turns, lambda text: list(template.action(text).token_ids), log_prob=None)
    # Nothing shall be cut: a recipe's caps are meant for a model that learns.
    environment = replace(environment, budget=replace(whole, max_output_chars=recipe.protocol.max_output_chars))
    try:
        await environment.start()
        return await environment.episode(question, engine, template)
    finally:
        await environment.close()


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


def _audited(file: Path, audit: Audit) -> Iterator[tuple[int, str, list[Offence]]]:
    """Number, question and offences of every line."""
    from r1ci_plugins.rollout.trajectory_file import read_records
    from r1ci_plugins.training.audit import Offence

    for line, record in enumerate(read_records(file), 1):
        if isinstance(record, TrajectoryFileError):
            yield line, "", [Offence(record.what, record.fix or "remove the line, or record the trajectories anew")]
        else:
            yield line, record.question.key, list(audit.offences(record))


def _offence_text(file: Path, line: int, key: str, offence: Offence) -> str:
    from r1ci_plugins.report.token_rows import plain

    position = "" if offence.position is None else f", token {offence.position}"
    where = ": ".join(filter(None, (f"{file}, line {line}{position}", key)))
    return f"{plain(where)}\n  what:  {plain(offence.what)}\n  fix:   {offence.fix}"


def _print_tally(tally: Tally, setting: _Setting) -> None:
    """Counts of trajectories and of tokens by kind."""
    from r1ci_plugins.protocol.segments import SegmentKind

    notes = [f"{tally.trajectories} trajectories, mask {setting.mask}, tokenizer {setting.model}"]
    notes += [f"{tally.excluded} excluded, which train nothing"] if tally.excluded else []
    notes += [f"{tally.textual} recorded as text alone and rendered"] if tally.textual else []
    typer.echo("; ".join(notes))
    typer.echo(f"{'kind':<12}{'tokens':>12}{'trained':>12}{'share':>9}")
    for kind in [*SegmentKind, None]:
        tokens = tally.tokens.total() if kind is None else tally.tokens[kind]
        trained = tally.trained.total() if kind is None else tally.trained[kind]
        name = kind.value if kind else "all"
        typer.echo(f"{name:<12}{tokens:>12}{trained:>12}{trained / max(1, tokens):>9.1%}")
    leaks = tally.trained.total() - tally.trained[SegmentKind.ACTION]
    if leaks:
        typer.echo(f"{leaks} tokens are trained though the policy did not write them")
