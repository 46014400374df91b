"""``r1ci data``: a recipe's questions as a data set, for other trainers and for the hub."""

from __future__ import annotations

import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Write a recipe's prompts as a data set.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps ``build`` a command of its own while it is the only one."""


@app.command()
def build(
    recipe_file: Annotated[Path, typer.Option("--recipe", metavar="FILE", help="The recipe, a YAML file.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The data set's folder; it is created.")],
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Processes; default one per core.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe.")
    ] = None,
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", metavar="NAME", help="A plugin to load; default r1ci. Repeatable.")
    ] = None,
) -> None:
    """Write a recipe's training and held-out prompts: Parquet, JSON lines, Arrow, and a card.

    The folder loads with datasets.load_dataset and load_from_disk, with OpenRLHF, and can be uploaded to the hub as it
    is. Stopped half-way, the same command goes on: finished questions are kept in the cache ($R1CI_CACHE).
    """
    from r1ci_plugins.engines.tokenizer import load_template
    from r1ci_plugins.plugins.packs import load_packs, pack_versions
    from r1ci_plugins.plugins.registry import assemble, load_plugins
    from r1ci_plugins.questions.cache import pack_source
    from r1ci_plugins.questions.dataset import Provenance, is_built, require_datasets, write_dataset
    from r1ci_plugins.questions.fitting import fitting_questions, room_for_prompt
    from r1ci_plugins.recipe.loading import dump, load_recipe

    names, out = plugin or ["r1ci"], out.absolute()
    recipe = load_recipe(recipe_file, overrides or [])
    plugins = load_plugins(names)
    packs = load_packs(recipe.pack_names(), plugins=plugins)
    origins = [*plugins.versions, *pack_versions(packs)]
    provenance = Provenance(
        dump(recipe),
        shlex.join(["r1ci", *sys.argv[1:]]),
        [f"python {platform.python_version()}", f"r1ci-plugins {version('r1ci-plugins')}", *map(str, origins)],
        {name: pack_source(pack) for name, pack in packs.items()},
    )
    if is_built(out, provenance):
        typer.echo(f"{out} is up to date")
        return
    require_datasets()
    template = load_template(recipe.model, assemble(recipe, plugins).instructions)
    room = room_for_prompt(recipe, plugins.trainer_arguments(recipe, "train_ppo") | recipe.flags())
    train = fitting_questions(recipe, "train", packs, names, template, room, jobs)
    held_out = fitting_questions(recipe, "eval", packs, names, template, room, jobs)
    notes = [*train.notes, *held_out.notes]
    write_dataset(out, {"train": train.questions, "test": held_out.questions}, template.prompt_text, provenance, notes)
    for note in notes:
        typer.echo(note)
    typer.echo(
        f"{len(train.questions)} training and {len(held_out.questions)} held-out prompts in {out}; "
        "no two have the same text"
    )
