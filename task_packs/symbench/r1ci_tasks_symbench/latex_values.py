r"""Whether two values in LaTeX, or in plain notation, are the same: ``\frac{1}{2}`` and ``0.5``.

Numbers are compared exactly, lists item by item; only what is left goes to math-verify. That library neither limits
what it works out (``9^{9^{9}}``, ``\sum``) nor interrupts it in a worker (its timeouts are signals), so it only sees
short texts of a few commands, small powers and shallow brackets. Its parser of plain expressions evaluates text and is
never used; the one for LaTeX builds sympy objects from a grammar.
"""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from functools import cache, partial
from typing import Any

from r1ci_plugins.tasks import answers

_MOST_CHARACTERS = 120
_DEEPEST = 5
_MOST_POWERS = 2
_RELATIVE = Fraction(1, 10**6)
"""How near a decimal must be to a value that has no finite decimal form."""

_COMMANDS = frozenset(
    ("frac", "sqrt", "pi", "cdot", "times", "div", "binom", "ln", "log", "theta", "alpha", "beta", "triangle")
    + ("sin", "cos", "tan", "cot", "sec", "csc")
)
_UNIT = re.compile(r"\\(?:text|mbox|textbf|mathrm)\s?\{([^{}]*)\}(?:\^(?:\{[23]\}|[23]))?")
_POWER = re.compile(r"\^(?:\d|\{-?\d{1,2}\}|\{?[a-z]\}?)")
_CHOICE = re.compile(r"\\binom\{\d{1,3}\}\{\d{1,3}\}")
_FRACTION = re.compile(r"(-?)\\frac(?:\{(-?\d+)\}|(\d))(?:\{(-?\d+)\}|(\d))")


def same(answer: str, reference: str) -> bool:
    r"""Whether an answer has the value of the reference.

    Units, dollar and degree signs, and the name in ``x = 5`` do not matter. The order of ``(1, 2)`` matters, that of
    ``1, 2`` and ``\{1, 2\}`` does not; ``(1, 2)`` and ``[1, 2]`` differ. ``50\%`` is ``1/2``, and it is ``50`` too,
    since a question may ask for the percentage; ``0.5\%`` is not ``1/2``. Decimals count as exact, except that a
    value without a finite decimal form may be given with a relative error of 1e-6.

    Raises:
        Unreadable: If the answer is neither a number nor a short formula.
    """
    given, percentage = _without_percent(_plain(answer))
    expected, percentage_expected = _without_percent(_plain(reference))
    if not given or len(given) > _MOST_CHARACTERS:
        raise answers.Unreadable("not a short formula")
    if percentage and not percentage_expected:
        return _is_percentage(_unnamed(given, ""), expected)
    if percentage_expected and not percentage and _is_percentage(expected, _unnamed(given, "")):
        return True
    return any(_same(_unnamed(given, form), form) for form in _forms(expected))


def _without_percent(text: str) -> tuple[str, bool]:
    """The text without its percent signs, and whether it is one number with one at its end."""
    if text.endswith("%") and text.count("%") == 1:
        return text[:-1].strip(), True
    return text.replace("%", ""), False


def _is_percentage(percent: str, other: str) -> bool:
    """Whether so many percent are the other value, or the other value is their number, which is more than 1."""
    given, expected = _rational(percent), _rational(other)
    if given is None or expected is None:
        return _same(percent, other)
    return given / 100 == expected or (given == expected and abs(expected) > 1)


def boxed(solution: str) -> str:
    r"""What the last ``\boxed{...}`` of a worked solution holds; the text itself if it has none.

    Raises:
        ValueError: If the brace does not close.
    """
    start = solution.rfind("\\boxed")
    if start < 0:
        return solution
    rest = solution[start + len("\\boxed") :].lstrip()
    if not rest.startswith("{"):
        return rest.split("$")[0].strip()
    depth = 0
    for end, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[1:end].strip()
    raise ValueError(f"a \\boxed without its end: {rest[:80]!r}")


def _plain(text: str) -> str:
    """One spelling for each thing, without what does not change the value."""
    text = answers.tidy(text)
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        text = text.removeprefix(opening).removesuffix(closing)
    if text.strip().startswith("\\boxed"):
        text = boxed(text)
    text = text.replace(r",\!", "").replace("{,}", "")  # between groups of three digits
    text = re.sub(r"(?<=\d)\\[,;: ](?=\d{3}(?!\d))", "", text)
    text = re.sub(r"\\[!,;: ]|~", " ", text)
    text = re.sub(r"\\(?:left|right|big|Big|bigl|bigr)(?![a-zA-Z])", "", text)
    text = re.sub(r"\\[dtc](frac|binom)", r"\\\1", text)
    text = re.sub(r"\^\s?\{?\s?\\circ\s?\}?|\\degree|°|\\?\$", "", text).replace("\\%", "%")
    text = text.replace("π", r"\pi ").replace("√", r"\sqrt").replace("·", "*")
    without_units = _UNIT.sub(" ", text).strip(" .")
    return " ".join((without_units or _UNIT.sub(r"\1", text)).split())


def _forms(reference: str) -> list[str]:
    """The reference, and the values in it where it is an equation between a name or a number and a value."""
    sides = [side.strip() for side in re.split(r"=|\\approx", reference)]
    if len(sides) == 2 and "," not in reference and (re.fullmatch(r"[A-Za-z]{1,3}", sides[0]) or _rational(sides[0])):
        return [reference, *(side for side in sides if not re.fullmatch(r"[A-Za-z]{1,3}", side))]
    return [reference]


def _unnamed(answer: str, reference: str) -> str:
    return answer if "=" in reference else re.sub(r"^[A-Za-z]{1,3} ?= ?", "", answer)


def _same(answer: str, reference: str) -> bool:
    if _tight(answer) == _tight(reference):
        return True
    if len(reference) > 1 and reference.isalpha():
        return answer.casefold() == reference.casefold()
    given, expected = _rational(answer), _rational(reference)
    if given is not None and expected is not None:
        return given == expected or (not _finite(expected) and "." in answer and _near(given, expected))
    (items, _), (expected_items, ordered) = _items(answer), _items(reference)
    if len(items) > 1 or len(expected_items) > 1:
        if {answer[0], reference[0]} == {"(", "["} or {answer[-1], reference[-1]} == {")", "]"}:
            return False  # an open interval is no closed one
        return _same_items(items, expected_items, ordered)
    return _equivalent(answer, reference, given)


def _tight(text: str) -> str:
    """The text without blanks, but for those between digits, which separate numbers."""
    return re.sub(r"(?<!\d) | (?!\d)", "", text)


def _rational(text: str) -> Fraction | None:
    """The exact value of an integer, decimal or fraction; None for anything else."""
    if match := _FRACTION.fullmatch(text.replace(" ", "")):
        below = int(match[4] or match[5])
        value = Fraction(int(match[2] or match[3]), below) if below else None
        return -value if value is not None and match[1] else value
    try:
        return answers.number(text)
    except answers.Unreadable:
        return None


def _finite(value: Fraction) -> bool:
    """Whether a number has a finite decimal form."""
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def _near(given: Fraction, expected: Fraction) -> bool:
    return abs(given - expected) <= _RELATIVE * abs(expected)


def _same_items(given: list[str], expected: list[str], ordered: bool) -> bool:
    if len(given) != len(expected):
        return False
    if ordered:
        return all(map(_same, given, expected))
    left = list(expected)
    for item in given:
        found = next((other for other in left if _same(item, other)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _items(text: str) -> tuple[list[str], bool]:
    """The items of a list, split at commas outside all brackets, and whether round or square brackets order them."""
    inner = text.replace("\\{", "{").replace("\\}", "}").strip()
    ordered = inner[:1] in ("(", "[")
    if inner[:1] in ("(", "[", "{") and inner[-1:] in (")", "]", "}"):
        inner = inner[1:-1]
    items, depth = [""], 0
    for character in inner:
        depth += (character in "([{") - (character in ")]}")
        if character in ",;" and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items], ordered


def _equivalent(answer: str, reference: str, given: Fraction | None) -> bool:
    """By math-verify, after a comparison of the numerical values, which is what keeps its simplification out."""
    sympy, _, verify = _math_verify()
    expected, found = _formula(reference), _formula(answer)
    if expected is None:
        return False
    if found is None:
        raise answers.Unreadable("not a formula")
    if re.search(r"\d\s+\d", answer):
        raise answers.Unreadable("several numbers, not one")
    if expected.free_symbols != found.free_symbols:
        return False
    try:
        # Letters get values, none of them special, in the order of their names.
        values = {
            letter: sympy.Rational(37 + 10 * i, 29) for i, letter in enumerate(sorted(expected.free_symbols, key=str))
        }
        difference = abs(sympy.N((expected - found).subs(values), 30))
        size = abs(sympy.N(expected.subs(values), 30))
        if given is not None and "." in answer:
            return bool(difference <= size * sympy.Rational(_RELATIVE.numerator, _RELATIVE.denominator))
        return bool(difference <= sympy.Float("1e-20") * (1 + size) and verify(expected, found))
    except (ArithmeticError, TypeError, ValueError, AttributeError, RecursionError):
        return False  # not everything that the grammar knows has a value


def _formula(text: str) -> Any:
    """A sympy object; None for text that is not a formula or might take long."""
    powers = text.count("^")
    commands = re.findall(r"\\([a-zA-Z]+|.)", text)
    if (
        not set(commands) <= _COMMANDS
        or len(text) > _MOST_CHARACTERS
        or powers > _MOST_POWERS
        or powers != len(_POWER.findall(text))
        or commands.count("binom") != len(_CHOICE.findall(text.replace(" ", "")))
        or re.search(r"\d{16}|\*\*|[!=<>]|[^\x20-\x7e]", text)
        or _depth(text) > _DEEPEST
    ):
        return None
    _, read, _ = _math_verify()
    parsed = read(f"${text}$")
    return parsed[0] if parsed else None


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


@cache
def _math_verify() -> tuple[Any, Any, Any]:
    """Sympy, math-verify's parser of LaTeX and its comparison, imported when first needed (about a second)."""
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its timeouts are off
    import sympy
    from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
    from math_verify import LatexExtractionConfig, parse, verify

    # It hands the digits of a number to sympy's parser, which evaluates them.
    _Latex2Sympy.parse_number = lambda self, text: sympy.Rational(text.replace(",", ""))
    read = partial(parse, extraction_config=[LatexExtractionConfig()], fallback_mode="", parsing_timeout=None)
    return sympy, read, partial(verify, timeout_seconds=None)
