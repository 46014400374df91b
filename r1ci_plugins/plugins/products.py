"""What the factories of plugins make, checked when a run is put together and not when it is under way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from r1ci_plugins.errors import PluginError
from r1ci_plugins.plugins.discovery import Origin
from r1ci_plugins.training.loss_mask import LossMask

_CALLED_WITH: Mapping[str, tuple[str, ...]] = {
    "reward_terms": ("trajectory",),
    "loss_masks": ("trajectory",),
    "verifiers": ("task", "question", "answer"),
}
"""What is made by these kinds of factories is itself called, with these arguments."""

_TRAJECTORY = ("trajectory", "traj", "t", "episode", "_")
"""What people call the one argument of a reward term or a mask."""

_NOUNS: Mapping[str, str] = {
    "answer_formats": "answer format", "sandboxes": "sandbox", "verifiers": "verifier", "reward_terms": "reward term",
    "loss_masks": "loss mask",
}  # fmt: skip


def check_factory(
    kind: str, name: str, factory: Callable[..., Any], options: Mapping[str, Any], owner: Origin | None
) -> None:
    """Refuse what is the thing itself and not its factory: it wants what a run would give it, not options.

    Raises:
        PluginError: It is.
    """
    wanted = _CALLED_WITH.get(kind)
    if wanted is None or inspect.isclass(factory):
        return
    missing = [parameter for parameter in _required(factory) if parameter not in options]
    if missing and (tuple(missing) == wanted or len(missing) == 3 == len(wanted) or missing[0] in _TRAJECTORY):
        raise _error(
            kind,
            name,
            f"takes {', '.join(missing)}: it is the {_NOUNS[kind]} itself, and a factory of it is expected",
            owner,
            f'register what makes it from its options: {{"{name}": lambda: {getattr(factory, "__name__", name)}}}',
        )


def check_product(kind: str, name: str, made: object, owner: Origin | None) -> None:
    """Check that what a factory made has all that a run will ask of it.

    Raises:
        PluginError: It has not; the message names what is missing.
    """
    asked = made.ranges if isinstance(made, LossMask) else made
    problem = next(_problems(kind, asked), None)
    if problem is not None:
        what = f"makes {_shown(made)}, which {problem}"
        raise _error(
            kind, name, what, owner, f"see r1ci_{kind} in r1ci_plugins/hookspecs.py and the protocol it names"
        )


def _problems(kind: str, made: object) -> Iterator[str]:
    if kind in _CALLED_WITH:
        wanted = _CALLED_WITH[kind]
        if made is None:
            yield "is nothing: the factory returns no value"
        elif not callable(made):
            yield f"cannot be called with ({', '.join(wanted)})"
        elif inspect.iscoroutinefunction(made):
            yield "is async; a plain function is expected"
        elif not _takes(made, len(wanted)):
            yield f"does not take ({', '.join(wanted)})"
    elif kind == "answer_formats":
        yield from _format_problems(made)
    elif kind == "sandboxes":
        yield from _sandbox_problems(made)


def _format_problems(made: object) -> Iterator[str]:
    instructions, stop = getattr(made, "instructions", None), getattr(made, "stop", None)
    if not isinstance(instructions, str) or not instructions.strip():
        yield "has no text `instructions`, the head prompt"
    if not isinstance(stop, tuple | list) or not all(isinstance(text, str) and text for text in stop):
        yield "has no `stop`, a tuple of texts at which a turn may end; () if there are none"
    if not callable(getattr(made, "parse", None)):
        yield "has no method `parse(text)`"
    elif not _takes(made.parse, 1):  # type: ignore[attr-defined]
        yield "has a `parse` that does not take (text)"


def _sandbox_problems(made: object) -> Iterator[str]:
    if not isinstance(getattr(made, "isolation", None), str):
        yield "has no text `isolation`, which every result names"
    for method, count in (("start", 0), ("run", 2), ("close", 0)):
        found = getattr(made, method, None)
        if not callable(found):
            yield f"has no method `{method}`"
        elif inspect.isgeneratorfunction(found) or (
            inspect.ismethod(found) and not inspect.iscoroutinefunction(found)
        ):
            yield f"has a `{method}` that is not async"
        elif not _takes(found, count):
            yield f"has a `{method}` that does not take {count} arguments"


def _required(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [one.name for one in parameters if one.kind in positional and one.default is one.empty]


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many positional arguments; True where it does not tell."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _error(kind: str, name: str, what: str, owner: Origin | None, fix: str) -> PluginError:
    of = f" of the {owner.kind} {owner.name!r}" if owner else ""
    where = f"{owner.distribution} {owner.version}" if owner else None
    return PluginError(f"the {_NOUNS[kind]} {name!r}{of} {what}", where=where, fix=fix)


def _shown(made: object) -> str:
    return "None" if made is None else f"a {type(made).__name__}"
