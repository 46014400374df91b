"""Arithmetic text to values without eval: a small recursive-descent parser over any type with Python's operators.

Length and nesting are bounded here; how large a value may become is up to the type (``Expression`` has no powers, so
its values cannot outgrow its text).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from r1ci_plugins.tasks.task import Unreadable

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)|([A-Za-z]+)|(\*\*|[-+*/^()]))", re.ASCII)
_MAX_TOKENS = 4000
_MAX_DEPTH = 60
_MAX_CHARS = 2000


def evaluate(
    text: str,
    number: Callable[[str], Any],
    symbols: Mapping[str, Any] | None = None,
    functions: Mapping[str, Callable[[Any], Any]] | None = None,
    power: bool = True,
) -> Any:
    """The value of an expression of numbers, names, ``+ - * / ** ^`` and brackets, in the type that ``number`` makes.

    Args:
        text: The expression. Multiplication signs are required; ``^`` means ``**``.
        number: Makes a value from a decimal literal. With ``power`` its type must refuse to grow without bound.
        symbols: Values of names.
        functions: Functions of one argument, by name.
        power: Whether ``**`` is allowed.

    Raises:
        Unreadable: If the text is not such an expression, or is too long or too deeply nested.
        ArithmeticError: From the operations themselves, such as a division by zero.
    """
    parser = _Parser(_tokens(text), number, symbols or {}, functions or {}, power)
    value = parser.sum(0)
    if parser.position != len(parser.tokens):
        raise Unreadable(f"unexpected {parser.tokens[parser.position]!r} in an expression")
    return value


@dataclass(frozen=True)
class Expression:
    """A well-formed expression of decimal literals, ``+ - * /`` and brackets."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an expression; ``×``, ``·`` and ``÷`` are signs of multiplication and division.

        Raises:
            Unreadable: If it is not an expression, has powers, or is longer than any answer needs.
        """
        if len(text) > _MAX_CHARS:
            raise Unreadable(f"an expression of more than {_MAX_CHARS} characters")
        text = re.sub(r"[×·]", "*", text).replace("÷", "/")
        evaluate(text, lambda _: _WellFormed(), power=False)
        return cls(text)

    def value(self) -> Fraction:
        """The exact value; Unreadable on a division by zero."""
        try:
            value: Fraction = evaluate(self.text, Fraction, power=False)
        except ZeroDivisionError:
            raise Unreadable("a division by zero") from None
        return value

    def numbers(self) -> list[Fraction]:
        """The literals from left to right, without signs before them."""
        return [Fraction(token) for token in _tokens(self.text) if token[0] not in "+-*/()"]

    def operators(self) -> list[str]:
        """The signs ``+ - * /`` from left to right; those before a single operand, as in ``-3``, are among them."""
        return [token for token in _tokens(self.text) if token in "+-*/"]


class _WellFormed:
    """Stands for any value where only the form of an expression matters."""

    def _same(self, *other: object) -> Self:
        return self

    __add__ = __sub__ = __mul__ = __truediv__ = __neg__ = _same


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) >= _MAX_TOKENS:
            raise Unreadable("not an arithmetic expression")
        tokens.append(match[match.lastindex or 0])
        position = match.end()
    return tokens


@dataclass
class _Parser:
    tokens: list[str]
    number: Callable[[str], Any]
    symbols: Mapping[str, Any]
    functions: Mapping[str, Callable[[Any], Any]]
    power: bool
    position: int = 0

    def take(self, *wanted: str) -> str | None:
        """The next token, consumed, if it is one of ``wanted``."""
        if self.position < len(self.tokens) and self.tokens[self.position] in wanted:
            self.position += 1
            return self.tokens[self.position - 1]
        return None

    def sum(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise Unreadable("an expression nested too deeply")
        value = self.product(depth)
        while sign := self.take("+", "-"):
            term = self.product(depth)
            value = value + term if sign == "+" else value - term
        return value

    def product(self, depth: int) -> Any:
        value = self.signed(depth)
        while sign := self.take("*", "/"):
            factor = self.signed(depth)
            value = value * factor if sign == "*" else value / factor
        return value

    def signed(self, depth: int) -> Any:
        negative = False
        while sign := self.take("+", "-"):
            negative ^= sign == "-"
        value = self.atom(depth)
        if self.take("**", "^"):
            if not self.power or depth > _MAX_DEPTH:
                raise Unreadable("powers are not allowed here")
            value = value ** self.signed(depth + 1)  # right associative, and tighter than a sign before it
        return -value if negative else value

    def atom(self, depth: int) -> Any:
        if self.take("("):
            return self.bracketed(depth)
        if self.position == len(self.tokens):
            raise Unreadable("the expression ends too early")
        token = self.tokens[self.position]
        self.position += 1
        if token[0].isdigit() or token[0] == ".":
            return self.number(token)
        if token in self.functions and self.take("("):
            return self.functions[token](self.bracketed(depth))
        if token in self.symbols:
            return self.symbols[token]
        raise Unreadable(f"unexpected {token[:20]!r} in an expression")

    def bracketed(self, depth: int) -> Any:
        value = self.sum(depth + 1)
        if not self.take(")"):
            raise Unreadable("a bracket is not closed")
        return value
