"""ruin_names: the edit of a name that is funny. Upstream has it only as data."""

from __future__ import annotations

import random

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, with_shuffled_options
from r1ci_tasks_bbh.task import OwnQuestions

_NAMES = {
    "star wars": "star warts",
    "the lion king": "the lion kink",
    "jurassic park": "jurassic pork",
    "the godfather": "the codfather",
    "home alone": "gnome alone",
    "the matrix": "the mattress",
    "pretty woman": "petty woman",
    "iron man": "irony man",
    "toy story": "toy storey",
    "fight club": "fight cub",
    "die hard": "diet hard",
    "top gun": "top bun",
    "dirty dancing": "dirty dentist",
    "back to the future": "back to the furniture",
    "gone with the wind": "gone with the wine",
    "black panther": "black pantry",
    "the great escape": "the grate escape",
    "ghostbusters": "toastbusters",
    "spice girls": "spice grills",
    "radiohead": "radishhead",
    "the rolling stones": "the rolling scones",
    "pink floyd": "pink fluid",
    "johnny cash": "johnny cashew",
    "taylor swift": "tailor swift",
    "the beach boys": "the peach boys",
    "david bowie": "david bowtie",
    "fleetwood mac": "sweetwood mac",
    "the doors": "the drawers",
    "lord of the rings": "lord of the onion rings",
    "mission impossible": "mission implausible",
}
"""Names of films and artists, and an edit into other words that is meant to be funny."""


class RuinNames(OwnQuestions):
    """One edit makes other words, three are slips that make no words."""

    name = "ruin_names"
    description = "Choose the humorous edit of a name."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        name = rng.choice(list(_NAMES))
        slips: list[str] = []
        while len(slips) < 3:
            slip = _slip(rng, name)
            if slip not in slips:
                slips.append(slip)
        stem = (
            "Somebody changes the name of a film or of an artist for fun, so that it says something else in real "
            f"words. Which of these edits of '{name}' is the funny one, and no slip of the pen?"
        )
        return with_shuffled_options(rng, stem, [_NAMES[name], *slips], _NAMES[name])


def _slip(rng: random.Random, name: str) -> str:
    """A name with one letter put in or replaced by one that makes no word there."""
    place = rng.choice([index for index, letter in enumerate(name) if letter != " " and letter not in "xqz"])
    end = place + rng.randrange(2)
    return name[:place] + rng.choice("xqz") + name[end:]
