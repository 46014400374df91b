"""The task ``logical_equation``: give each letter one of the listed values so that all equations hold."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from string import ascii_uppercase
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import numbers
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

Constraint = Sequence[str]
"""Letter, operator, letter, constant: ``A + B = k``, ``A - B = k``, ``A / B = k`` (written as ``A = k * B``), or
``A > B``, whose constant is empty."""

LETTERS = (9, 11, 13, 15)
"""Number of letters, by level."""

_EXAMPLE = "[7, 4, 9]"

_TEXT = """\
The {count} letters {letters} stand for the numbers {values}: each letter for one of them, and different letters for \
different ones, so that every number is used exactly once. Moreover:

{constraints}

Find what the letters stand for. If there are several ways, any of them counts.

Put the values of the letters, in alphabetical order of the letters, as a list between <<< and >>>: \
<<<{example}>>> would mean A = 7, B = 4, C = 9."""


class LogicalEquation(Task):
    """Assign 9 to 15 distinct values to letters under 7 to 14 equations and inequalities; any solution counts.

    Source: ``logical_equation`` of SymBench (CodeSteer-v1.0).
    """

    name = "logical_equation"
    description = "Values of letters, all different and from a list, that satisfy a system of equations."
    levels = len(LETTERS)
    capability = "reasoning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        count = LETTERS[self.level(rng, difficulty)]
        values = dict(zip(ascii_uppercase, rng.sample(range(1, 121), count), strict=False))
        pairs = [(x, y) for x in values for y in values if x != y]
        rng.shuffle(pairs)
        constraints: dict[frozenset[str], Constraint] = {}
        wanted = rng.randint(count - 2, count - 1)
        for x, y in pairs:
            if len(constraints) < wanted and frozenset((x, y)) not in constraints:
                constraints[frozenset((x, y))] = _relation(rng, x, y, values)
        return _question(sorted(values.values()), list(constraints.values()), list(values.values()))

    def check(self, question: Question, answer: str) -> bool:
        values, given = numbers(answer), question.metadata["values"]
        if len(values) != len(given) or sorted(values) != sorted(map(Fraction, given)):
            return False
        letters = dict(zip(ascii_uppercase, values, strict=False))
        return all(_holds(constraint, letters) for constraint in question.metadata["constraints"])

    def solve(self, question: Question) -> str | None:
        constraints, values = question.metadata["constraints"], sorted(map(Fraction, question.metadata["values"]))
        letters = ascii_uppercase[: len(values)]

        def search(found: dict[str, Fraction]) -> dict[str, Fraction] | None:
            if len(found) == len(values):
                return found
            # The letter that most constraints tie to those found, or else to any.
            letter = max(
                (x for x in letters if x not in found),
                key=lambda x: [
                    sum(x in (c[0], c[2]) and (c[0] in found or c[2] in found) for c in constraints),
                    sum(x in (c[0], c[2]) for c in constraints),
                ],
            )
            for value in values:
                if value not in found.values() or list(found.values()).count(value) < values.count(value):
                    extended = {**found, letter: value}
                    if all(_holds(c, extended) for c in constraints if letter in (c[0], c[2])):
                        solution = search(extended)
                        if solution:
                            return solution
            return None

        solution = search({})
        return None if solution is None else f"[{', '.join(str(solution[letter]) for letter in letters)}]"

    def programs(self, question: Question) -> Sequence[Program]:
        data = question.metadata
        letters = ascii_uppercase[: len(data["values"])]
        head = (
            f"letters = {letters!r}\nvalues = [{', '.join(data['values'])}]\n"
            f"rules = {[_python(constraint) for constraint in data['constraints']]!r}\n\n"
        )
        return [Program(style, head + code) for style, code in _PROGRAMS.items()]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; values and constraints are read from its text."""
    text = record["question"] or ""
    values = re.search(r"one of the numbers ([-\d., ]+\d)", text)
    lines = re.findall(r"^\d+\. (.+?)\s*$", text, re.MULTILINE)
    if not values or not lines:
        raise ValueError("no values or constraints found in the text")
    question = _question(re.split(", *", values[1]), [_read(line) for line in lines], record["solution"])
    return in_upstream_words(question, text)


def _question(values: Sequence[object], constraints: Sequence[Constraint], solution: Sequence[object]) -> Question:
    text = _TEXT.format(
        count=len(values),
        letters=", ".join(ascii_uppercase[: len(values)]),
        values=", ".join(map(str, values)),
        constraints="\n".join(f"{i}. {_phrase(constraint)}" for i, constraint in enumerate(constraints, 1)),
        example=_EXAMPLE,
    )
    metadata = {"values": [str(value) for value in values], "constraints": [list(c) for c in constraints]}
    return Question(text=text, answer=f"[{', '.join(map(str, solution))}]", metadata=metadata, example=_EXAMPLE)


def _relation(rng: random.Random, x: str, y: str, values: Mapping[str, int]) -> Constraint:
    """A true constraint on two letters: a ratio where there is a short one, else a sum, difference or comparison."""
    if 10 * values[x] % values[y] == 0 and values[x] > values[y]:
        ratio = Fraction(values[x], values[y])
        return x, "/", y, str(ratio if ratio.denominator == 1 else float(ratio))
    kind = rng.choices("+->", weights=(4, 4, 1))[0]
    if kind == ">":
        return (x, ">", y, "") if values[x] > values[y] else (y, ">", x, "")
    return x, kind, y, str(values[x] + values[y] if kind == "+" else values[x] - values[y])


def _holds(constraint: Constraint, letters: Mapping[str, Fraction]) -> bool:
    """Whether a constraint holds, or is still open because a letter has no value yet."""
    left, operator, right, constant = constraint
    if left not in letters or right not in letters:
        return True
    x, y = letters[left], letters[right]
    if operator == ">":
        return x > y
    k = Fraction(constant)
    return {"+": x + y == k, "-": x - y == k, "/": x == k * y}[operator]


def _phrase(constraint: Constraint) -> str:
    left, operator, right, constant = constraint
    if operator == ">":
        return f"{left} {operator} {right}"
    return f"{left} = {constant} * {right}" if operator == "/" else f"{left} {operator} {right} = {constant}"


def _python(constraint: Constraint) -> str:
    """The constraint as a condition in Python, in integers where the constant is a decimal."""
    left, operator, right, constant = constraint
    if operator == ">":
        return f"{left} {operator} {right}"
    k = Fraction(constant)
    scaled = left if k.denominator == 1 else f"{k.denominator} * {left}"
    if operator == "/":
        return f"{scaled} == {k.numerator} * {right}"
    return f"{left} {operator} {right} == {constant}"


def _read(line: str) -> Constraint:
    """A constraint as it is published: ``C + J = 186``, ``H = 4.8B`` or ``B > A``."""
    if match := re.fullmatch(r"([A-Z]) ([-+]) ([A-Z]) = (-?\d+)", line):
        return match[1], match[2], match[3], match[4]
    if match := re.fullmatch(r"([A-Z]) = (\d+(?:\.\d+)?)([A-Z])", line):
        return match[1], "/", match[3], match[2]
    if match := re.fullmatch(r"([A-Z]) > ([A-Z])", line):
        return match[1], ">", match[2], ""
    raise ValueError(f"not a constraint: {line!r}")


_PROGRAMS = {
    "backtracking": """\
def holds(found):
    return all(eval(rule, {}, found) for rule in rules if set(rule) & set(letters) <= set(found))

def search(found):
    if len(found) == len(letters):
        return found
    # next the letter with most rules that tie it to known ones
    ties = {x: sum(x in rule and any(y in rule for y in found) for rule in rules) for x in letters if x not in found}
    letter = max(ties, key=lambda x: (ties[x], sum(x in rule for rule in rules)))
    for value in values:
        if value not in found.values() and holds({**found, letter: value}):
            solution = search({**found, letter: value})
            if solution:
                return solution

solution = search({})
print([solution[letter] for letter in letters])
""",
    "propagation": """\
tests = {}
for rule in rules:
    x, y = sorted(set(rule) & set(letters))
    tests[x, y, rule] = {(p, q) for p in values for q in values if p != q and eval(rule, {x: p, y: q})}

def search(domains):
    before = None
    while domains != before:
        before = {x: list(domain) for x, domain in domains.items()}
        for (x, y, _), pairs in tests.items():
            domains[x] = [p for p in domains[x] if any((p, q) in pairs for q in domains[y])]
            domains[y] = [q for q in domains[y] if any((p, q) in pairs for p in domains[x])]
        for x in letters:
            known = {domains[y][0] for y in letters if y != x and len(domains[y]) == 1}
            domains[x] = [p for p in domains[x] if p not in known]
    if not all(domains.values()):
        return None
    x = min(letters, key=lambda x: (len(domains[x]) == 1, len(domains[x])))
    if len(domains[x]) == 1:
        return [domains[x][0] for x in letters]
    return next(filter(None, (search({**domains, x: [p]}) for p in domains[x])), None)

print(search({x: values for x in letters}))
""",
    "joining": """\
# Extend partial solutions rule by rule, rules on known letters first.
def extend(found, rule):
    tries = [found]
    for x in sorted(set(rule) & set(letters) - set(found)):
        tries = [{**t, x: v} for t in tries for v in values if v not in t.values()]
    return [t for t in tries if eval(rule, {}, t)]

def search(found, left):
    if not left:
        rest = iter(v for v in values if v not in found.values())
        return [found[x] if x in found else next(rest) for x in letters]
    rule = max(left, key=lambda rule: sum(x in rule for x in found))
    tries = (search(t, [other for other in left if other != rule]) for t in extend(found, rule))
    return next(filter(None, tries), None)

print(search({}, rules))
""",
}
