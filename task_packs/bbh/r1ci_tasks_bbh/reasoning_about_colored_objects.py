"""reasoning_about_colored_objects: questions about coloured things in a row or in a box."""

from __future__ import annotations

import random
import re

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, letter_of, listing, with_options, with_shuffled_options
from r1ci_tasks_bbh.task import BbhTask

_COLOUR_LIST = "red orange yellow green blue brown black white grey pink purple beige violet teal gold"
_THING_LIST = """
vase candle basket clock lamp bottle kettle ribbon whistle spoon ladder scarf helmet drum lantern bucket cushion comb
ruler stapler marble button saucer trowel
"""
_NUMBER_LIST = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
"""
_COLOURS, _THINGS, _NUMBERS = _COLOUR_LIST.split(), _THING_LIST.split(), _NUMBER_LIST.split()
_PLACES = ("windowsill", "shelf", "bench", "counter", "piano", "mantelpiece", "wall")

Row = list[tuple[str, str]]
"""Colour and name of each thing, from left to right."""


class ReasoningAboutColoredObjects(BbhTask):
    """Questions are made from the row and solved from the text."""

    name = "reasoning_about_colored_objects"
    description = "Answer a question about the colours, places and numbers of some things."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        if level == 2 and rng.random() < 0.5:
            return _box(rng)
        row = list(
            zip(
                rng.sample(_COLOURS, size := rng.randint(*((3, 4), (4, 6), (6, 9))[level])),
                rng.sample(_THINGS, size),
                strict=True,
            )
        )
        stem = f"From left to right, these things stand on a {rng.choice(_PLACES)}: {_listed(row)}."
        kinds = (_is_it, _end, _neighbour) if level == 0 else (_neighbour, _furthest, _between, _beside, _neither)
        return rng.choice(kinds)(rng, stem, row)

    def solution(self, text: str) -> str | None:
        body, _, _ = text.partition("\nOptions:")
        found = _read(body)
        return None if found is None else letter_of(text, found)


def _listed(row: Row) -> str:
    return listing([f"{'an' if colour[0] in 'aeio' else 'a'} {colour} {thing}" for colour, thing in row])


def _colour(rng: random.Random, stem: str, row: Row, right: str) -> Problem:
    others = [colour for colour in _COLOURS if colour not in dict(row)]
    return with_shuffled_options(rng, stem, [*dict(row), *rng.sample(others, 3)], right)


def _number(stem: str, most: int, right: int) -> Problem:
    return with_options(stem, _NUMBERS[: most + 1], _NUMBERS[right])


def _is_it(rng: random.Random, stem: str, row: Row) -> Problem:
    colour, thing = rng.choice(row)
    asked = colour if rng.random() < 0.5 else rng.choice([other for other in _COLOURS if other != colour])
    return with_options(f"{stem} Is the {thing} {asked}?", ("yes", "no"), "yes" if asked == colour else "no")


def _end(rng: random.Random, stem: str, row: Row) -> Problem:
    side, index = rng.choice((("left", 0), ("right", -1)))
    return _colour(rng, f"{stem} What colour is the thing at the {side} end?", row, row[index][0])


def _neighbour(rng: random.Random, stem: str, row: Row) -> Problem:
    index = rng.randrange(1, len(row) - 1)
    side, step = rng.choice((("left", -1), ("right", 1)))
    name = f"the {row[index][1]}" if rng.random() < 0.5 else f"the {row[index][0]} thing"
    return _colour(rng, f"{stem} What colour is the thing next to {name}, on its {side}?", row, row[index + step][0])


def _furthest(rng: random.Random, stem: str, row: Row) -> Problem:
    index = rng.choice([i for i in range(len(row)) if 2 * i != len(row) - 1])
    right = row[0 if 2 * index > len(row) - 1 else -1][0]
    return _colour(rng, f"{stem} What colour is the thing that is furthest from the {row[index][1]}?", row, right)


def _between(rng: random.Random, stem: str, row: Row) -> Problem:
    i, j = rng.sample(range(len(row)), 2)
    question = f"{stem} How many things stand between the {row[i][1]} and the {row[j][1]}?"
    return _number(question, len(row), abs(i - j) - 1)


def _beside(rng: random.Random, stem: str, row: Row) -> Problem:
    index = rng.randrange(len(row))
    side, things = rng.choice((("left", row[:index]), ("right", row[index + 1 :])))
    colour = rng.choice(_COLOURS)
    question = f"{stem} How many things on the {side} of the {row[index][1]} are not {colour}?"
    return _number(question, len(row), sum(other != colour for other, _ in things))


def _neither(rng: random.Random, stem: str, row: Row) -> Problem:
    one, two = rng.sample(_COLOURS, 2)
    count = sum(colour not in (one, two) for colour, _ in row)
    return _number(f"{stem} How many things are neither {one} nor {two}?", len(row), count)


def _box(rng: random.Random) -> Problem:
    colours, things = rng.sample(_COLOURS, 3), rng.sample(_THINGS, 3)
    pairs = rng.sample([(colour, thing) for colour in colours for thing in things], rng.randint(5, 8))
    contents = [(rng.randint(1, 4), colour, thing) for colour, thing in pairs]
    listed = listing([f"{_NUMBERS[n]} {colour} {_plural(thing, n)}" for n, colour, thing in contents])
    colour, thing = rng.choice(pairs)
    gone = thing if rng.random() < 0.5 else rng.choice([c for c in colours if c != colour])
    left = sum(n for n, c, t in contents if c == colour and gone not in (c, t))
    what = f"all {_plural(gone, 2)}" if gone == thing else f"everything {gone}"
    question = f"In a box lie {listed}. Somebody takes out {what}. How many {colour} things are left in the box?"
    return _number(question, 16, left)


def _plural(thing: str, count: int) -> str:
    return thing if count == 1 else thing + "s"


def _read(text: str) -> str | None:
    """The option that answers one of the questions above."""
    if box := re.search(r"In a box lie (.*?)\. .* out (?:all (\w+)s|everything (\w+))\. How many (\w+) things", text):
        left = 0
        for number, colour, thing in re.findall(r"(\w+) (\w+) (\w+)(?:, | and |$)", box[1].replace(", and ", ", ")):
            if colour == box[4] and box[2] not in (thing, thing.removesuffix("s")) and box[3] != colour:
                left += _NUMBERS.index(number)
        return _NUMBERS[left]
    listed, _, question = text.partition(": ")[2].partition(". ")
    row = re.findall(r"\ban? (\w+) (\w+)", listed)
    place = {name: index for index, pair in enumerate(row) for name in pair}
    if asked := re.fullmatch(r"Is the (\w+) (\w+)\?", question):
        return "yes" if place[asked[1]] == place.get(asked[2]) else "no"
    if asked := re.fullmatch(r"What colour is the thing at the (left|right) end\?", question):
        return row[0][0] if asked[1] == "left" else row[-1][0]
    if asked := re.fullmatch(
        r"What colour is the thing next to the (\w+)(?: thing)?, on its (left|right)\?", question
    ):
        return row[place[asked[1]] + (1 if asked[2] == "right" else -1)][0]
    if asked := re.fullmatch(r"What colour is the thing that is furthest from the (\w+)\?", question):
        here = place[asked[1]]
        return max(row, key=lambda pair: abs(place[pair[1]] - here))[0]
    if asked := re.fullmatch(r"How many things stand between the (\w+) and the (\w+)\?", question):
        low, high = sorted((place[asked[1]], place[asked[2]]))
        return _NUMBERS[len(row[low + 1 : high])]
    if asked := re.fullmatch(r"How many things on the (left|right) of the (\w+) are not (\w+)\?", question):
        side = [(place[thing] > place[asked[2]]) - (place[thing] < place[asked[2]]) for _, thing in row]
        wanted = 1 if asked[1] == "right" else -1
        count = sum(s == wanted for s in side)
        return _NUMBERS[count - (asked[3] in place and side[place[asked[3]]] == wanted)]
    if asked := re.fullmatch(r"How many things are neither (\w+) nor (\w+)\?", question):
        return _NUMBERS[len(row) - (asked[1] in place) - (asked[2] in place)]
    return None
