"""dyck_languages: close the brackets that are still open."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import BRACKETS
from r1ci_tasks_bbh.problem import Problem
from r1ci_tasks_bbh.task import BbhTask, problem_text

_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
_PREFIX = re.compile(r"(?:[()\[\]{}<>] ?)+")


class DyckLanguages(BbhTask):
    """Questions are made by a random walk with a stack and solved by erasing closed pairs."""

    name = "dyck_languages"
    description = "Complete a sequence of nested brackets of four kinds."
    capability = "execution"
    form = BRACKETS

    def make(self, rng: random.Random, level: int) -> Problem:
        length = rng.randint(*((3, 10), (11, 25), (26, 60))[level])
        stack: list[str] = []
        sequence = []
        for position in range(length):
            # At least one bracket stays open at the end.
            if len(stack) > (1 if position == length - 1 else 0) and rng.random() < 0.45:
                sequence.append(_CLOSING[stack.pop()])
            else:
                stack.append(rng.choice("([{<"))
                sequence.append(stack[-1])
        stem = (
            "A sequence of brackets of the four kinds ( ), [ ], { } and < > begins as below. Which brackets, as few "
            f"as possible, have to follow it so that every bracket is closed in the right order?\n{' '.join(sequence)}"
        )
        return Problem(stem, " ".join(_CLOSING[bracket] for bracket in reversed(stack)))

    def solution(self, text: str) -> str | None:
        prefix = _prefix(text)
        shorter = re.sub(r"\(\)|\[\]|\{\}|<>", "", prefix)
        while shorter != prefix:
            prefix, shorter = shorter, re.sub(r"\(\)|\[\]|\{\}|<>", "", shorter)
        if not prefix or not set(prefix) <= set(_CLOSING):
            return None
        return " ".join(_CLOSING[bracket] for bracket in reversed(prefix))

    def programs(self, question: Question) -> Sequence[Program]:
        prefix = _prefix(problem_text(question))
        return tuple(Program(style, code.replace("PREFIX", repr(prefix))) for style, code in _PROGRAMS.items())


def _prefix(text: str) -> str:
    """The last run of brackets in a problem, without blanks."""
    runs = _PREFIX.findall(text)
    return runs[-1].replace(" ", "") if runs else ""


_PROGRAMS = {
    "stack": """\
closing = {"(": ")", "[": "]", "{": "}", "<": ">"}
stack = []
for bracket in PREFIX:
    if bracket in closing:
        stack.append(closing[bracket])
    else:
        stack.pop()
print(" ".join(reversed(stack)))
""",
    "erasing": """\
text = PREFIX
while any(pair in text for pair in ("()", "[]", "{}", "<>")):
    for pair in ("()", "[]", "{}", "<>"):
        text = text.replace(pair, "")
print(" ".join(text[::-1].translate(str.maketrans("([{<", ")]}>"))))
""",
    "recursion": """\
def missing(text, expected):
    if not text:
        return expected
    if text[0] in "([{<":
        return missing(text[1:], ")]}>"["([{<".index(text[0])] + expected)
    return missing(text[1:], expected[1:])


print(" ".join(missing(PREFIX, "")))
""",
}
