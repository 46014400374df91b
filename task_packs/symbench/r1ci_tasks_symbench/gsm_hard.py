"""SymBench ``gsm_hard``: word problems of school arithmetic with large numbers.

The published questions are external data (``external_data``); without them the task asks questions of our own.
"""

from __future__ import annotations

import ast
import operator
import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench import external_data

VARIABLE = "R1CI_GSM_HARD"
_TOLERANCE = Fraction(1, 1000)
_EXAMPLE = "-0.5"
_DIGITS = ((2, 3), (4, 5), (6, 7))  # of the large numbers, by level


class _Story(NamedTuple):
    text: str
    formula: str
    small: Mapping[str, tuple[int, int]]  # ranges of the numbers that do not grow with the level


_STORIES = (
    _Story(
        "A bakery makes {trays} trays with {rolls} rolls each. It gives {given} of the trays to a school and sells "
        "all other rolls for {price} cents each. How many cents does it take in?",
        "({trays} - {given}) * {rolls} * {price}",
        {"rolls": (6, 40), "price": (20, 95), "given": (2, 9)},
    ),
    _Story(
        "A library owns {books} books. In each of {months} months it buys {bought} books and discards {lost} old "
        "ones. How many books does it own afterwards?",
        "{books} + {months} * ({bought} - {lost})",
        {"months": (3, 24), "lost": (2, 9)},
    ),
    _Story(
        "A farmer picks {apples} kilograms of apples and a neighbour picks {more} kilograms more than the farmer."
        " They put everything together and share it equally among {families} families. How many kilograms does "
        "each family get?",
        "(2 * {apples} + {more}) / {families}",
        {"families": (4, 25)},
    ),
    _Story(
        "A train with {cars} cars carries {people} passengers in each car. At the first stop {left} passengers "
        "leave and {entered} get on. How many passengers are on the train then?",
        "{cars} * {people} - {left} + {entered}",
        {"cars": (5, 16), "left": (10, 49), "entered": (50, 99)},
    ),
    _Story(
        "A phone costs {price} dollars. A shop lowers the price by {percent} percent and then sells {sold} of "
        "them. How many dollars do the buyers pay altogether?",
        "{price} * (100 - {percent}) / 100 * {sold}",
        {"percent": (5, 60), "sold": (3, 30)},
    ),
    _Story(
        "A tank holds {litres} litres of water. A pump adds {rate} litres per minute while a leak loses {leak} "
        "litres per minute. How many litres are in the tank after {hours} hours?",
        "{litres} + 60 * {hours} * ({rate} - {leak})",
        {"hours": (2, 12), "leak": (2, 9)},
    ),
    _Story(
        "Three friends collect stamps. The first has {stamps}, the second has {times} times as many, and the "
        "third has {fewer} fewer than the second. How many stamps do the three have together?",
        "{stamps} + 2 * {times} * {stamps} - {fewer}",
        {"times": (2, 8), "fewer": (3, 9)},
    ),
    _Story(
        "A worker earns {wage} dollars per hour for the first 40 hours of a week and one and a half times as much"
        " for every further hour. How many dollars does the worker earn in {weeks} weeks of {hours} hours each?",
        "{weeks} * {wage} * (40 + 3 * ({hours} - 40) / 2)",
        {"weeks": (2, 12), "hours": (41, 58)},
    ),
    _Story(
        "A printer needs {seconds} seconds for a page. A second printer needs half as long. How many minutes do "
        "both, working at the same time, need for {pages} pages?",
        "{pages} * {seconds} / 3 / 60",
        {"seconds": (3, 24)},
    ),
    _Story(
        "A charity collects {money} dollars. It spends one {part}th of that on food and {fraction} percent of the"
        " rest on medicine. How many dollars are left?",
        "{money} * ({part} - 1) / {part} * (100 - {fraction}) / 100",
        {"part": (4, 9), "fraction": (10, 75)},
    ),
)

_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

_PROGRAMS = {
    "direct": """\
{numbers}
result = {formula}
print(round(result, 6))
""",
    "function": """\
def solve({names}):
    return {formula}


print(round(solve({values}), 6))
""",
    "exact": """\
from fractions import Fraction

{fractions}
result = {formula}
print(result if result.denominator == 1 else float(result))
""",
}


class GsmHard(Task):
    """Word problems of school arithmetic with numbers too large for mental arithmetic; 0.1 % of error is allowed.

    Source: SymBench (CodeSteer-v1.0), ``gsm_hard``: the data set GSM-Hard, with ``R1CI_GSM_HARD``.
    """

    name = "gsm_hard"
    description = "Word problems of school arithmetic with large numbers."
    levels = len(_DIGITS)
    capability = "reasoning"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        """Make a question of our own, or choose a published one, which has no level."""
        if found := external_data.questions(VARIABLE, self.name, published):
            return rng.choice(found)
        shortest, longest = _DIGITS[self.level(rng, difficulty)]
        story = rng.choice(_STORIES)
        numbers: dict[str, int] = {}
        for name in _names(story):
            digits = rng.randint(shortest, longest)
            numbers[name] = rng.randint(*story.small.get(name, (10 ** (digits - 1), 10**digits - 1)))
        value = answers.expression(story.formula.format(**numbers)).value()
        story_numbers = {"formula": story.formula, "numbers": numbers}
        return _question(story.text.format(**numbers), _decimal(value), story_numbers)

    def check(self, question: Question, answer: str) -> bool:
        expected = answers.number(question.answer)
        return abs(answers.number(answer.replace("$", "")) - expected) <= _TOLERANCE * abs(expected)

    def solve(self, question: Question) -> str | None:
        # By Python's grammar and in floating point, where generate reads and computes exactly.
        if "formula" not in question.metadata:
            return None
        formula = question.metadata["formula"].format(**question.metadata["numbers"])
        return str(_evaluated(ast.parse(formula, mode="eval").body))

    def programs(self, question: Question) -> Sequence[Program]:
        numbers = question.metadata.get("numbers")
        if numbers is None:
            return ()
        parts = {
            "numbers": "\n".join(f"{name} = {value}" for name, value in numbers.items()),
            "fractions": "\n".join(f"{name} = Fraction({value})" for name, value in numbers.items()),
            "names": ", ".join(numbers),
            "values": ", ".join(map(str, numbers.values())),
            "formula": question.metadata["formula"].format(**{name: name for name in numbers}),
        }
        return [Program(style, body.format(**parts)) for style, body in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        return [f"${question.answer}", f"{float(answers.number(question.answer)):,}"]


def _evaluated(node: ast.expr) -> float:
    match node:
        case ast.BinOp(left, operation, right):
            return _OPERATIONS[type(operation)](_evaluated(left), _evaluated(right))
        case ast.Constant(float() | int() as value):
            return value
    raise ValueError(f"no arithmetic: {ast.dump(node)}")


def _names(story: _Story) -> list[str]:
    """The numbers of a story, in the order of its text."""
    parts = story.text.split("{")[1:]
    return list(dict.fromkeys(part.split("}")[0] for part in parts))


def _decimal(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6f}".rstrip("0")


def _question(text: str, answer: str, metadata: Mapping[str, Any]) -> Question:
    return Question(
        text=f"{text}\nGive the result as a number without unit between <<< and >>>, in the form <<<{_EXAMPLE}>>>. "
        "Round it to no fewer than six digits.",
        answer=answer,
        metadata=metadata,
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``question``, and ``solution``, a number.

    Raises:
        ValueError: If one of them is missing.
    """
    if not record["question"]:
        raise ValueError("there is no question")
    return _question(record["question"], _decimal(answers.number(str(record["solution"]))), {})
