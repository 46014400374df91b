"""temporal_sequences: the only gap in a day."""

from __future__ import annotations

import random
import re

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, options_of, with_shuffled_options
from r1ci_tasks_bbh.task import BbhTask

_NAMES = ("Alba", "Boris", "Clara", "Derek", "Esra", "Felix", "Greta", "Henry", "Irina", "Jakob", "Karim", "Lotte")
_PLACES = (
    "zoo",
    "bakery",
    "town hall",
    "swimming pool",
    "museum",
    "barber shop",
    "bank",
    "post office",
    "gym",
    "theatre",
)
_ACTIVITIES = (
    "feeding ducks at the pond",
    "playing chess in the park",
    "waiting at the bus stop",
    "washing a car in the yard",
    "drawing the old bridge",
    "shopping at the market",
    "repairing a bicycle",
    "walking a dog along the river",
    "talking on the phone in the hallway",
    "practising the violin",
    "eating noodles at a food stall",
    "reading on a bench",
    "jogging around the lake",
    "painting a fence",
)
_CLOCK = r"(\d+)(?::(\d\d))?(am|pm)"
_SPAN = re.compile(rf"{_CLOCK} to {_CLOCK}")
_AWAKE = re.compile(rf"(?:woke|got) up at {_CLOCK}")
_CLOSED = re.compile(rf"closed (?:after|at) {_CLOCK}")


class TemporalSequences(BbhTask):
    """Questions are made by cutting a day into pieces and solved by crossing out the minutes that are taken."""

    name = "temporal_sequences"
    description = "Find when somebody could have gone somewhere, given what they did all day."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        pieces = rng.randint(*((4, 5), (5, 7), (7, 9))[level])
        grain = 30 if level == 2 else 60
        first, last = 5 * 60 // grain, 22 * 60 // grain
        cuts = [cut * grain for cut in sorted(rng.sample(range(first, last + 1), pieces + 1))]
        spans = list(zip(cuts, cuts[1:], strict=False))
        gap = rng.randrange(pieces)
        person, *witnesses = rng.sample(_NAMES, pieces)
        place = rng.choice(_PLACES)
        busy = [span for index, span in enumerate(spans) if index != gap]
        seen = [
            f"{witness} watched {person} {activity} from {_span(span)}."
            for witness, activity, span in zip(witnesses, rng.sample(_ACTIVITIES, len(busy)), busy, strict=True)
        ]
        stem = "\n".join(
            [
                f"{person} went to the {place} today, at a time when nobody was watching. This is what we know:",
                f"{person} got up at {_clock(cuts[0])}.",
                *seen,
                f"The {place} closed at {_clock(cuts[-1])}.",
                "When could that have been?",
            ]
        )
        right = _span(spans[gap])
        return with_shuffled_options(rng, stem, [right, *(_span(span) for span in rng.sample(busy, 3))], right)

    def solution(self, text: str) -> str | None:
        body, _, _ = text.partition("Options:")
        awake, closed = _AWAKE.search(body), _CLOSED.search(body)
        if awake is None or closed is None:
            return None
        free = set(range(_minutes(*awake.groups()), _minutes(*closed.groups())))
        for span in _SPAN.findall(body):
            free -= set(range(_minutes(*span[:3]), _minutes(*span[3:])))
        for letter, option in options_of(text).items():
            span = _SPAN.fullmatch(option)
            if span and set(range(_minutes(*span.groups()[:3]), _minutes(*span.groups()[3:]))) == free:
                return f"({letter})"
        return None


def _clock(minutes: int) -> str:
    hour, minute = divmod(minutes, 60)
    return f"{(hour - 1) % 12 + 1}{f':{minute:02}' if minute else ''}{'am' if hour < 12 else 'pm'}"


def _span(span: tuple[int, int]) -> str:
    return f"{_clock(span[0])} to {_clock(span[1])}"


def _minutes(hour: str, minute: str | None, half: str) -> int:
    return int(hour) % 12 * 60 + int(minute or 0) + (720 if half == "pm" else 0)
