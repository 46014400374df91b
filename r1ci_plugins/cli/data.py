"""``r1ci data``: a recipe's questions as a data set, for other trainers and for the hub."""

from pathlib import Path
from typing import Annotated

import typer

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, NO_OVERRIDES, Jobs, Overrides, PluginNames, RecipeOption

app = typer.Typer(help="Write a recipe's prompts as a data set.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps ``build`` a command of its own while it is the only one."""


@app.command()
def build(
    recipe_file: RecipeOption,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The data set's folder; it is created.")],
    jobs: Jobs = None,
    overrides: Overrides = NO_OVERRIDES,
    plugins: PluginNames = DEFAULT_PLUGINS,
) -> None:
    """Write a recipe's training and held-out prompts: Parquet, JSON lines, Arrow, and a card.

    The folder loads with datasets.load_dataset and load_from_disk and with OpenRLHF, and can be uploaded to the hub as
    it is. If the command is stopped half-way, repeat it: finished questions are kept in the cache ($R1CI_CACHE).
    """
    from r1ci_plugins.engines.tokenizer import spare_torch
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.questions.dataset import is_built, require_datasets, write_dataset
    from r1ci_plugins.recipe.loading import dump
    from r1ci_plugins.report.progress import questions_with_progress

    prepared = prepare(recipe_file, plugins=plugins, command="train_ppo", overrides=overrides)
    out, provenance = out.absolute(), prepared.provenance(dump(prepared.recipe))
    if is_built(out, provenance):
        typer.echo(f"{out} is up to date")
        return
    require_datasets()
    spare_torch()
    template = prepared.template()
    train = questions_with_progress(prepared, "train", template, jobs)
    held_out = questions_with_progress(prepared, "eval", template, jobs)
    splits, notes = {"train": train.questions, "test": held_out.questions}, [*train.notes, *held_out.notes]
    write_dataset(out, splits, template.prompt_text, provenance, notes)
    for note in notes:
        typer.echo(note)
    counts = f"{len(train.questions)} training and {len(held_out.questions)} held-out prompts"
    typer.echo(f"{counts} in {out}; no two have the same text")
