"""disambiguation_qa: whom does a pronoun mean? Upstream has it only as data."""

from __future__ import annotations

import random

from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, with_options
from r1ci_tasks_bbh.task import OwnQuestions

_PEOPLE = {
    "he": ("uncle", "grandfather", "king", "monk", "bridegroom", "stepfather", "nephew", "duke", "boy", "widower"),
    "she": ("aunt", "grandmother", "queen", "nun", "bride", "stepmother", "niece", "duchess", "girl", "widow"),
    "they": ("two cooks", "three tourists", "twin brothers", "four dancers", "two drivers", "three painters"),
}
_MEETINGS = ("met", "called", "wrote to", "recognised", "waved to", "talked to", "sat beside", "greeted")
_CLAUSES = (
    ("after {} had returned from the market", "had returned from the market"),
    ("before {} left for Lisbon", "left for Lisbon"),
    ("when {} came out of the cinema", "came out of the cinema"),
    ("while {} waited for the bus", "waited for the bus"),
    ("shortly after {} had bought a new coat", "had bought a new coat"),
    ("on the day when {} missed the train", "missed the train"),
    ("before {} heard the news", "heard the news"),
    ("just as {} stepped into the garden", "stepped into the garden"),
)


class DisambiguationQa(OwnQuestions):
    """Two people; the pronoun fits one of them, or both."""

    name = "disambiguation_qa"
    description = "Say whom a pronoun refers to, or that it is ambiguous."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        pronoun = rng.choice(list(_PEOPLE))
        right = rng.randrange(3)
        fitting = rng.sample(_PEOPLE[pronoun], 2)
        other = rng.choice([person for key, people in _PEOPLE.items() if key != pronoun for person in people])
        people = [(fitting[0], other), (other, fitting[0]), (fitting[0], fitting[1])][right]
        clause, claim = rng.choice(_CLAUSES)
        sentence = f"The {people[0]} {rng.choice(_MEETINGS)} the {people[1]} {clause.format(pronoun)}."
        stem = (
            "Whom does the pronoun in this sentence refer to? Go by gender and number alone, with he for one man, she "
            "for one woman and they for several people; where both persons or groups fit, the pronoun is ambiguous.\n"
            f"Sentence: {sentence}"
        )
        options = [f"The {people[0]} {claim}", f"The {people[1]} {claim}", "Ambiguous"]
        return with_options(stem, options, options[right])
