"""object_counting: how many things of one kind a list holds."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import INTEGER
from r1ci_tasks_bbh.problem import Problem, listing
from r1ci_tasks_bbh.task import BbhTask, problem_text

_SINGULARS = {
    "fruits": "apple apricot banana blackberry cherry coconut fig grape kiwi lemon lime mango melon nectarine orange "
    "papaya peach pear pineapple plum raspberry strawberry",
    "vegetables": "artichoke beetroot broccoli cabbage carrot cauliflower celery courgette garlic leek lettuce onion "
    "parsnip potato radish turnip yam",
    "animals": "bear camel cat chicken cow deer dog donkey duck elephant fish fox frog giraffe goat goose hamster "
    "hedgehog horse kangaroo lion lizard monkey mouse otter owl panda parrot penguin pig pony rabbit sheep snail "
    "snake squirrel tiger turtle wolf zebra",
    "musical instruments": "accordion banjo bassoon cello clarinet drum flute guitar harp mandolin oboe piano "
    "saxophone trombone trumpet tuba ukulele viola violin xylophone",
    "pieces of furniture": "armchair bed bench bookcase chair couch cupboard desk dresser footstool nightstand sofa "
    "stool table wardrobe",
    "tools": "chisel drill hammer pickaxe rake saw screwdriver shovel spade wrench",
}
"""The things of each kind. None of them belongs to two kinds, in any usage."""

_PLURALS = {
    "cherry": "cherries",
    "blackberry": "blackberries",
    "raspberry": "raspberries",
    "strawberry": "strawberries",
    "mango": "mangoes",
    "peach": "peaches",
    "potato": "potatoes",
    "radish": "radishes",
    "fox": "foxes",
    "wolf": "wolves",
    "goose": "geese",
    "mouse": "mice",
    "pony": "ponies",
    "couch": "couches",
    "bench": "benches",
    "wrench": "wrenches",
    "fish": "fish",
    "sheep": "sheep",
    "deer": "deer",
}
_UNCOUNTED = {
    "broccoli": ("head of broccoli", "heads of broccoli"),
    "celery": ("stalk of celery", "stalks of celery"),
    "garlic": ("clove of garlic", "cloves of garlic"),
    "lettuce": ("head of lettuce", "heads of lettuce"),
}
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ENTRY = re.compile(rf"\b(an?|{'|'.join(_NUMBERS[1:])}) ([a-z][a-z ]*?)(?=,| and (?:an?|{'|'.join(_NUMBERS)}) |\.)")
_KINDS = {noun: kind for kind, nouns in _SINGULARS.items() for noun in nouns.split()}


class ObjectCounting(BbhTask):
    """Questions are made from a list of counts and solved by counting in the text."""

    name = "object_counting"
    description = "Count the things of one kind in a list."
    capability = "execution"
    form = INTEGER

    def make(self, rng: random.Random, level: int) -> Problem:
        wanted = rng.choice(list(_SINGULARS))
        others = [noun for noun, kind in _KINDS.items() if kind != wanted]
        size = rng.randint(*((2, 5), (5, 9), (9, 14))[level])
        strangers = rng.randint(0, (1, 3, 6)[level])
        nouns = rng.sample(_SINGULARS[wanted].split(), min(size, len(_SINGULARS[wanted].split())))
        entries = [(noun, _count(rng)) for noun in nouns + rng.sample(others, strangers)]
        rng.shuffle(entries)
        total = sum(count for noun, count in entries if noun in nouns)
        owner = rng.choice(("My aunt", "The school", "A farmer", "Our neighbour", "The museum", "My cousin"))
        things = listing([_phrase(noun, count) for noun, count in entries])
        return Problem(f"{owner} owns {things}. How many {wanted} is that in all?", str(total))

    def solution(self, text: str) -> str | None:
        read = _read(text)
        if read is None:
            return None
        kind, entries = read
        return str(sum(count for noun, count in entries if kind is None or _KINDS.get(noun) == kind))

    def programs(self, question: Question) -> Sequence[Program]:
        read = _read(problem_text(question))
        if read is None:
            return ()
        kind, entries = read
        counted = [noun for noun, _ in entries if kind is None or _KINDS.get(noun) == kind]
        label = kind or "objects"
        return (
            Program(
                "dictionary",
                f"owned = {dict(entries)!r}\n# {label}\nwanted = {counted!r}\n"
                "print(sum(owned[thing] for thing in wanted))\n",
            ),
            Program(
                "loop",
                f"entries = {[(noun, count, noun in counted) for noun, count in entries]!r}\ntotal = 0\n"
                f"for thing, count, is_wanted in entries:  # wanted: {label}\n"
                "    if is_wanted:\n        total += count\nprint(total)\n",
            ),
            Program(
                "function",
                "def count(entries, wanted):\n"
                "    return sum(number for thing, number in entries if thing in wanted)\n\n\n"
                f"{label.split()[-1]} = {sorted(counted)!r}\n"
                f"print(count({list(entries)!r}, {label.split()[-1]}))\n",
            ),
        )


def _count(rng: random.Random) -> int:
    return rng.randint(2, 6) if rng.random() < 0.5 else 1


def _phrase(noun: str, count: int) -> str:
    one, many = _UNCOUNTED.get(noun, (noun, _PLURALS.get(noun, noun + "s")))
    if count > 1:
        return f"{_NUMBERS[count]} {many}"
    return f"{'an' if one[0] in 'aeio' else 'a'} {one}"


def _read(text: str) -> tuple[str | None, list[tuple[str, int]]] | None:
    """The kind that is asked for (None: every object) and the entries of the list, by singular noun."""
    asked = re.search(r"How many ([a-z ]+?) (?:do I have|is that in all)\?", text)
    if asked is None:
        return None
    kind = None if asked[1] == "objects" else asked[1]
    if kind is not None and kind not in _SINGULARS:
        return None
    entries = []
    for number, words in _ENTRY.findall(text.partition("How many")[0]):
        noun = _singular(words)
        entries.append((noun, _NUMBERS.index(number) if number in _NUMBERS else 1))
    return (kind, entries) if entries else None


def _singular(words: str) -> str:
    """The noun of an entry: ``cherries`` is ``cherry``; ``heads of lettuce``, ``lettuce heads`` are ``lettuce``."""
    for noun in _UNCOUNTED:
        if noun in words.split():
            return noun
    for noun, plural in _PLURALS.items():
        if words == plural:
            return noun
    return words.removesuffix("s") if words not in _KINDS and words.removesuffix("s") in _KINDS else words
