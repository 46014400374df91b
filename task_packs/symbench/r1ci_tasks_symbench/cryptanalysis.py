"""The task ``cryptanalysis``: a lock of two digits and two letters, from guesses with feedback."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from itertools import permutations
from string import ascii_uppercase, digits
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import items
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

Feedback = tuple[int, int, str]
"""Feedback on one pair: how many symbols are in place, how many are misplaced, and on which side of the password the
wrong ones lie: ``large``, ``small``, or empty if nothing is said."""

_EXAMPLE = "[X, Y, Z, W]"

_TEXT = """\
A lock opens with two different digits (0-9) followed by two different letters (A-Z). These {count} guesses were \
tried, and each got feedback:

{guesses}

What the feedback means:
- The two digits of a guess are judged against the two digits of the password, the two letters against its two letters.
- "in place" means that the symbol stands in the password at the same position; "misplaced" means that it stands in \
the password at the other position; "wrong" means that it is not in the password.
- "too large" says that each wrong digit of the guess is larger than both digits of the password, "too small" that \
each is smaller than both. In the same way "too late" and "too early" say that each wrong letter of the guess comes \
after, or before, both letters of the password in the alphabet. Where none of these words is used, nothing is said \
about it.

Exactly one password fits all of the feedback. Put it between <<< and >>> as a list of four symbols, first the two \
digits and then the two letters: <<<{example}>>> would stand for the digits X, Y and the letters Z, W."""

LEVELS = ((True, 0.5), (True, 1.0), (False, 1.0))
"""By level: whether the side of wrong symbols is told, and how often a guess is one that could still be right."""

_PAIRS = tuple(tuple(map("".join, permutations(alphabet, 2))) for alphabet in (digits, ascii_uppercase))
"""All pairs of digits and all pairs of letters."""


class Cryptanalysis(Task):
    """Find two digits and two letters from guesses, told which are in place, misplaced or wrong (and on which side).

    Source: ``cryptanalysis`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "cryptanalysis"
    description = "The password of two digits and two letters that fits all feedback on earlier guesses."
    levels = len(LEVELS)
    capability = "reasoning"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        while True:
            password = "".join(rng.sample(digits, 2) + rng.sample(ascii_uppercase, 2))
            guesses = _guesses(rng, password, *LEVELS[level])
            if 4 <= len(guesses) <= 18:
                return _question(list(password), guesses)

    def check(self, question: Question, answer: str) -> bool:
        password = "".join(items(answer)).upper()  # "05QJ" as well as the list
        return list(password) == question.metadata["password"] and all(
            _fits(guess[i : i + 2], feedback, password[i : i + 2])
            for guess, *feedbacks in question.metadata["guesses"]
            for i, feedback in zip((0, 2), feedbacks, strict=True)
        )

    def solve(self, question: Question) -> str | None:
        halves = []
        for i, pairs in enumerate(_PAIRS):
            facts = [(entry[0][2 * i : 2 * i + 2], entry[1 + i]) for entry in question.metadata["guesses"]]
            halves.append([pair for pair in pairs if all(_fits(guess, feedback, pair) for guess, feedback in facts)])
        return _list(halves[0][0] + halves[1][0]) if [len(half) for half in halves] == [1, 1] else None

    def programs(self, question: Question) -> Sequence[Program]:
        entries = ", ".join(repr(tuple(map(_frozen, guess))) for guess in question.metadata["guesses"])
        head = "# guess, feedback on its digits, on its letters; a feedback: in place, misplaced, side of the wrong\n"
        head += f"guesses = [{entries}]\n\n"
        return [Program(style, head + code) for style, code in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        password = "".join(question.metadata["password"])
        return password, " ".join(password), password.lower(), json.dumps(list(password))


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; its guesses and feedback are read from the text."""
    text, password = record["question"], record["params"]["answer"]
    if not text:
        raise ValueError("a published cryptanalysis record without text has no guesses")
    found = re.findall(r"Guess: (\d\d[A-Z]{2}), Feedback: (.+)", text)
    if not found:
        raise ValueError("no guess found in the text")
    guesses = [(guess, *_read_feedback(feedback)) for guess, feedback in found]
    return in_upstream_words(_question(list(password), guesses), text)


def _question(password: list[str], guesses: Sequence[tuple[str, Feedback, Feedback]]) -> Question:
    lines = [
        f"{i}. {guess}: {_phrase(on_digits, 'digit', 'large', 'small')}; "
        f"{_phrase(on_letters, 'letter', 'late', 'early')}."
        for i, (guess, on_digits, on_letters) in enumerate(guesses, 1)
    ]
    text = _TEXT.format(count=len(guesses), guesses="\n".join(lines), example=_EXAMPLE)
    metadata = {"password": password, "guesses": [[guess, *map(list, feedbacks)] for guess, *feedbacks in guesses]}
    return Question(text=text, answer=_list("".join(password)), metadata=metadata, example=_EXAMPLE)


def _list(password: str) -> str:
    return f"[{', '.join(password)}]"


def _frozen(part: str | Sequence[object]) -> object:
    return part if isinstance(part, str) else tuple(part)


def _matches(guess: str, pair: str) -> tuple[int, int]:
    """How many of the two digits (or letters) of a guess are in place in the password, and how many misplaced."""
    g, h, p, q = *guess, *pair
    return (g == p) + (h == q), (g == q) + (h == p)


def _side(guess: str, pair: str) -> str:
    """On which side of both symbols of the password all wrong symbols of a guess lie; empty if on neither."""
    wrong = [symbol for symbol in guess if symbol not in pair]
    if wrong and min(wrong) > max(pair):
        return "large"
    return "small" if wrong and max(wrong) < min(pair) else ""


def _fits(guess: str, feedback: Sequence[Any], pair: str) -> bool:
    """Whether a pair of the password agrees with the feedback on a guess; an unmentioned side says nothing."""
    placed, misplaced, side = feedback
    return _matches(guess, pair) == (placed, misplaced) and side in ("", _side(guess, pair))


def _guesses(rng: random.Random, password: str, sides: bool, care: float) -> list[tuple[str, Feedback, Feedback]]:
    """Wrong guesses, with feedback, until only this password is left."""
    actual = password[:2], password[2:]
    remaining: list[Sequence[str]] = list(_PAIRS)
    guesses: list[tuple[str, Feedback, Feedback]] = []
    while max(map(len, remaining)) > 1:
        likely = [[pair for pair in pairs if pair != right] for pairs, right in zip(remaining, actual, strict=True)]
        guess = [
            rng.choice(wrong if wrong and rng.random() < care else [pair for pair in pairs if pair != right])
            for wrong, pairs, right in zip(likely, _PAIRS, actual, strict=True)
        ]
        on_digits, on_letters = (
            (*_matches(pair, right), _side(pair, right) if sides else "")
            for pair, right in zip(guess, actual, strict=True)
        )
        guesses.append(("".join(guess), on_digits, on_letters))
        remaining = [
            [pair for pair in pairs if _fits(part, feedback, pair)]
            for pairs, part, feedback in zip(remaining, guess, (on_digits, on_letters), strict=True)
        ]
    return guesses


def _phrase(feedback: Feedback, noun: str, after: str, before: str) -> str:
    """The feedback on a pair in words, such as ``one digit in place, one digit wrong and too large``."""
    placed, misplaced, side = feedback
    wrong = 2 - placed - misplaced
    direction = {"": "", "large": f" and too {after}", "small": f" and too {before}"}[side]
    counted = [(placed, "in place"), (misplaced, "misplaced"), (wrong, f"wrong{direction}")]
    return ", ".join(f"{'both' if n == 2 else 'one'} {noun}{'s' * (n == 2)} {what}" for n, what in counted if n)


def _read_feedback(text: str) -> tuple[Feedback, Feedback]:
    """The published feedback, clauses such as ``one number is incorrect and too large``, on digits and letters."""
    return _read_clauses(text, "number"), _read_clauses(text, "letter")


def _read_clauses(text: str, noun: str) -> Feedback:
    placed, misplaced, side = 0, 0, ""
    for amount, wrong, rest in re.findall(rf"(one|both) {noun}s? (?:is|are) (in)?correct([^;.]*)", text):
        count = 2 if amount == "both" else 1
        if wrong:
            side = "large" if re.search("large|late", rest) else "small" if re.search("small|early", rest) else ""
        elif "wrong" in rest:
            misplaced += count
        else:
            placed += count
    return placed, misplaced, side


_PROGRAMS = {
    "brute_force": """\
from itertools import permutations
from string import ascii_uppercase, digits

def fits(guess, feedback, pair):
    placed, misplaced, side = feedback
    wrong = [g for g in guess if g not in pair]
    if side and not all(w > max(pair) if side == "large" else w < min(pair) for w in wrong):
        return False
    same = sum(g == p for g, p in zip(guess, pair))
    return same == placed and 2 - len(wrong) - same == misplaced

numbers = [p for p in permutations(digits, 2) if all(fits(g[:2], d, p) for g, d, l in guesses)]
letters = [p for p in permutations(ascii_uppercase, 2) if all(fits(g[2:], l, p) for g, d, l in guesses)]
print(list(numbers[0] + letters[0]))
""",
    "elimination": """\
def judge(guess, pair):
    placed = (guess[0] == pair[0]) + (guess[1] == pair[1])
    wrong = [g for g in guess if g not in pair]
    sides = ["", "large" if wrong and min(wrong) > max(pair) else "small" if wrong and max(wrong) < min(pair) else ""]
    return placed, 2 - len(wrong) - placed, sides

result = []
for alphabet, i in (("0123456789", 0), ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 2)):
    candidates = [a + b for a in alphabet for b in alphabet if a != b]
    for entry in guesses:
        placed, misplaced, side = entry[1 + i // 2]
        judged = [(pair, judge(entry[0][i:i + 2], pair)) for pair in candidates]
        candidates = [pair for pair, (p, m, sides) in judged if (p, m) == (placed, misplaced) and side in sides]
    result += candidates[0]
print(result)
""",
    "function": """\
import string

def consistent(a, b, x, y, feedback):
    placed, misplaced, side = feedback
    wrong = {x, y} - {a, b}
    if side == "large" and any(w < max(a, b) for w in wrong) or side == "small" and any(w > min(a, b) for w in wrong):
        return False
    return (x == a) + (y == b) == placed and (x == b) + (y == a) == misplaced

def solve(alphabet, i):
    for a in alphabet:
        for b in alphabet:
            if a != b and all(consistent(a, b, entry[0][i], entry[0][i + 1], entry[1 + i // 2]) for entry in guesses):
                return [a, b]

print(solve(string.digits, 0) + solve(string.ascii_uppercase, 2))
""",
}
