"""``r1ci synthesize``: trajectories for supervised fine-tuning."""

from __future__ import annotations

import asyncio
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from r1ci_plugins.protocol.answer_format import AnswerFormat
    from r1ci_plugins.recipe.schema import Recipe
    from r1ci_plugins.rollout.loop import Budget
    from r1ci_plugins.synthesis.part import Statistics
    from r1ci_plugins.synthesis.production import Choice, Maker, Part
    from r1ci_plugins.synthesis.teacher import Teacher
    from r1ci_plugins.tasks.task import Question, Task, TaskPack


def synthesize(
    recipe_file: Annotated[Path, typer.Option("--recipe", metavar="FILE", help="The recipe, a YAML file.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to; default the folder synthesis in output_dir.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="Processes that make questions; default one per core.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe.")
    ] = None,
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", metavar="NAME", help="A plugin to load; default r1ci. Repeatable.")
    ] = None,
) -> None:
    """Make trajectories to learn from, of a teacher or of the tasks' own programs, and keep the good ones.

    The recipe's section synthesis says how. Stopped half-way, by Ctrl-C, a crash or a full disk, the same command goes
    on: finished tasks are on the disk, and so is every reply of a paid teacher.
    """
    from r1ci_plugins.engines.tokenizer import load_template
    from r1ci_plugins.environment import make_environment
    from r1ci_plugins.plugins.packs import load_packs, pack_versions
    from r1ci_plugins.plugins.registry import load_plugins
    from r1ci_plugins.questions.cache import pack_source
    from r1ci_plugins.questions.dataset import Provenance, require_datasets
    from r1ci_plugins.questions.fitting import room_for_prompt
    from r1ci_plugins.recipe.loading import load_recipe
    from r1ci_plugins.synthesis import trajectory_dataset
    from r1ci_plugins.synthesis.part import Part
    from r1ci_plugins.synthesis.production import Choice, Maker

    names = plugin or ["r1ci"]
    recipe = load_recipe(recipe_file, overrides or [])
    plugins = load_plugins(names)
    packs = load_packs(recipe.pack_names(), plugins=plugins)
    origins = [*plugins.versions, *pack_versions(packs)]
    context = room_for_prompt(recipe, plugins.trainer_arguments(recipe, "train_sft") | recipe.flags())
    environment = make_environment(recipe, plugins, names, sorted(packs), context)
    parts, budget, section = environment.parts, environment.budget, recipe.synthesis
    require_datasets()
    template = load_template(recipe.model, parts.instructions)
    folder = out or Path(recipe.output_dir) / "synthesis"
    provenance = Provenance(
        _what_decides(recipe, budget.max_total_tokens),
        shlex.join(["r1ci", *sys.argv[1:]]),
        [f"python {platform.python_version()}", f"r1ci-plugins {version('r1ci-plugins')}", *map(str, origins)],
        {name: pack_source(pack) for name, pack in packs.items()},
    )
    trajectory_dataset.open_folder(folder, provenance)
    teacher = _teacher(recipe, parts.answer_format, parts.instructions, budget)
    maker = Maker(
        teacher,
        template,
        parts.answer_format,
        environment.code_runner,
        budget,
        environment.verifier,
    )
    choice = Choice(
        section.per_task,
        section.attempts,
        section.keep_only_correct,
        section.prompt_diversity,
        section.multi_turn_emphasis,
        section.near_duplicate,
        section.concurrency,
    )
    questions = _questions(recipe, packs, names, jobs)
    files = {name: Part(folder / "parts", name) for name in questions}
    started = time.monotonic()
    try:
        statistics = asyncio.run(_run(questions, maker, choice, files))
    except KeyboardInterrupt:
        typer.secho(f"stopped; the same command goes on from what is finished in {folder}", err=True)
        raise typer.Exit(130) from None
    notes = _notes(recipe, statistics)
    trajectory_dataset.write(folder, list(files.values()), statistics, parts.instructions, provenance, notes)
    kept, tried = sum(one.kept for one in statistics), sum(one.orders for one in statistics)
    for note in notes:
        typer.echo(note)
    typer.echo(f"{kept} trajectories of {tried} tried in {folder}, {time.monotonic() - started:.0f} s")


def _what_decides(recipe: Recipe, max_total_tokens: int) -> str:
    """The resolved recipe with defaults where a key changes no trajectory: then the same command goes on all the same.

    Among them are the trainer's flags (the length of its context apart), rewards, the budget and the rates.
    """
    from r1ci_plugins.recipe.loading import dump

    deciding = ("model", "seed", "tasks", "protocol", "sandbox", "verifier", "synthesis")
    fields = type(recipe).model_fields
    others = {name: field.default for name, field in fields.items() if name not in (*deciding, "output_dir")}
    section, endpoint = recipe.synthesis, recipe.synthesis.endpoint
    if endpoint is not None:
        free = ("requests_per_minute", "tokens_per_minute", "timeout_s", "retries", "max_cost", "max_tokens")
        fields = type(endpoint).model_fields
        endpoint = endpoint.model_copy(update={name: fields[name].default for name in free})
    section = section.model_copy(update={"endpoint": endpoint, "concurrency": type(section)().concurrency})
    changed = {
        "output_dir": "runs/synthesis",
        "tasks": recipe.tasks.model_copy(update={"eval": []}),
        "protocol": recipe.protocol.model_copy(update={"max_total_tokens": max_total_tokens}),
        "synthesis": section,
    }
    return dump(recipe.model_copy(update={**others, **changed}))


def _teacher(recipe: Recipe, answer_format: AnswerFormat, instructions: str, budget: Budget) -> Teacher:
    """The teacher that the recipe names, not started."""
    section = recipe.synthesis
    if section.teacher == "programs":
        from r1ci_plugins.synthesis.program_teacher import ProgramTeacher

        # Text alone is for the two variants that leave the means open, half of all when variants take turns.
        share = section.text_share * (2 if section.prompt_diversity else 1)
        return ProgramTeacher(answer_format, min(1.0, share), section.multi_turn_emphasis, section.explanations)
    if section.teacher == "endpoint":
        from r1ci_plugins.questions.cache import cache_folder
        from r1ci_plugins.synthesis.endpoint_teacher import EndpointTeacher
        from r1ci_plugins.synthesis.reply_cache import ReplyCache
        from r1ci_plugins.synthesis.spending import Ledger, RateLimit

        given = section.endpoint
        assert given is not None  # as validated
        return EndpointTeacher(
            given.model,
            instructions,
            budget.max_turn_tokens,
            ReplyCache(cache_folder() / "replies"),
            Ledger(given.prompt_price, given.completion_price, given.max_cost, given.max_tokens),
            RateLimit(given.requests_per_minute, given.tokens_per_minute),
            given.base_url,
            given.api_key_variable,
            given.temperature,
            given.timeout_s,
            given.retries,
        )
    from r1ci_plugins.engines.tokenizer import load_template
    from r1ci_plugins.engines.vllm import LocalVLLM
    from r1ci_plugins.synthesis.model_teacher import ModelTeacher
    from r1ci_plugins.synthesis.variant import Variant, head_prompt

    model = section.local
    assert model is not None  # as validated
    templates = {variant: load_template(model.model, head_prompt(instructions, variant)) for variant in Variant}
    engine = LocalVLLM(
        model.model,
        budget.max_total_tokens,
        model.temperature,
        recipe.seed,
        model.tensor_parallel_size,
        model.gpu_memory_utilization,
    )
    return ModelTeacher(model.model, engine, templates, answer_format, budget.max_turn_tokens)


def _questions(
    recipe: Recipe, packs: Mapping[str, TaskPack], plugins: Sequence[str], jobs: int | None
) -> dict[str, tuple[Task, list[Question]]]:
    """The questions to work on, of the split ``sft``, by task."""
    from dataclasses import replace

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from r1ci_plugins.questions.drawing import draw_all
    from r1ci_plugins.questions.selection import resolve_draws

    draws = [replace(draw, split="sft") for draw in resolve_draws(recipe, "train", packs)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("generating questions", total=sum(draw.count for draw in draws))
        drawn = draw_all(draws, packs, plugins, jobs=jobs, progress=lambda n: progress.update(bar, completed=n))
    questions: dict[str, tuple[Task, list[Question]]] = {}
    for draw, some in zip(draws, drawn, strict=True):
        task = packs[draw.pack][draw.task]
        questions.setdefault(f"{draw.pack}/{draw.task}", (task, []))[1].extend(some)
    return questions


async def _run(
    questions: Mapping[str, tuple[Task, Sequence[Question]]], maker: Maker, choice: Choice, files: Mapping[str, Part]
) -> list[Statistics]:
    """Make all parts, with a bar for all tasks and one for each that is being worked on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from r1ci_plugins.synthesis.production import produce

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[detail]}")) as progress:
        whole = progress.add_task("tasks", total=len(questions), detail="")
        bars = {name: progress.add_task(name, total=choice.per_task, detail="", visible=False) for name in questions}
        kept: dict[str, int] = {}

        def show(one: Statistics, done: bool) -> None:
            kept[one.task] = one.kept
            rejected = ", ".join(f"{reason} {count}" for reason, count in one.rejections.most_common(2))
            progress.update(bars[one.task], completed=one.kept, detail=rejected, visible=not done)
            progress.update(whole, advance=int(done), detail=f"{sum(kept.values())} trajectories")

        try:
            await maker.code_runner.sandbox.start()
            await maker.teacher.start()
            return await produce(questions, maker, choice, files, show)
        finally:
            await maker.teacher.close()
            await maker.verifier.close()
            await maker.code_runner.sandbox.close()


def _notes(recipe: Recipe, statistics: Sequence[Statistics]) -> list[str]:
    """What somebody should know before using the result."""
    nothing = [one.task for one in statistics if not one.kept]
    few = [one.task for one in statistics if 0 < one.kept < recipe.synthesis.per_task]
    stopped = [one.task for one in statistics if not one.complete]
    notes = []
    if nothing:
        why = " (no reference programs)" if recipe.synthesis.teacher == "programs" else ""
        notes.append(f"{len(nothing)} tasks gave nothing{why}: {', '.join(nothing)}")
    if few:
        notes.append(f"{len(few)} tasks gave fewer than {recipe.synthesis.per_task}: {', '.join(few)}")
    if stopped:
        notes.append(
            f"the budget ended {len(stopped)} tasks early; with a higher one the same command goes on: "
            f"{', '.join(stopped)}"
        )
    return notes
