"""logical_deduction_{three,five,seven}_objects: the order of some objects, from clues."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import permutations
from typing import NamedTuple

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, listing, options_of, with_options
from r1ci_tasks_bbh.task import BbhTask, problem_text

_COUNTS = {"three": 3, "five": 5, "seven": 7}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")


class Clue(NamedTuple):
    """One statement: ``first`` comes before ``second``, or, if ``second`` is empty, stands at ``rank`` (from 0)."""

    first: str
    second: str = ""
    rank: int = -1

    def holds(self, ranks: Mapping[str, int]) -> bool:
        """Whether an order satisfies the clue."""
        if self.second:
            return ranks[self.first] < ranks[self.second]
        return ranks[self.first] == self.rank


class Scene(NamedTuple):
    """A setting in which things are in order.

    Attributes:
        opening: What is ordered, up to the list of things.
        things: Names of things.
        before, after: Comparisons: "{a} is to the left of {b}".
        front, back: A place counted from an end: "{a} is the{nth} leftmost", with the words of the end itself.
    """

    opening: str
    things: Sequence[str]
    before: str
    after: str
    front: str
    back: str


def _scene(opening: str, things: str, before: str, after: str, front: str, back: str) -> Scene:
    return Scene(opening, [f"the {thing}" for thing in things.split(", ")], before, after, front, back)


_SCENES = (
    _scene(
        "On a stage stand {n} instruments side by side",
        "harp, cello, tuba, drum, banjo, flute, piano, bassoon, lute, organ",
        "{a} is further left than {b}",
        "{a} is further right than {b}",
        "{a} is the{nth} leftmost",
        "{a} is the{nth} rightmost",
    ),
    _scene(
        "A postman weighs {n} parcels of different weight",
        "red parcel, blue parcel, green parcel, white parcel, brown parcel, grey parcel, pink parcel, black parcel",
        "{a} is lighter than {b}",
        "{a} is heavier than {b}",
        "{a} is the{nth} lightest",
        "{a} is the{nth} heaviest",
    ),
    _scene(
        "A town has {n} towers of different height",
        "clock tower, water tower, bell tower, gate tower, radio tower, castle tower, church tower, watch tower",
        "{a} is shorter than {b}",
        "{a} is taller than {b}",
        "{a} is the{nth} shortest",
        "{a} is the{nth} tallest",
    ),
    _scene(
        "In a park grow {n} trees of different age",
        "oak, ash, lime, beech, cedar, maple, willow, poplar, elm, birch",
        "{a} is older than {b}",
        "{a} is younger than {b}",
        "{a} is the{nth} oldest",
        "{a} is the{nth} youngest",
    ),
    _scene(
        "A café sells {n} cakes at different prices",
        "apple cake, carrot cake, cheesecake, lemon cake, plum cake, nut cake, cherry cake, sponge cake",
        "{a} is cheaper than {b}",
        "{a} is dearer than {b}",
        "{a} is the{nth} cheapest",
        "{a} is the{nth} dearest",
    ),
)

_NTH = "(?:the )?(?:(?P<nth>second|third|fourth|fifth|sixth)[- ])?"
_BEFORE = r"is further left than|is to the left of|(?:is|are) (?:lighter|shorter|older|cheaper|less expensive) than"
_AFTER = (
    r"is further right than|is to the right of|"
    r"(?:is|are) (?:heavier|taller|younger|newer|dearer|more expensive) than"
)
_FRONT = r"from the left|leftmost|lightest|shortest|oldest|cheapest"
_BACK = r"from the right|rightmost|heaviest|tallest|youngest|newest|dearest|most expensive"
_COMPARED = re.compile(
    rf"^(?P<a>.+?) (?:(?P<before>finished above|{_BEFORE})|(?P<after>finished below|{_AFTER})) (?P<b>.+)$"
)
_PLACED = re.compile(rf"^(?P<a>.+?) (?:is|are) {_NTH}(?:(?P<front>{_FRONT})|(?P<back>{_BACK}))$")
_FINISHED = re.compile(
    rf"^(?P<a>.+?) finished (?:(?P<last>(?:(?P<back>\w+)-to-)?last)|(?P<front>{'|'.join(_ORDINALS)}))$"
)


class LogicalDeduction(BbhTask):
    """Questions are made by adding clues until one order is left and solved from the text, place by place."""

    capability = "reasoning"
    form = LETTER

    def __init__(self, count: str) -> None:
        self.name = f"logical_deduction_{count}_objects"
        self.description = f"Find the order of {count} objects from clues."
        self.count = count

    def make(self, rng: random.Random, level: int) -> Problem:
        scene = rng.choice(_SCENES)
        size = _COUNTS[self.count]
        order = rng.sample(scene.things, size)
        orders = list(_orders(size))
        clues: list[tuple[int, int]] = []
        while len(orders) > 1:
            first, second = _random_clue(rng, size, (0.6, 0.4, 0.15)[level])
            # Positions in the true order, which is 0, 1, 2, ...; a negative second one means a place.
            fewer = [
                ranks for ranks in orders if (ranks[first] < ranks[second] if second >= 0 else ranks[first] == first)
            ]
            if len(fewer) < len(orders):
                orders = fewer
                clues.append((first, second))
        sentences = [_sentence(rng, scene, order, first, second) for first, second in clues]
        rng.shuffle(sentences)
        asked = rng.randrange(size)
        pattern = _place(rng, scene, asked, size)
        shown = rng.sample(order, size)
        stem = (
            f"{scene.opening.format(n=self.count)}: {listing(shown)}. "
            f"{' '.join(_capital(sentence) + '.' for sentence in sentences)} Which statement is true?"
        )
        options = [_capital(pattern.format(a=thing)) for thing in shown]
        return with_options(stem, options, _capital(pattern.format(a=order[asked])))

    def solution(self, text: str) -> str | None:
        read = _read(text)
        if read is None:
            return None
        things, clues, options = read
        orders = list(_consistent(things, clues))
        true = [letter for letter, clue in options.items() if all(clue.holds(ranks) for ranks in orders)]
        return f"({true[0]})" if orders and len(true) == 1 else None

    def programs(self, question: Question) -> Sequence[Program]:
        read = _read(problem_text(question))
        if read is None:
            return ()
        things, clues, options = read
        return (
            Program("permutations", _permutations(things, clues, options)),
            Program("backtracking", _backtracking(things, clues, options)),
            Program("filtering", _filtering(things, clues, options)),
        )


@cache
def _orders(size: int) -> Sequence[Sequence[int]]:
    return tuple(permutations(range(size)))


def _random_clue(rng: random.Random, size: int, places: float) -> tuple[int, int]:
    """A true clue: a pair of positions in order, or, with probability ``places``, a position and -1."""
    if rng.random() < places:
        return rng.randrange(size), -1
    first, second = sorted(rng.sample(range(size), 2))
    return first, second


def _sentence(rng: random.Random, scene: Scene, order: Sequence[str], first: int, second: int) -> str:
    if second < 0:
        return _place(rng, scene, first, len(order)).format(a=order[first])
    if rng.random() < 0.5:
        return scene.before.format(a=order[first], b=order[second])
    return scene.after.format(a=order[second], b=order[first])


def _place(rng: random.Random, scene: Scene, rank: int, size: int) -> str:
    """A place in words, counted from the nearer end, as a pattern with ``{a}``."""
    from_back = size - 1 - rank
    front = rank < from_back or (rank == from_back and rng.random() < 0.5)
    nth = min(rank, from_back)
    pattern = scene.front if front else scene.back
    return pattern.replace("{nth}", f" {_ORDINALS[nth]}" if nth else "")


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _read(text: str) -> tuple[list[str], list[Clue], dict[str, Clue]] | None:
    """Things, clues and the statement of each option."""
    body, _, _ = text.partition("Options:")
    listed = re.search(r": (.+?)\. (.+)", body, re.DOTALL)
    options = options_of(text)
    if listed is None or not options:
        return None
    things = [_thing(name) for name in re.split(r", (?:and )?", listed[1])]
    sentences = listed[2].replace("Which statement is true?", "").strip().rstrip(".").split(". ")
    clues = [_clue(sentence, len(things)) for sentence in sentences]
    statements = {letter: _clue(option, len(things)) for letter, option in options.items()}
    known = set(things)
    if any(
        clue is None or not {clue.first, clue.second or clue.first} <= known for clue in [*clues, *statements.values()]
    ):
        return None
    return things, [c for c in clues if c], {letter: c for letter, c in statements.items() if c}


def _thing(name: str) -> str:
    return re.sub(r"^(?:the|an?) ", "", name.strip(), flags=re.IGNORECASE)


def _clue(sentence: str, size: int) -> Clue | None:
    if found := _COMPARED.match(sentence):
        a, b = _thing(found["a"]), _thing(found["b"])
        # "More expensive" comes last, as "dearer" does.
        return Clue(a, b) if found["before"] else Clue(b, a)
    if found := _PLACED.match(sentence):
        nth = _ORDINALS.index(found["nth"] or "first")
        return Clue(_thing(found["a"]), rank=nth if found["front"] else size - 1 - nth)
    if found := _FINISHED.match(sentence):
        nth = _ORDINALS.index(found["front"] or found["back"] or "first")
        return Clue(_thing(found["a"]), rank=size - 1 - nth if found["last"] else nth)
    return None


def _consistent(things: Sequence[str], clues: Sequence[Clue]) -> list[dict[str, int]]:
    """All orders that satisfy the clues, built from the first place to the last."""
    found: list[dict[str, int]] = []

    def extend(ranks: dict[str, int]) -> None:
        rank = len(ranks)
        if rank == len(things):
            found.append(dict(ranks))
            return
        for thing in things:
            if thing in ranks:
                continue
            fits = all(
                clue.first in ranks
                if clue.second == thing
                else clue.second or (clue.first == thing) == (clue.rank == rank)
                for clue in clues
            )
            if fits:
                ranks[thing] = rank
                extend(ranks)
                del ranks[thing]

    extend({})
    return found


def _condition(clue: Clue, ranks: str) -> str:
    if clue.second:
        return f"{ranks}[{clue.first!r}] < {ranks}[{clue.second!r}]"
    return f"{ranks}[{clue.first!r}] == {clue.rank}"


def _answers(options: Mapping[str, Clue], ranks: str, indent: str) -> str:
    lines = "".join(f"{indent}    {f'({letter})'!r}: {_condition(clue, ranks)},\n" for letter, clue in options.items())
    return (
        f"{indent}options = {{\n{lines}{indent}}}\n"
        f"{indent}print(next(letter for letter, true in options.items() if true))\n"
    )


def _permutations(things: Sequence[str], clues: Sequence[Clue], options: Mapping[str, Clue]) -> str:
    conditions = "\n        and ".join(_condition(clue, "rank") for clue in clues)
    return (
        f"from itertools import permutations\n\nthings = {list(things)!r}\nfor order in permutations(things):\n"
        "    rank = {thing: place for place, thing in enumerate(order)}\n"
        f"    if (\n        {conditions}\n    ):\n{_answers(options, 'rank', '        ')}        break\n"
    )


def _filtering(things: Sequence[str], clues: Sequence[Clue], options: Mapping[str, Clue]) -> str:
    clue_lines = "".join(f"    lambda rank: {_condition(clue, 'rank')},\n" for clue in clues)
    return (
        f"from itertools import permutations\n\nthings = {list(things)!r}\n"
        "orders = [dict(zip(things, places)) for places in permutations(range(len(things)))]\n"
        f"clues = [\n{clue_lines}]\nfor clue in clues:\n    orders = [rank for rank in orders if clue(rank)]\n"
        f"rank = orders[0]\n{_answers(options, 'rank', '')}"
    )


def _backtracking(things: Sequence[str], clues: Sequence[Clue], options: Mapping[str, Clue]) -> str:
    places = {clue.first: clue.rank for clue in clues if not clue.second}
    pairs = [(clue.first, clue.second) for clue in clues if clue.second]
    return (
        f"things = {list(things)!r}\nplaces = {places!r}\npairs = {pairs!r}  # the first comes before the second\n\n\n"
        "def extend(rank):\n    if len(rank) == len(things):\n        return rank\n    for thing in things:\n"
        "        fits = thing not in rank and places.get(thing, len(rank)) == len(rank)\n"
        "        if fits and all(a in rank for a, b in pairs if b == thing):\n"
        "            found = extend({**rank, thing: len(rank)})\n"
        "            if found:\n                return found\n    return None\n\n\n"
        f"rank = extend({{}})\n{_answers(options, 'rank', '')}"
    )
