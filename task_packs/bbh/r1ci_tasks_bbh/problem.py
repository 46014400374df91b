"""A problem as BIG-Bench-Hard writes it, input and target, and the lettered options inside its input."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_OPTION = re.compile(r"^\(([A-Z])\) ?(.*)$", re.MULTILINE)


class Problem(NamedTuple):
    """One problem: what is asked, options included, and the expected answer."""

    input: str
    target: str


def options_of(text: str) -> Mapping[str, str]:
    """The options ``(A) ...`` of a problem by letter, in order; of a letter that appears twice, the first option."""
    options: dict[str, str] = {}
    for letter, option in _OPTION.findall(text):
        options.setdefault(letter, option)
    return options


def letter_of(text: str, option: str) -> str | None:
    """The letter ``(X)`` under which a problem lists an option; None if it does not."""
    return next((f"({letter})" for letter, value in options_of(text).items() if value == option), None)


def with_options(stem: str, options: Sequence[str], right: str) -> Problem:
    """A multiple-choice problem with the options in the given order."""
    lines = [f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return Problem("\n".join([stem, "Options:", *lines]), f"({LETTERS[list(options).index(right)]})")


def with_shuffled_options(rng: random.Random, stem: str, options: Sequence[str], right: str) -> Problem:
    """A multiple-choice problem with the options in a random order."""
    return with_options(stem, rng.sample(list(options), len(options)), right)


def listing(words: Sequence[str]) -> str:
    """An English enumeration: ``a``, ``a and b``, ``a, b, and c``."""
    if len(words) < 3:
        return " and ".join(words)
    return ", ".join(words[:-1]) + f", and {words[-1]}"
