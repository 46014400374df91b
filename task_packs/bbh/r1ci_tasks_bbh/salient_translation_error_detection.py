"""salient_translation_error_detection: what is wrong in a translation? Upstream has it only as data."""

from __future__ import annotations

import random
from collections.abc import Mapping

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, with_options
from r1ci_tasks_bbh.task import OwnQuestions

_KINDS = (
    "Modifiers or Adjectives",
    "Numerical Values",
    "Negation or Antonyms",
    "Named Entities",
    "Dropped Content",
    "Facts",
)
_TOWNS = (
    "Augsburg",
    "Bamberg",
    "Celle",
    "Erfurt",
    "Freiburg",
    "Goslar",
    "Kassel",
    "Lübeck",
    "Passau",
    "Rostock",
    "Ulm",
)
_PEOPLE = ("Anna Keller", "Klara Vogt", "Maria Brandt", "Ida Lorenz", "Else Winter", "Luise Falk", "Rosa Engel")
_BUILDINGS = {
    "Kirche": "church",
    "Mühle": "mill",
    "Brücke": "bridge",
    "Schule": "school",
    "Fabrik": "factory",
    "Bibliothek": "library",
    "Scheune": "barn",
}
_LOOKS = {"kleine": "small", "runde": "round", "rote": "red", "hölzerne": "wooden", "prächtige": "magnificent"}
_TRADES = {
    "Malerin": "painter",
    "Ärztin": "physician",
    "Sängerin": "singer",
    "Bildhauerin": "sculptor",
    "Physikerin": "physicist",
    "Gärtnerin": "gardener",
}
_FAMES = {"bekannte": "well-known", "junge": "young", "fleißige": "hard-working", "wohlhabende": "wealthy"}


class SalientTranslationErrorDetection(OwnQuestions):
    """A German sentence with one thing of each kind that can go wrong; in its translation one of them did."""

    name = "salient_translation_error_detection"
    description = "Say what kind of error a translation from German to English has."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        kind = rng.choice(_KINDS)
        source, translation = (_building if rng.random() < 0.5 else _woman)(rng, kind)
        stem = (
            "The English translation of this German sentence has one error. It is of one of these kinds. Modifiers or "
            "Adjectives: a word that describes a noun is another one. Numerical Values: a number or a year is another "
            "one. Negation or Antonyms: something is denied that was said, or the reverse. Named Entities: a name of "
            "a person or place is another one. Dropped Content: a whole clause is missing. Facts: anything else is "
            f"another one, such as what somebody or something is.\nGerman: {source}\nEnglish: {translation}"
        )
        return with_options(stem, _KINDS, kind)


def _pair(rng: random.Random, words: Mapping[str, str]) -> tuple[str, str, str]:
    """A German word, its translation, and the translation of another word."""
    german, other = rng.sample(list(words), 2)
    return german, words[german], words[other]


def _building(rng: random.Random, kind: str) -> tuple[str, str]:
    town, wrong_town = rng.sample(_TOWNS, 2)
    year, wrong_year = rng.sample(range(1650, 1990), 2)
    noun, right_noun, wrong_noun = _pair(rng, _BUILDINGS)
    look, right_look, wrong_look = _pair(rng, _LOOKS)
    source = f"In {town} steht eine {look} {noun}, die im Jahr {year} gebaut wurde und nicht besichtigt werden kann."
    town = wrong_town if kind == "Named Entities" else town
    right_look = wrong_look if kind == "Modifiers or Adjectives" else right_look
    right_noun = wrong_noun if kind == "Facts" else right_noun
    year = wrong_year if kind == "Numerical Values" else year
    seen = "can" if kind == "Negation or Antonyms" else "cannot"
    clause = "" if kind == "Dropped Content" else f"was built in the year {year} and "
    return source, f"In {town} there is a {right_look} {right_noun}, which {clause}{seen} be visited."


def _woman(rng: random.Random, kind: str) -> tuple[str, str]:
    person, wrong_person = rng.sample(_PEOPLE, 2)
    town = rng.choice(_TOWNS)
    count, wrong_count = rng.sample(range(2, 60), 2)
    trade, right_trade, wrong_trade = _pair(rng, _TRADES)
    fame, right_fame, wrong_fame = _pair(rng, _FAMES)
    source = f"{person} war eine {fame} {trade} aus {town}, die {count} Bücher schrieb und nie heiratete."
    person = wrong_person if kind == "Named Entities" else person
    right_fame = wrong_fame if kind == "Modifiers or Adjectives" else right_fame
    right_trade = wrong_trade if kind == "Facts" else right_trade
    count = wrong_count if kind == "Numerical Values" else count
    married = "married early" if kind == "Negation or Antonyms" else "never married"
    clause = "" if kind == "Dropped Content" else f"wrote {count} books and "
    return source, f"{person} was a {right_fame} {right_trade} from {town} who {clause}{married}."
