"""web_of_lies: who tells the truth, given what each says about another."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import YES_NO
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import BbhTask, problem_text

_LIST = """
Ada Amir Anouk Arno Bela Bruno Carla Cem Dana Dmitri Edda Emil Farid Fiona Gita Goran Hana Hugo Ines Ivo Jana Jonas
Kaito Kira Lars Leila Mara Milan Nadia Nils Olga Omar Paolo Petra Quirin Rana Ravi Rosa Sana Sven Talia Timo Ugo
Uma Vera Viktor Wanda Xenia Yara Yuri Zeno Zoe
"""
_NAMES = tuple(_LIST.split())

_FIRST = re.compile(r"\b(\w+)( always)? (tells the truth|lies)\.")
_CLAIM = re.compile(r"\b(\w+) (?:says|claims)(?: that)? (\w+)(?: always)? (tells the truth|lies)\.")
_ASKED = re.compile(r"Does (\w+)(?: always)? tell the truth\?")


class WebOfLies(BbhTask):
    """Questions are made by deciding who lies and solved by the parity of the accusations."""

    name = "web_of_lies"
    description = "Decide whether the last of a chain of people tells the truth."
    capability = "reasoning"
    form = YES_NO

    def make(self, rng: random.Random, level: int) -> Problem:
        count = rng.randint(*((3, 4), (5, 6), (7, 10))[level])
        people = rng.sample(_NAMES, count)
        honest = [rng.random() < 0.5 for _ in people]
        claims = []
        for speaker, about in zip(range(1, count), range(count - 1), strict=True):
            said = honest[about] is honest[speaker]
            claims.append(f"{people[speaker]} claims that {people[about]} {_verb(said)}.")
        if level == 2:
            rng.shuffle(claims)
        stem = (
            "Each of these people either always tells the truth or always lies. "
            f"{people[0]} {_verb(honest[0])}. {' '.join(claims)} Does {people[-1]} tell the truth?"
        )
        return Problem(stem, "yes" if honest[-1] else "no")

    def solution(self, text: str) -> str | None:
        read = _read(text)
        if read is None:
            return None
        (first, true), claims, asked = read
        about = {speaker: (other, said) for speaker, other, said in claims}
        lies = 0 if true else 1
        for _ in claims:
            if asked == first:
                break
            if asked not in about:
                return None
            asked, said = about[asked]
            lies += not said
        return None if asked != first else ("no" if lies % 2 else "yes")

    def programs(self, question: Question) -> Sequence[Program]:
        read = _read(problem_text(question))
        if read is None:
            return ()
        (first, true), claims, asked = read
        data = f"known = {{{first!r}: {true}}}\nclaims = {claims!r}  # speaker, about whom, said to be honest\n"
        return tuple(
            Program(style, data + code.replace("ASKED", repr(asked)).replace("FIRST", repr(first)))
            for style, code in _PROGRAMS.items()
        )


def _verb(honest: bool) -> str:
    return "tells the truth" if honest else "lies"


def _read(text: str) -> tuple[tuple[str, bool], list[tuple[str, str, bool]], str] | None:
    """The person known to tell the truth or to lie, the claims, and who is asked about."""
    claims = [(speaker, about, verb != "lies") for speaker, about, verb in _CLAIM.findall(text)]
    first = _FIRST.search(_CLAIM.sub("", re.sub(r"^Each of .*?lies\. ", "", text)))
    asked = _ASKED.search(text)
    if not claims or first is None or asked is None:
        return None
    return (first[1], first[3] != "lies"), claims, asked[1]


_PROGRAMS = {
    "propagation": """\
while ASKED not in known:
    for speaker, about, honest in claims:
        if about in known:
            known[speaker] = known[about] == honest
print("yes" if known[ASKED] else "no")
""",
    "parity": """\
said = {speaker: (about, honest) for speaker, about, honest in claims}
person, lies = ASKED, 0
while person not in known:
    person, honest = said[person]
    lies += not honest
print("yes" if known[person] == (lies % 2 == 0) else "no")
""",
    "brute_force": """\
from itertools import product

people = sorted({person for speaker, about, _ in claims for person in (speaker, about)} | set(known))
for values in product((True, False), repeat=len(people)):
    honest = dict(zip(people, values))
    if all(honest[person] == value for person, value in known.items()) and all(
        honest[speaker] == (honest[about] == said) for speaker, about, said in claims
    ):
        print("yes" if honest[ASKED] else "no")
        break
""",
}
