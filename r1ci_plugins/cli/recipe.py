"""``r1ci recipe``: look at recipes without running them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, NO_OVERRIDES, Overrides, PluginNames

if TYPE_CHECKING:
    from r1ci_plugins.environment import Command
    from r1ci_plugins.recipe.schema import Recipe

app = typer.Typer(help="Check a recipe, show it with every default filled in, or write its JSON schema.")

RecipeFile = Annotated[Path, typer.Argument(metavar="FILE", help="The recipe, a YAML file.")]


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors: `r1ci recipe schema > recipe.schema.json`."""
    from r1ci_plugins.runs.stages import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def show(file: RecipeFile, overrides: Overrides = NO_OVERRIDES) -> None:
    """Print a recipe with every default filled in and every --set applied. A staged one is shown stage by stage."""
    from r1ci_plugins.recipe.loading import dump

    for name, recipe, _ in _recipes(file, overrides):
        if name:
            typer.echo(f"--- # stage {name}")
        typer.echo(dump(recipe), nl=False)


@app.command()
def check(file: RecipeFile, overrides: Overrides = NO_OVERRIDES, plugins: PluginNames = DEFAULT_PLUGINS) -> None:
    """Check all that can be checked without starting: keys, plugins, packs, tasks, options, OpenRLHF's flags."""
    from r1ci_plugins.environment import prepare

    for name, recipe, command in _recipes(file, overrides):
        for line in prepare(recipe, plugins=plugins, command=command).findings():
            typer.echo(f"{name}: {line}" if name else line)
    typer.secho("ok", fg=typer.colors.GREEN)


def _recipes(file: Path, overrides: list[str]) -> list[tuple[str, Recipe, Command]]:
    """The recipe of a file, or those of its stages: stage, recipe, and the command whose flags it has."""
    from r1ci_plugins.recipe.loading import load_recipe, read_recipe
    from r1ci_plugins.runs.stages import load_stages

    if "stages" in read_recipe(file)[0]:
        return [(stage.name, stage.recipe, stage.flags_of) for stage in load_stages(file, overrides)]
    recipe = load_recipe(file, overrides)
    return [("", recipe, "train_sft" if recipe.sft else "train_ppo")]
