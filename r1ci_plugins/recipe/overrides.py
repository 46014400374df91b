"""``--set key=value``: one key of a recipe replaced before the recipe is checked."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe import strict_yaml
from r1ci_plugins.recipe.messages import below, is_model, shown
from r1ci_plugins.recipe.schema import Recipe, flatten
from r1ci_plugins.recipe.secrets import redacted


def apply_override(data: dict[str, Any], override: str) -> None:
    """Apply one ``key=value`` to a recipe's values, in place.

    Raises:
        RecipeError: It is not written so, or names a place that is not there.
    """
    key, equals, text = override.partition("=")
    where = f"--set {redacted(override)}"
    if not equals or not all(key.split(".")):
        raise RecipeError("an override is written key=value", where=where, fix="for example --set seed=7")
    value, _ = strict_yaml.parse(text, where)
    parts = key.split(".")
    if parts[0] == "trainer" and len(parts) > 1:
        _override_flag(data, ".".join(parts[1:]), value, where)
        return
    here: Any = data
    model: Any = Recipe
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(here, list):
            if not part.isdecimal() or int(part) >= len(here):
                raise RecipeError(
                    f"{'.'.join(parts[:depth])} is a list of {len(here)}, and {part!r} is no position in it",
                    where=where,
                    fix=f"use a number from 0 to {len(here) - 1}",
                )
            index: Any = int(part)
        elif isinstance(here, dict):
            index = part
            if not last and here.get(part) is None:
                # A default that is a mapping stays: rewards.efficiency.limit=4 must not drop the other terms.
                field = model.model_fields.get(part) if is_model(model) else None
                default = None if field is None or field.is_required() else field.default
                here[part] = deepcopy(default) if isinstance(default, dict) else {}
        else:
            raise RecipeError(f"{'.'.join(parts[:depth])} is {shown(here)}, which has nothing below it", where=where)
        model = below(model, part)
        if last:
            here[index] = value
        else:
            here = here[index]


def _override_flag(data: dict[str, Any], name: str, value: object, where: str) -> None:
    """Set a trainer flag whichever way the recipe spells it; the result is spelt dotted."""
    try:
        flat = flatten(data.get("trainer") or {})
        flat |= flatten({name: value})
    except (ValueError, AttributeError) as error:
        raise RecipeError(str(error), where=where) from error
    data["trainer"] = flat
