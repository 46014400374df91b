"""What pydantic finds wrong with a recipe, said in a recipe's own words: key, line, and the nearest right key."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from r1ci_plugins.errors import RecipeError, nearest, suggest
from r1ci_plugins.recipe.strict_yaml import Lines


def readable(error: ValidationError, root: type[BaseModel], where: str, lines: Lines) -> RecipeError:
    """The error that a recipe's writer reads.

    Args:
        error: All that pydantic found.
        root: The model of the whole recipe, whose keys are suggested.
        where: Where the values come from.
        lines: Line numbers of keys.
    """
    problems: list[str] = []
    fixes: list[str] = []
    numbers: list[int] = []
    for detail in error.errors():
        # pydantic adds the kind of a union's member to the location; keys and list positions come first.
        path = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            problems.append(f"{path}: there is no such key")
            fixes.append(_right_key(root, detail["loc"], detail["input"]))
        elif detail["type"] == "missing":
            problems.append(f"{path}: this key is required")
        elif detail["type"] == "value_error":
            problems.append((f"{path}: " if path else "") + message(detail))
        else:
            problems.append(f"{path}: {message(detail)}, got {shown(detail['input'])}")
        known = [lines[detail["loc"][:n]] for n in range(len(detail["loc"]), 0, -1) if detail["loc"][:n] in lines]
        numbers += known[:1]
    place = f"{where}, line {', '.join(map(str, dict.fromkeys(numbers)))}" if numbers else where
    return RecipeError("\n".join(problems), where=place, fix="; ".join(filter(None, fixes)) or None)


def message(detail: ErrorDetails) -> str:
    """One finding of pydantic's without its jargon."""
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    text = text.replace("a valid string", "text").replace("valid dictionary", "mapping")
    return text.replace("a valid boolean", "true or false").replace(" after validation", "")


def _right_key(root: type[BaseModel], location: Sequence[str | int], value: object) -> str:
    wrong = str(location[-1])
    model: Any = root
    for part in location[:-1]:
        model = below(model, part)
    fields = list(model.model_fields) if is_model(model) else []
    elsewhere = [path for path in _paths(root) if path.rpartition(".")[2] == wrong]
    if nearest(wrong, fields) is None and elsewhere:
        return f"did you mean {elsewhere[0]!r}?"
    if len(location) == 1 and ("." in wrong or (isinstance(value, Mapping) and nearest(wrong, fields) is None)):
        return f"OpenRLHF's flags go under trainer:, as in trainer.{wrong}"
    return suggest(wrong, fields)


def is_model(annotation: object) -> bool:
    """Whether a type is a section of a recipe."""
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def below(annotation: Any, part: str | int) -> Any:
    """The type of what lies under a key or list position; None when it is free."""
    if is_model(annotation) and part in annotation.model_fields:
        return annotation.model_fields[part].annotation
    if typing.get_origin(annotation) in (list, types.UnionType):
        return next((argument for argument in typing.get_args(annotation) if is_model(argument)), None)
    return None


def _paths(model: Any, prefix: str = "") -> Iterable[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if is_model(field.annotation):
            yield from _paths(field.annotation, f"{prefix}{name}.")


def shown(value: object) -> str:
    """A YAML value as its writer would call it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Collection) and not isinstance(value, str):
        return "a list"
    text = repr(value)
    return f"{'the text ' if isinstance(value, str) else ''}{text if len(text) <= 60 else text[:57] + '...'}"
