"""Options of what a recipe names, checked against the signature of the factory that gets them."""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from r1ci_plugins.errors import RecipeError, suggest
from r1ci_plugins.recipe.messages import message, shown
from r1ci_plugins.recipe.schema import number


def checked_options(
    factory: Callable[..., Any], options: Mapping[str, Any], *, what: str, where: str
) -> dict[str, Any]:
    """The options of a factory, checked against its signature and converted to its annotations.

    Messages say what the factory makes, and where in the recipe the options are.

    Raises:
        RecipeError: If an option is unknown, missing or of the wrong type.
    """
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # some builtins tell no signature; calling them decides
        return dict(options)
    named = {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in options:
        if name not in named and not takes_any:
            raise RecipeError(f"{what} has no option {name!r}", where=where, fix=suggest(str(name), named))
    missing = [n for n, p in named.items() if p.default is p.empty and n not in options]
    if missing:
        raise RecipeError(f"{what} needs the option {missing[0]!r}", where=where, fix=f"add {missing[0]}: ... there")
    try:
        hints = typing.get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    except (NameError, TypeError, AttributeError):  # names imported for type checkers only, partials
        hints = {}
    return {name: _converted(value, hints.get(name), name, what, where) for name, value in options.items()}


def _converted(value: object, hint: Any, name: str, what: str, where: str) -> object:
    if hint is None:
        return value
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value
    if hint in (float, float | None):
        value = number(value)
    # Strict, so that true is not taken for a number; not strict for containers, so that a YAML list serves as a tuple.
    strict = isinstance(value, bool | int | float | str)
    try:
        return adapter.validate_python(value, strict=strict)
    except ValidationError as error:
        detail = error.errors()[0]
        raise RecipeError(
            f"the option {name!r} of {what}: {message(detail)}, got {shown(detail['input'])}", where=where
        ) from error
