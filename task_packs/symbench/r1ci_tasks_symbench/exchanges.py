"""Exchanges of things for other things, one method after another: the subject of three SymBench tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Program

Method = Mapping[str, Mapping[str, int]]
"""``give`` and ``get``: how many of each kind a method takes and makes."""

_MOST_ROUNDS = 2000  # more than any question takes; stops methods that feed each other for ever


def method(give: Mapping[str, int], get: Mapping[str, int]) -> Method:
    """A method as JSON carries it."""
    return {"give": dict(give), "get": dict(get)}


def cycled(kinds: Sequence[str], start: Sequence[int], methods: Sequence[Method]) -> list[int]:
    """What is left after the methods have taken turns, each once a round if possible, until none is possible.

    Raises:
        ValueError: If that goes on for ever.
    """
    counts = dict(zip(kinds, start, strict=True))
    for _ in range(_MOST_ROUNDS):
        carried_out = False
        for each in methods:
            if _possible(counts, each):
                _apply(counts, each)
                carried_out = True
        if not carried_out:
            return [counts[kind] for kind in kinds]
    raise ValueError("these methods can be carried out for ever")


def first_possible(kinds: Sequence[str], start: Sequence[int], methods: Sequence[Method]) -> list[int]:
    """What is left when the first possible method of the list is carried out, over and over, until none is possible.

    Raises:
        ValueError: If that goes on for ever.
    """
    counts = dict(zip(kinds, start, strict=True))
    for _ in range(_MOST_ROUNDS):
        chosen = next((each for each in methods if _possible(counts, each)), None)
        if chosen is None:
            return [counts[kind] for kind in kinds]
        _apply(counts, chosen)
    raise ValueError("these methods can be carried out for ever")


def _possible(counts: Mapping[str, int], each: Method) -> bool:
    return all(counts[kind] >= number for kind, number in each["give"].items())


def _apply(counts: dict[str, int], each: Method) -> None:
    for kind, number in each["give"].items():
        counts[kind] -= number
    for kind, number in each["get"].items():
        counts[kind] += number


def by_vectors(start: Sequence[int], kinds: Sequence[str], methods: Sequence[Method], restart: bool) -> list[int]:
    """The same by arithmetic on lists and an index of the next method, for checking the functions above."""
    counts, at, idle = list(start), 0, 0
    while idle < len(methods):
        give = [methods[at]["give"].get(kind, 0) for kind in kinds]
        get = [methods[at]["get"].get(kind, 0) for kind in kinds]
        if all(c >= g for c, g in zip(counts, give, strict=True)):
            counts = [c - g + n for c, g, n in zip(counts, give, get, strict=True)]
            at, idle = (0 if restart else (at + 1) % len(methods)), 0
        else:
            at, idle = (at + 1) % len(methods), idle + 1
    return counts


def programs(metadata: Mapping[str, Any], restart: bool) -> list[Program]:
    """Programs that print the counts, for metadata with ``kinds``, ``start`` and ``methods``."""
    kinds = list(metadata["kinds"])
    methods = [(dict(each["give"]), dict(each["get"])) for each in metadata["methods"]]
    start = dict(zip(kinds, metadata["start"], strict=True))
    inputs = f"counts = {start!r}\nmethods = {methods!r}\n"
    leave = "            break\n" if restart else ""
    return [Program(style, inputs + code.replace("            LEAVE\n", leave)) for style, code in _PROGRAMS.items()]


_PROGRAMS = {
    "direct": """\
changed = True
while changed:
    changed = False
    for give, get in methods:
        if all(counts[k] >= n for k, n in give.items()):
            for k, n in give.items():
                counts[k] -= n
            for k, n in get.items():
                counts[k] += n
            changed = True
            LEAVE
print(list(counts.values()))
""",
    "function": """\
def possible(give):
    return all(counts[kind] >= number for kind, number in give.items())


def one_round():
    done = 0
    for give, get in methods:
        if possible(give):
            for kind in counts:
                counts[kind] += get.get(kind, 0) - give.get(kind, 0)
            done += 1
            LEAVE
    return done


while one_round():
    pass
print(", ".join(str(number) for number in counts.values()))
""",
    "library": """\
from collections import Counter

have = Counter(counts)
changed = True
while changed:
    changed = False
    for give, get in methods:
        if have >= Counter(give):
            have.subtract(give)
            have.update(get)
            changed = True
            LEAVE
print([have[kind] for kind in counts])
""",
}
