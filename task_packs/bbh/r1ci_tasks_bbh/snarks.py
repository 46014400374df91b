"""snarks: which of two statements is sarcastic? Upstream has it only as data."""

from __future__ import annotations

import random

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, with_shuffled_options
from r1ci_tasks_bbh.task import OwnQuestions

_PRAISE = (
    "Just wonderful,",
    "Oh great,",
    "How lovely,",
    "What a treat,",
    "Best day ever,",
    "Exactly what I had hoped for,",
    "Lucky me,",
    "That really made my day:",
    "I could not be happier:",
    "Could it get any better?",
)
_EVENTS = (
    ("my train is three hours late again", "my train is exactly on time today"),
    ("it has been raining into my tent all night", "it has been warm and dry in my tent all night"),
    ("the dentist found six holes in my teeth", "the dentist found no holes in my teeth"),
    ("my flight was cancelled without a reason", "my flight was moved to a better seat for free"),
    ("somebody scratched my new car", "somebody found the key of my new car"),
    ("my phone died in the middle of the interview", "my phone brought the good news after the interview"),
    ("the hotel lost our booking", "the hotel gave us the room with the sea view"),
    ("the soup was cold and had a fly in it", "the soup was hot and tasted of fresh herbs"),
    ("my neighbour drills holes at five in the morning", "my neighbour baked a cake for my birthday"),
    ("the printer ate my only copy of the form", "the printer was ready before I reached it"),
    ("I get to spend the whole weekend doing my taxes", "I get to spend the whole weekend with old friends"),
    ("the lift is stuck between two floors with me inside", "the lift is working again after a month of stairs"),
    ("they served the cake after the dog had licked it", "they served the cake that I like best"),
    ("my team lost by nine goals", "my team won the cup"),
    ("the wifi has been down since Monday", "the wifi has become twice as fast since Monday"),
    ("I stepped into a puddle in my new shoes", "I found new shoes that fit perfectly"),
    ("my boss gave me extra work for my holiday", "my boss gave me an extra week of holiday"),
    ("the cinema had only seats behind a pillar", "the cinema had two seats in the best row"),
    ("my alarm clock did not go off before the exam", "my exam went better than I dared to hope"),
    ("the cat was sick on my keyboard", "the cat came home after three days"),
    ("we stood in the queue for hours to be sent away", "we were first in the queue and got the last tickets"),
    ("the wasps have found our picnic", "the sun came out for our picnic"),
    ("I caught a cold on the first day of my holiday", "I got well before the first day of my holiday"),
    ("the heating broke on the coldest night of the year", "the heating was repaired before the coldest night"),
)
"""A plain misfortune and a plain stroke of luck; praise for the first is sarcasm."""


class Snarks(OwnQuestions):
    """The same praise for a misfortune and for a stroke of luck."""

    name = "snarks"
    description = "Choose the sarcastic one of two statements."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        praise = rng.choice(_PRAISE)
        (misfortune, _), (_, luck) = rng.choice(_EVENTS), rng.choice(_EVENTS)
        sarcastic, sincere = (f"{praise} {_after(praise, event)}." for event in (misfortune, luck))
        return with_shuffled_options(
            rng, "One of these remarks is meant sarcastically. Which?", [sarcastic, sincere], sarcastic
        )


def _after(praise: str, event: str) -> str:
    return event[0].upper() + event[1:] if praise.endswith("?") else event
