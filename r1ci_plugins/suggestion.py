"""Did you mean? The one place that turns a wrong name into a suggestion, for every error message."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 12


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known name most like the given one, or None when nothing is near."""
    found = get_close_matches(given, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def suggest(given: str, known: Iterable[str]) -> str:
    """A hint for an error's ``fix``: the nearest known name, and the known names when they are few."""
    names = sorted(known)
    match = nearest(given, names)
    hint = f"did you mean {match!r}? " if match else ""
    if not names:
        return f"{hint}known: none"
    if len(names) <= _SHOWN or not match:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"{hint}known: {', '.join(names[:_SHOWN])}{more}"
    return hint.strip()
