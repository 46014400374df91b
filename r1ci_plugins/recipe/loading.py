"""From a recipe file to a checked recipe, and back to YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from r1ci_plugins.errors import RecipeError, suggest
from r1ci_plugins.recipe import library, strict_yaml
from r1ci_plugins.recipe.messages import readable, shown
from r1ci_plugins.recipe.overrides import apply_override
from r1ci_plugins.recipe.paths import absolute
from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.recipe.secrets import redacted
from r1ci_plugins.recipe.strict_yaml import Lines


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file.

    Args:
        path: The YAML file, or ``r1ci:NAME`` for one of the package.
        overrides: ``key=value`` each: a dotted key, list items by number, and a YAML value.

    Raises:
        RecipeError: If the file, a key, a value or an override is wrong. It names the key, and the line when known.
    """
    data, lines = read_recipe(path)
    if "stages" in data:
        raise RecipeError(
            "the recipe has stages, which run one after the other",
            where=str(path),
            fix=f"run it with `r1ci run {path}`; each stage's own recipe is then in its output_dir",
        )
    for override in overrides:
        apply_override(data, override)
    return validate_recipe(
        data, " ".join([str(path), *(f"--set {redacted(override)}" for override in overrides)]), lines
    )


def read_recipe(path: str | Path) -> tuple[dict[str, Any], Lines]:
    """A recipe file as YAML has it, and the line of every key.

    Raises:
        RecipeError: The file cannot be read, or holds no mapping.
    """
    path = library.find(str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        near = sorted(str(p) for pattern in ("*.yaml", "*.yml") for p in path.parent.glob(pattern))
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        fix = (
            suggest(str(path), near)
            if near
            else f"{path.parent.absolute()} holds no recipe; give the path of one, or one of `r1ci recipe list`"
        )
        raise RecipeError(f"the recipe {path} cannot be read: {reason}", fix=fix) from error
    data, lines = strict_yaml.parse(text, str(path))
    if not isinstance(data, dict):
        given = "is empty" if data is None else f"holds {shown(data)}"
        raise RecipeError(
            f"the recipe {given}; a mapping of keys to values is expected",
            where=str(path),
            fix="`r1ci recipe new` writes one, and `r1ci recipe list` has some to start from",
        )
    return data, lines


def validate_recipe(data: Mapping[str, Any], where: str, lines: Lines) -> Recipe:
    """A recipe's values, checked.

    Args:
        data: As YAML has them.
        where: Where they come from, for messages.
        lines: Line numbers of keys, for messages.

    Raises:
        RecipeError: A key or a value is wrong.
    """
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise readable(error, Recipe, where, lines) from error


def dump(recipe: Recipe) -> str:
    """The recipe with every default filled in, as YAML that loads back equal."""
    return strict_yaml.dump(recipe.model_dump())


def dump_for_record(recipe: Recipe) -> str:
    """``dump``, with the paths of what is on this machine made absolute: a run is looked at from other folders too."""
    values = recipe.model_dump()
    values["model"] = absolute(values["model"])
    values["sandbox"]["python"] = absolute(values["sandbox"]["python"])
    if values["sft"]:
        values["sft"]["trajectories"] = absolute(values["sft"]["trajectories"])
    if values["synthesis"]["local"]:
        values["synthesis"]["local"]["model"] = absolute(values["synthesis"]["local"]["model"])
    for group in (*values["tasks"]["train"], *values["tasks"]["eval"]):
        if group["suite"] and "/" in group["suite"]:
            group["suite"] = absolute(group["suite"])
    return strict_yaml.dump(values)
