"""``r1ci recipe``: look at recipes without running them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.errors import MachineProblem

if TYPE_CHECKING:
    from r1ci_plugins.recipe.schema import Recipe

app = typer.Typer(help="Check a recipe, show it with every default filled in, or write its JSON schema.")

RecipeFile = Annotated[Path, typer.Argument(metavar="FILE", help="The recipe, a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as protocol.max_code_calls=5."),
]
PluginNames = Annotated[
    list[str] | None, typer.Option("--plugin", metavar="NAME", help="A plugin to load; default r1ci. Repeatable.")
]


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors: `r1ci recipe schema > recipe.schema.json`."""
    from r1ci_plugins.runs.stages import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def show(file: RecipeFile, overrides: Overrides = None) -> None:
    """Print a recipe as it resolves: every default filled in, every --set applied. A staged one: stage by stage."""
    from r1ci_plugins.recipe.loading import dump

    for name, recipe, _ in _recipes(file, overrides or []):
        if name:
            typer.echo(f"--- # stage {name}")
        typer.echo(dump(recipe), nl=False)


@app.command()
def check(file: RecipeFile, overrides: Overrides = None, plugin: PluginNames = None) -> None:
    """Check all that can be checked without starting: keys, plugins, packs, tasks, options, OpenRLHF's flags."""
    for name, recipe, command in _recipes(file, overrides or []):
        for line in check_recipe(recipe, plugin or ["r1ci"], command):
            typer.echo(f"{name}: {line}" if name else line)
    typer.secho("ok", fg=typer.colors.GREEN)


def _recipes(file: Path, overrides: list[str]) -> list[tuple[str, Recipe, str]]:
    """The recipe of a file, or those of its stages: stage, recipe, and the command whose flags it has."""
    from r1ci_plugins.recipe.loading import load_recipe, read_recipe
    from r1ci_plugins.runs.stages import load_stages

    if "stages" in read_recipe(file)[0]:
        return [(stage.name, stage.recipe, stage.flags_of) for stage in load_stages(file, overrides)]
    recipe = load_recipe(file, overrides)
    return [("", recipe, "train_sft" if recipe.sft else "train_ppo")]


def check_recipe(recipe: Recipe, plugin_names: list[str], command: str) -> list[str]:
    """Check what a recipe names.

    Args:
        recipe: Loaded.
        plugin_names: Plugins to load.
        command: ``train_ppo`` or ``train_sft``: whose flags the recipe has.

    Returns:
        Lines that say what was found.

    Raises:
        R1CIError: At the first thing that is wrong.
    """
    from r1ci_plugins.plugins.packs import load_packs, pack_versions
    from r1ci_plugins.plugins.registry import assemble, load_plugins
    from r1ci_plugins.questions.selection import resolve_tasks
    from r1ci_plugins.recipe import openrlhf_flags

    plugins = load_plugins(plugin_names)
    packs = load_packs(recipe.pack_names(), plugins=plugins)
    lines = [f"using {origin}" for origin in [*plugins.versions, *pack_versions(packs)]]
    assemble(recipe, plugins)
    for name, groups in (("train", recipe.tasks.train), ("eval", recipe.tasks.eval)):
        found = [(resolve_tasks(group, packs), group) for group in groups]
        questions = sum(len(tasks) * group.count for tasks, group in found)
        lines.append(f"{name}: {sum(len(tasks) for tasks, _ in found)} tasks, {questions} questions")
    try:
        openrlhf_flags.check(plugins.trainer_arguments(recipe, command) | recipe.flags(), command)
        lines.append("trainer flags are OpenRLHF's")
    except MachineProblem as problem:
        lines.append(f"trainer flags not checked: {problem.what}")
    return lines
