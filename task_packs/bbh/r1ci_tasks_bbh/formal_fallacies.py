"""formal_fallacies: does a conclusion follow from its premises?

With k predicates there are 2**k types of things: bit i says whether predicate i holds. Whether a statement with one
quantifier is true depends only on which types exist.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from r1ci_tasks_bbh.arguments import verdict
from r1ci_tasks_bbh.forms import VALID_INVALID
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import BbhTask

_PREDICATES = tuple(
    """
    a member of the rowing club; a friend of Magda; a reader of the Evening Post; an owner of a tandem; a neighbour of
    the mayor; a pupil of Mr Brandt; a guest of the Hotel Astoria; a collector of old maps; a singer in the town choir;
    a customer of the corner bakery; a cousin of Stefan; an admirer of Clara Schumann; a keeper of bees; a climber of
    Mont Blanc; a speaker of Finnish; a student of botany; a rival of Anton; a player of the oboe; an employee of the
    port; a subscriber to the opera
    """.replace("\n    ", " ")
    .strip()
    .split("; ")
)


class Literal(NamedTuple):
    """A predicate, by number, or its negation."""

    predicate: int
    positive: bool


class Statement(NamedTuple):
    """A statement that all things, or some thing, are of certain types (a bit mask), and its wording."""

    universal: bool
    kinds: int
    words: str


class FormalFallacies(BbhTask):
    """Questions are made by looking for one type that refutes and solved by looking for a small model that does."""

    name = "formal_fallacies"
    description = "Decide whether an argument is deductively valid."
    capability = "reasoning"
    form = VALID_INVALID

    def make(self, rng: random.Random, level: int) -> Problem:
        size, count = ((2, 1), (3, 2), (4, 3))[level]
        wanted = rng.random() < 0.5
        phrases = rng.sample(_PREDICATES, size)
        while True:
            *premises, conclusion = (_statement(rng, phrases) for _ in range(count + 1))
            contents = [(premise.universal, premise.kinds) for premise in premises]
            everything = (1 << (1 << size)) - 1
            if (
                len(set(contents)) == count
                and conclusion.words not in [premise.words for premise in premises]
                and conclusion.kinds not in (0, everything)
                and not _valid(premises, Statement(False, 0, ""), size)
                # The verdict must not depend on whether anybody exists at all.
                and (conclusion.universal or any(not premise.universal for premise in premises))
                and _valid(premises, conclusion, size) is wanted
                # Of several premises, no single one may be enough.
                and (count == 1 or not wanted or not any(_valid([p], conclusion, size) for p in premises))
            ):
                break
        ordinals = ("First", "Second", "Third")[:count]
        said = [f"{nth}: {_capital(premise.words)}." for nth, premise in zip(ordinals, premises, strict=True)]
        stem = (
            f'An argument, in which "or" includes both: "{" ".join(said)} Conclusion: {_capital(conclusion.words)}." '
            "A group that is named may have no members. Is the argument valid, that is, does the conclusion follow "
            "from the premises by logic alone?"
        )
        return Problem(stem, "valid" if wanted else "invalid")

    def solution(self, text: str) -> str | None:
        return verdict(text)


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


@cache
def _kinds(literal: Literal, size: int) -> int:
    """The types for which a literal is true, as a bit mask."""
    return sum(1 << kind for kind in range(1 << size) if (kind >> literal.predicate & 1 == 1) is literal.positive)


def _statement(rng: random.Random, phrases: Sequence[str]) -> Statement:
    """A random statement about two or three of the predicates."""
    size = len(phrases)
    everything = (1 << (1 << size)) - 1
    chosen = rng.sample(range(size), min(size, rng.choice((2, 2, 3))))
    literals = [Literal(predicate, rng.random() < 0.75) for predicate in chosen]
    a, b, *rest = literals
    x, y, *_ = kinds = [_kinds(literal, size) for literal in literals]

    def say(*literals: Literal, joined: str = "") -> str:
        # The negated literal comes last, so that "not" cannot be read as negating both.
        ordered = sorted(literals, key=lambda literal: not literal.positive)
        return f" {joined} ".join(
            ("" if literal.positive else "not ") + phrases[literal.predicate] for literal in ordered
        )

    if not rest:
        return rng.choice(
            (
                lambda: Statement(True, everything & ~x | y, f"everybody who is {say(a)} is {say(b)}"),
                lambda: Statement(True, everything & ~x | y, f"to be {say(a)}, one has to be {say(b)}"),
                lambda: Statement(True, everything & ~(x & y), f"nobody who is {say(a)} is {say(b)}"),
                lambda: Statement(True, x | y, f"everybody is {say(a, b, joined='or')}"),
                lambda: Statement(False, x & y, f"somebody is {say(a, b, joined='and')}"),
                lambda: Statement(False, x & ~y, f"not everybody who is {say(a)} is {say(b)}"),
            )
        )()
    c, z = rest[0], kinds[2]
    return rng.choice(
        (
            lambda: Statement(
                True, everything & ~(x & y) | z, f"everybody who is {say(a, b, joined='and')} is {say(c)}"
            ),
            lambda: Statement(
                True, everything & ~(x | y) | z, f"everybody who is {say(a, b, joined='or')} is {say(c)}"
            ),
            lambda: Statement(True, everything & ~x | y | z, f"everybody who is {say(a)} is {say(b, c, joined='or')}"),
            lambda: Statement(
                True, everything & ~x | y & z, f"to be {say(a)}, one has to be {say(b, c, joined='and')}"
            ),
            lambda: Statement(False, x & y & z, f"there is somebody who is {say(a, b, c, joined='and')}"),
        )
    )()


def _valid(premises: Sequence[Statement], conclusion: Statement, size: int) -> bool:
    """Whether no choice of existing types makes the premises true and the conclusion false."""
    allowed = (1 << (1 << size)) - 1
    needed = [allowed, *(premise.kinds for premise in premises if not premise.universal)]
    for premise in premises:
        if premise.universal:
            allowed &= premise.kinds
    if conclusion.universal:
        needed.append(~conclusion.kinds)
    else:
        allowed &= ~conclusion.kinds
    # The largest counterexample: all types that the premises allow exist.
    return not all(allowed & kinds for kinds in needed)
