"""hyperbaton: the usual order of English adjectives."""

from __future__ import annotations

import random

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, options_of, with_shuffled_options
from r1ci_tasks_bbh.task import BbhTask

_ADJECTIVES = {
    "opinion": "adorable awful beautiful boring charming dull elegant fabulous horrible lovely nasty splendid ugly",
    "size": "big colossal gigantic huge large little massive miniature small tiny",
    "age": "aged ancient antique brand-new modern new old recent young",
    "shape": "circular conical cubic oval round square triangular",
    "colour": "beige black blue brown crimson green pink purple red turquoise white yellow",
    "origin": "African Belgian Canadian Danish Greek Italian Japanese Norwegian Peruvian Portuguese Swiss Welsh",
    "material": "bronze cardboard ceramic cotton felt granite leather paper plastic silk tin wooden",
    "purpose": "baking camping cleaning climbing dancing fishing gardening hiking hunting riding sailing sewing",
}
"""Adjectives of one class each, classes in the usual order."""

_NOUNS = (
    "bag",
    "basket",
    "belt",
    "blanket",
    "boot",
    "box",
    "glove",
    "hat",
    "jacket",
    "mat",
    "pot",
    "rug",
    "sack",
    "tent",
)
_RANKS = {word: rank for rank, words in enumerate(_ADJECTIVES.values()) for word in words.split()}


class Hyperbaton(BbhTask):
    """Questions are made by choosing from the classes in order and solved by looking for a pair out of order."""

    name = "hyperbaton"
    description = "Choose the phrase whose adjectives are in the usual order."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        count = rng.randint(*((2, 3), (3, 5), (5, 7))[level])
        classes = sorted(rng.sample(range(len(_ADJECTIVES)), count))
        words = [rng.choice(list(_ADJECTIVES.values())[rank].split()) for rank in classes]
        wrong = words[:]
        while wrong == words:
            if level == 2:
                index = rng.randrange(count - 1)
                wrong[index], wrong[index + 1] = wrong[index + 1], wrong[index]
            else:
                rng.shuffle(wrong)
        noun = rng.choice(_NOUNS)
        right, other = (" ".join([*adjectives, noun]) for adjectives in (words, wrong))
        stem = (
            "In English, adjectives before a noun usually come in this order: opinion, size, age, shape, colour, "
            "origin, material, purpose. Which phrase follows it?"
        )
        return with_shuffled_options(rng, stem, [right, other], right)

    def solution(self, text: str) -> str | None:
        for letter, phrase in options_of(text).items():
            *adjectives, _ = phrase.split()
            if not all(word in _RANKS for word in adjectives):
                return None
            if not any(_RANKS[a] > _RANKS[b] for i, a in enumerate(adjectives) for b in adjectives[i + 1 :]):
                return f"({letter})"
        return None
