"""causal_judgement: who caused something, and who meant to? Upstream has it only as data."""

from __future__ import annotations

import random
from typing import NamedTuple

from r1ci_tasks_bbh.forms import YES_NO
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import OwnQuestions

_NAMES = ("Alina", "Bruno", "Carmen", "David", "Elif", "Fabian", "Gloria", "Hassan", "Ida", "Julius", "Katja", "Leon")


class Mishap(NamedTuple):
    """Something that somebody can do, and its consequence."""

    did: str
    do: str
    outcome: str
    to_happen: str
    nature: str


_MISHAPS = (
    Mishap("pushed the vase off the table", "push the vase off the table", "The vase broke.", "the vase to break",
           "a gust of wind blew the vase off the table"),
    Mishap("switched off the freezer", "switch off the freezer", "The ice cream melted.", "the ice cream to melt",
           "a lightning strike cut the freezer's power"),
    Mishap("opened the rabbit's cage", "open the rabbit's cage", "The rabbit ran away.", "the rabbit to run away",
           "a storm tore the rabbit's cage open"),
    Mishap("tipped ink over the letter", "tip ink over the letter", "The letter could no longer be read.",
           "the letter to become unreadable", "rain came through the roof and soaked the letter"),
    Mishap("kicked the sandcastle", "kick the sandcastle", "The sandcastle collapsed.", "the sandcastle to collapse",
           "a large wave ran over the sandcastle"),
    Mishap("cut the rope of the boat", "cut the rope of the boat", "The boat drifted away.", "the boat to drift away",
           "the gale snapped the rope of the boat"),
    Mishap("slammed the window shut", "slam the window shut", "The window pane cracked.", "the window pane to crack",
           "a hailstone hit the window pane"),
    Mishap("shook the apple tree", "shake the apple tree", "All the apples fell.", "the apples to fall",
           "an earthquake shook the apple tree"),
    Mishap("pulled the plug of the computer", "pull the plug of the computer", "The computer went off.",
           "the computer to go off", "a power cut hit the whole town"),
    Mishap("knocked the pot off the stove", "knock the pot off the stove", "The soup was spilled.",
           "the soup to be spilled", "a tremor made the pot slide off the stove"),
    Mishap("trod on the flower bed", "tread on the flower bed", "The tulips were crushed.",
           "the tulips to be crushed", "a falling branch hit the flower bed"),
    Mishap("rang the fire bell", "ring the fire bell", "Everybody left the building.",
           "everybody to leave the building", "smoke from a burning cable set off the fire bell"),
)  # fmt: skip


class CausalJudgement(OwnQuestions):
    """Stories with one plain cause, one plain bystander, one plain intention or one plain accident."""

    name = "causal_judgement"
    description = "Judge as most people would: who caused something, or meant it?"
    capability = "reasoning"
    form = YES_NO

    def make(self, rng: random.Random, level: int) -> Problem:
        story, question, answer = _story(rng, rng.choice(_MISHAPS), *rng.sample(_NAMES, 2))
        return Problem(f"Here is a short story. {story} What would most people say: {question}", answer)


def _story(rng: random.Random, mishap: Mishap, a: str, b: str) -> tuple[str, str, str]:
    """A story, a question about it, and the answer of most people."""
    caused = f"did {a} cause {mishap.to_happen}?"
    meant = f"did {a} {mishap.do} intentionally?"
    deed, outcome = mishap.did, mishap.outcome
    stories = (
        (f"{a} was in a bad mood and, on purpose, {deed}. {outcome}", caused, "yes"),
        (f"{a} wanted to play a trick on {b}, waited for a quiet moment and {deed}. {outcome}", meant, "yes"),
        (f"{a} had planned it for days: as soon as {b} had left, {a} {deed}. {outcome}", caused, "yes"),
        (f"{a} tripped over a step and, without wanting to, {deed}. {outcome} {a} was very sorry.", meant, "no"),
        (f"{a} was sleepwalking and knew nothing of it, but {deed}. {outcome}", meant, "no"),
        (f"{a} sat two houses away and read a novel. Meanwhile {b} {deed}, on purpose. {outcome}", caused, "no"),
        (f"{a} meant to {mishap.do}, but {b} came first and {deed}, before {a} could move. {outcome}", caused, "no"),
        (f"{b} meant to {mishap.do}, but {a} came first and {deed}, before {b} could move. {outcome}", caused, "yes"),
        (f"{a} was out of town and could do nothing when {mishap.nature}. {outcome}", caused, "no"),
        (
            f"{a} wished that somebody would {mishap.do}, but told nobody. Then {mishap.nature}. {outcome}",
            caused,
            "no",
        ),
    )
    yes = rng.random() < 0.5
    return rng.choice([story for story in stories if (story[2] == "yes") is yes])
