"""The seven forms of answer in BIG-Bench-Hard: how a question asks for one, and how a checker reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from r1ci_plugins.tasks import answers
from r1ci_plugins.tasks.answers import Unreadable
from r1ci_tasks_bbh.problem import options_of


@dataclass(frozen=True)
class Form:
    """One form of answer.

    Attributes:
        request: What the answer has to be, as the end of "Put the final answer between <<< and >>>: ...".
        examples: Two answers of this form; the text shows the first that is not correct.
        read: Reads an answer, given the problem's text, to a value that equality compares; raises ``Unreadable``.
        rewritten: Other ways to write an answer that is in this form.
    """

    request: str
    examples: tuple[str, str]
    read: Callable[[str, str], object]
    rewritten: Callable[[str], Sequence[str]] = lambda answer: ()

    def same(self, answer: str, target: str, problem: str) -> bool:
        """Whether two answers to a problem mean the same.

        Raises:
            Unreadable: One of them is not in this form.
        """
        return self.read(answer, problem) == self.read(target, problem)

    def example(self, target: str, problem: str) -> str:
        """The answer that a question shows to illustrate the form; not the correct one."""
        first, second = self.examples
        try:
            return second if self.same(first, target, problem) else first
        except Unreadable:
            return first


def _one_of(*options: str) -> Form:
    return Form(
        f"one word, {' or '.join(options)}",
        ("answer", "answer"),
        lambda answer, _: answers.choice(answer, options),
        lambda answer: (answer.upper(), answer.lower()),
    )


def _brackets(answer: str, _: str) -> str:
    sequence = re.sub(r"[\s,;'\"`]+", "", answers.tidy(answer))
    if not sequence or sequence.strip("()[]{}<>"):
        raise Unreadable("not a sequence of brackets")
    return sequence


def _words(answer: str, _: str) -> list[str]:
    return [word.casefold() for word in answers.items(answer)]


LETTER = Form(
    "the letter of one option in parentheses",
    ("(X)", "(Z)"),
    lambda answer, problem: answers.choice(answer, list(options_of(problem))),
    lambda answer: (answer.strip("()"), answer.lower(), answer.strip("("), f"[{answer.strip('()')}]"),
)
YES_NO = _one_of("yes", "no")
TRUE_FALSE = _one_of("True", "False")
VALID_INVALID = _one_of("valid", "invalid")
INTEGER = Form("an integer", ("123456", "-123456"), lambda answer, _: answers.integer(answer))
BRACKETS = Form(
    "only the brackets that are missing, separated by blanks",
    (") } ]", "] ) }"),
    _brackets,
    lambda answer: (answer.replace(" ", ""), answer.replace(" ", ", ")),
)
WORDS = Form(
    "all the words, separated by blanks",
    ("first second third", "one two three"),
    _words,
    lambda answer: (answer.replace(" ", ", "), answer.replace(" ", "\n"), answer.title()),
)
