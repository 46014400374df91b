"""tracking_shuffled_objects_{three,five,seven}_objects: who has what after some swaps."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, letter_of, listing, options_of, with_options
from r1ci_tasks_bbh.task import BbhTask, problem_text

_COUNTS = {"three": 3, "five": 5, "seven": 7}
_NAMES = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "June")


class Scene(NamedTuple):
    """A setting: an opening with ``{people}``, how somebody holds something, how two swap, when it ends."""

    opening: str
    holds: str
    swaps: str
    end: str
    things: Sequence[str]


_SCENES = (
    Scene(
        "{people} sit in the same train and begin the trip in these seats",
        "{a} sits in {thing}",
        "{a} and {b} change seats",
        "when the train arrives, {a} sits in",
        ("seat 11", "seat 14", "seat 23", "seat 27", "seat 32", "seat 38", "seat 45", "seat 46", "seat 51"),
    ),
    Scene(
        "{people} go to a masked ball and each put on a mask",
        "{a} wears {thing}",
        "{a} and {b} exchange masks",
        "at midnight, {a} wears",
        tuple(
            f"the {animal} mask" for animal in ["owl", "fox", "wolf", "lion", "raven", "cat", "tiger", "bear", "swan"]
        ),
    ),
    Scene(
        "{people} cook together and each take a job in the kitchen",
        "{a} is {thing}",
        "{a} and {b} trade jobs",
        "when dinner is served, {a} is",
        (
            "washing up",
            "peeling potatoes",
            "stirring the soup",
            "baking bread",
            "setting the table",
            "slicing onions",
            "grilling fish",
            "whipping cream",
        ),
    ),
    Scene(
        "{people} rent bicycles for the day",
        "{a} rides {thing}",
        "{a} and {b} swap bicycles",
        "in the evening, {a} rides",
        tuple(
            f"the {colour} bicycle"
            for colour in ["red", "blue", "green", "white", "black", "yellow", "silver", "orange", "purple"]
        ),
    ),
)

_SWAP = re.compile(r"\b(\w+) and (\w+) (?:change|exchange|trade|swap|switch)\b")


class TrackingShuffledObjects(BbhTask):
    """Questions are made by swapping forwards and solved by tracing one person's thing backwards."""

    capability = "planning"
    form = LETTER

    def __init__(self, count: str) -> None:
        self.name = f"tracking_shuffled_objects_{count}_objects"
        self.description = f"Follow {count} things through swaps between their owners."
        self.count = count

    def make(self, rng: random.Random, level: int) -> Problem:
        size = _COUNTS[self.count]
        scene = rng.choice(_SCENES)
        people = rng.sample(_NAMES, size)
        things = rng.sample(scene.things, size)
        has = dict(zip(people, things, strict=True))
        start = listing([scene.holds.format(a=name, thing=thing) for name, thing in has.items()])
        sentences: list[str] = []
        for _ in range(size * (level + 1)):
            a, b = rng.sample(people, 2)
            has[a], has[b] = has[b], has[a]
            sentences.append(f"{'Then' if sentences else 'First'} {scene.swaps.format(a=a, b=b)}.")
        asked = rng.choice(people)
        stem = (
            f"{scene.opening.format(people=listing(people))}: {start}. Then pairs of them swap. "
            f"{' '.join(sentences)} Complete the sentence: {scene.end.format(a=asked)}"
        )
        return with_options(stem, things, has[asked])

    def solution(self, text: str) -> str | None:
        read = _read(text)
        if read is None:
            return None
        has, swaps, asked = read
        person = asked
        for a, b in reversed(swaps):
            person = {a: b, b: a}.get(person, person)
        return letter_of(text, has[person])

    def programs(self, question: Question) -> Sequence[Program]:
        text = problem_text(question)
        read = _read(text)
        if read is None:
            return ()
        has, swaps, asked = read
        options = {option: f"({letter})" for letter, option in options_of(text).items()}
        data = f"has = {has!r}\nswaps = {swaps!r}\noptions = {options!r}\n"
        return tuple(Program(style, data + code.replace("ASKED", repr(asked))) for style, code in _PROGRAMS.items())


def _read(text: str) -> tuple[dict[str, str], list[tuple[str, str]], str] | None:
    """Who has what at first, the swaps in order, and who is asked about."""
    body, _, _ = text.partition("\nOptions:")
    swaps = _SWAP.findall(body)
    _, _, start = body.partition(": ")
    start = re.split(r"\.\s", start, maxsplit=1)[0]
    has = {}
    for holding in re.split(r", (?:and )?(?=[A-Z]\w* (?:is|has|gets|sits|wears|rides)\b)", start):
        name = holding.split(" ", 1)[0]
        held = [option for option in options_of(text).values() if holding.endswith(" " + option)]
        if not held:
            return None
        has[name] = max(held, key=len)
    tail = re.split(r"[.:] ", body)[-1]
    asked = [word for word in re.findall(r"\w+", tail) if word in has]
    if not swaps or len(asked) != 1 or any(name not in has for swap in swaps for name in swap):
        return None
    return has, swaps, asked[0]


_PROGRAMS = {
    "dictionary": """\
for a, b in swaps:
    has[a], has[b] = has[b], has[a]
print(options[has[ASKED]])
""",
    "backwards": """\
person = ASKED
for a, b in reversed(swaps):
    if person == a:
        person = b
    elif person == b:
        person = a
print(options[has[person]])
""",
    "lists": """\
people, things = list(has), list(has.values())
for a, b in swaps:
    i, j = people.index(a), people.index(b)
    things[i], things[j] = things[j], things[i]
print(options[things[people.index(ASKED)]])
""",
}
