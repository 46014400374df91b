"""SymBench ``letters``: how often a letter occurs in a word, and where."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench.wording import in_upstream_words

_LENGTHS = ((10, 15), (15, 20), (20, 25))
_FREQUENCIES = (1, 5)
_VOWELS = "aeiou"
_EXAMPLE = "Count: 2, Positions: [3, 40]"  # no word is that long

# Keys in the order that the question asks for, with or without the quotes and braces of a dict.
_ANSWER = re.compile(
    r"""\{? ?["']?count["']? ?[:=] ?(\d{1,4})(?: ?[,;.] ?| )["']?positions?["']? ?[:=] ?([^{}]*)\}?""", re.I
)

_PROGRAMS = {
    "direct": """\
positions = []
for index, character in enumerate(word):
    if character == letter:
        positions.append(index + 1)
print(f"Count: {len(positions)}, Positions: {positions}")
""",
    "function": """\
def positions_of(letter, word):
    return [i for i in range(1, len(word) + 1) if word[i - 1] == letter]


found = positions_of(letter, word)
print(f"Count: {len(found)}, Positions: {found}")
""",
    "library": """\
import re

positions = [match.end() for match in re.finditer(re.escape(letter), word)]
print(f"Count: {word.count(letter)}, Positions: {positions}")
""",
}


class Letters(Task):
    """Count a letter in a word of 10 to 25 letters and list its positions, counted from 1.

    Source: SymBench (CodeSteer-v1.0), ``letters``.
    """

    name = "letters"
    description = "Count a letter in a word and list its positions."
    levels = len(_LENGTHS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        length = rng.randint(*_LENGTHS[self.level(rng, difficulty)])
        letter = rng.choice(string.ascii_lowercase)
        consonants = [c for c in string.ascii_lowercase if c not in _VOWELS and c != letter]
        vowels = [c for c in _VOWELS if c != letter]
        # Vowels and consonants in turn: readable, though no real word.
        word = [rng.choice(consonants if i % 2 else vowels) for i in range(length)]
        for position in rng.sample(range(length), rng.randint(*_FREQUENCIES)):
            word[position] = letter
        return _question("".join(word), letter)

    def check(self, question: Question, answer: str) -> bool:
        count, positions = _read(answer)
        expected = _positions(question.metadata["word"], question.metadata["letter"])
        return count == len(expected) and positions == expected

    def solve(self, question: Question) -> str:
        word, letter = question.metadata["word"], question.metadata["letter"]
        positions, at = [], word.find(letter)
        while at >= 0:
            positions.append(at + 1)
            at = word.find(letter, at + 1)
        return f"Count: {word.count(letter)}, Positions: {positions}"

    def programs(self, question: Question) -> Sequence[Program]:
        inputs = f"word = {question.metadata['word']!r}\nletter = {question.metadata['letter']!r}\n"
        return [Program(style, inputs + body) for style, body in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        positions = _positions(question.metadata["word"], question.metadata["letter"])
        inside = ",".join(map(str, positions))
        return [
            f"count: {len(positions)}, positions: ({inside})",
            f"Count:{len(positions)},Positions:[{inside}]",
            f"Count: {len(positions)}\nPositions: {inside}",
            f'{{"count": {len(positions)}, "positions": [{inside}]}}',
        ]


def _positions(word: str, letter: str) -> list[int]:
    return [index for index, character in enumerate(word, 1) if character == letter]


def _read(answer: str) -> tuple[int, list[int]]:
    match = _ANSWER.fullmatch(" ".join(answers.tidy(answer).split()))
    if not match:
        raise answers.Unreadable("not of the form 'Count: X, Positions: [Y, Z]'")
    positions = match[2].strip()
    return int(match[1]), answers.integers(positions) if positions.strip("[]() ") else []


def _question(word: str, letter: str) -> Question:
    positions = _positions(word, letter)
    return Question(
        text=f"Count how many times the letter '{letter}' occurs in the word '{word}', and say where. Positions are "
        "counted from 1: the first letter of the word is at position 1.\n"
        "Give the count, then the positions in increasing order, between <<< and >>>, in the form "
        f"<<<{_EXAMPLE}>>>.",
        answer=f"Count: {len(positions)}, Positions: {positions}",
        metadata={"word": word, "letter": letter},
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``params`` has ``word`` and ``letter``, ``solution`` has ``count`` and ``positions``."""
    ours = _question(record["params"]["word"], record["params"]["letter"])
    answer = "Count: {count}, Positions: {positions}".format_map(record["solution"])
    return in_upstream_words(replace(ours, answer=answer), record["question"])
