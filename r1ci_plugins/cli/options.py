"""Options that several commands share: one name, one meaning, one help text."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_PLUGINS = ["r1ci"]
NO_OVERRIDES: list[str] = []

RecipeOption = Annotated[Path, typer.Option("--recipe", metavar="FILE", help="The recipe, a YAML file.")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe key, such as seed=7; may be repeated."),
]
PluginNames = Annotated[list[str], typer.Option("--plugin", metavar="NAME", help="A plugin to load; may be repeated.")]
Jobs = Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Processes; the default is one per core.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
