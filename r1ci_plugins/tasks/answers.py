r"""Reading a model's answer strictly: the forms that tasks ask for, and one rule for every kind of odd text.

``Task.check`` gets the text between the last ``<<<`` and ``>>>`` of a reply. ``r1ci_plugins.protocol.answer_format``
alone decides which text that is: of two answers in one reply the last counts, and a marker inside a fenced code block
is not an answer. The functions here read that text. Each accepts its form and harmless variation of it, raises
``Unreadable`` for everything else, takes time in proportion to the text, and evaluates nothing.

Rules for odd text, the same in every pack:

- Empty, white space only: unreadable. More than ``MAX_CHARS`` characters: unreadable.
- White space, quotes, backticks, ``**`` or ``__`` around the whole, one period at its end: removed (``tidy``). So is
  what LaTeX puts around a whole: ``$``, ``$$``, ``\(...\)``, ``\[...\]``, ``\boxed{}``, ``\fbox{}``, ``\text{}``,
  ``\textbf{}``, ``\mathrm{}`` and ``\mathbf{}``.
- A fenced code block around the whole: removed with its language line; its content is the answer.
- Full-width and other typographic forms of characters: read as the plain ones (Unicode NFKC), ``−`` as minus,
  typographic quotes as straight ones. Superscripts, subscripts, ``½`` and ``①`` stay as they are, so that ``3²`` is
  unreadable as a number and not 32. Digits of other scripts are not digits.
- Wrong type, such as a word or a list for a number, ``1.0`` for an integer, a scalar for a list: unreadable.
- Numbers of more than ``MAX_DIGITS`` digits, exponents beyond ``MAX_EXPONENT``, NaN, infinities, percentages, units:
  unreadable. ``1,234`` is a number; within a list the comma separates.
- Brackets nested deeper than ``MAX_DEPTH``, unbalanced ones, half a JSON, text after it, a key twice: unreadable.
- Powers such as ``9**9**9`` in an expression: unreadable. Elsewhere nothing is worked out: ``2+2`` is not 4.
- HTML: unreadable where a number, list, structure or choice is due; entities are not decoded, tags not removed.
- A choice with an explanation, two choices, a list with an empty item in the middle: unreadable.
"""

import re
import unicodedata
from collections.abc import Collection
from fractions import Fraction

from r1ci_plugins.tasks.expressions import Expression
from r1ci_plugins.tasks.task import Unreadable

__all__ = [
    "Expression",
    "Unreadable",
    "choice",
    "expression",
    "integer",
    "integers",
    "items",
    "number",
    "numbers",
    "rows",
    "structure",
    "tidy",
    "word",
]

MAX_CHARS = 100_000
MAX_DIGITS = 4000
MAX_EXPONENT = 400
MAX_DEPTH = 50

_PLAIN = str.maketrans({"−": "-", "‘": "'", "’": "'", "“": '"', "”": '"'})
_KEPT = ("<super>", "<sub>", "<fraction>", "<circle>", "<square>")
_FENCE = re.compile(r"```[ \t]*[\w+-]*[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)
_AROUND = ("```", "`", "**", "__", "$$", "$", '"', "'")
_PAIRS = ((r"\(", r"\)"), (r"\[", r"\]"))
_MACRO = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf)\s*(?=\{)")
_CLOSING = {"[": "]", "(": ")", "{": "}"}

_INTEGER = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+)", re.ASCII)
_DECIMAL = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+|(?=\.\d))(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?", re.ASCII)
_SEPARATED_ITEM = re.compile(r'[^\S\n]*(?:"([^"\n]*)"|\'([^\'\n]*)\')[^\S\n]*(?=[,;\n]|$)|([^,;\n]*)')
_SPACED_ITEM = re.compile(r'"([^"]*)"(?=\s|$)|\'([^\']*)\'(?=\s|$)|(\S+)')
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s*\n\s*")
_ROW = re.compile(r"\s*[\[(]([^\[\]()]*)[\])]\s*(?:[,;]|$|(?=[\[(]))")


def tidy(text: str) -> str:
    """The answer in plain characters, without what people put around one: quotes, backticks, a period at the end.

    Raises:
        Unreadable: If it is longer than any answer.
    """
    text = _plain(text).strip()
    while (inner := _without_surroundings(text)) != text:
        text = inner.strip()
    return text


def integer(text: str) -> int:
    """An integer: digits with an optional sign, or with commas between groups of three."""
    match = _INTEGER.fullmatch(tidy(text))
    digits = match[2].replace(",", "") if match else ""
    if not match or len(digits) > MAX_DIGITS:
        raise Unreadable("not an integer")
    return int(match[1] + digits)


def number(text: str) -> Fraction:
    """A number, exactly: an integer, a decimal, one with an exponent (``1.5e-3``), a fraction ``a/b`` of integers."""
    text = tidy(text)
    if "/" in text:
        numerator, _, denominator = text.partition("/")
        below = integer(denominator)
        if below == 0:
            raise Unreadable("a division by zero")
        return Fraction(integer(numerator), below)
    match = _DECIMAL.fullmatch(text)
    if not match:
        raise Unreadable("not a number")
    sign, whole, decimals, exponent = match[1], match[2].replace(",", ""), match[3] or "", int(match[4] or 0)
    if len(whole + decimals) > MAX_DIGITS or abs(exponent) > MAX_EXPONENT:
        raise Unreadable("a number of too many digits")
    value = Fraction(int(whole + decimals)) * Fraction(10) ** (exponent - len(decimals))
    return -value if sign == "-" else value


def word(text: str) -> str:
    """One line of text, case folded, runs of white space as one blank."""
    text = tidy(text)
    if not text or "\n" in text:
        raise Unreadable("not one line of text")
    return " ".join(text.casefold().split())


def items(text: str) -> list[str]:
    """A flat list of texts: ``[a, b]``, ``a, b``, ``(a; b)``, ``a b``, one a line, each item in quotes or not.

    Commas, semicolons and line ends separate items; white space does only where there is none of them outside quotes.
    One separator may follow the last item. ``[]`` is the empty list.

    Raises:
        Unreadable: If the text is empty, a list of lists, or has an empty item.
    """
    text = tidy(text)
    if not text:
        raise Unreadable("empty, not a list")
    inside = _without_brackets(text)
    if not inside:
        return []
    matches, position = [], 0
    while position < len(inside):
        item = _SEPARATED_ITEM.match(inside, position)
        assert item is not None  # it matches the empty text too
        matches.append(item)
        separator = _SEPARATOR.match(inside, item.end())
        position = separator.end() if separator else len(inside)
    if len(matches) == 1 and matches[0].end() == len(inside):
        matches = list(_SPACED_ITEM.finditer(inside))
    found = []
    for item in matches:
        bare = (item[3] or "").strip()
        if item[3] is not None and (not bare or re.search(r"[\[\]{}]", bare) or bare.count("(") != bare.count(")")):
            raise Unreadable("an empty item, or a list within a list")
        found.append(bare if item[3] is not None else item[1] if item[1] is not None else item[2])
    return found


def integers(text: str) -> list[int]:
    """A flat list of integers, separated as in ``items`` or by white space. The comma separates here."""
    return [integer(cell) for item in items(text) for cell in item.split() or [item]]


def numbers(text: str) -> list[Fraction]:
    """A flat list of numbers, separated as in ``items`` or by white space. The comma separates here."""
    return [number(cell) for item in items(text) for cell in item.split() or [item]]


def rows(text: str) -> list[list[str]]:
    """A matrix of texts: brackets in brackets, or brackets one after the other, or one row a line; rows as ``items``.

    Raises:
        Unreadable: If the text is empty or nested in another way. Rows may differ in length.
    """
    text = tidy(text)
    inside = _without_brackets(text)
    if not re.search(r"[\[(]", inside):
        return [items(line) for line in inside.splitlines() if line.strip()] or [items(text)]
    found, position = [], 0
    while position < len(inside):
        row = _ROW.match(inside, position)
        if row is None:
            raise Unreadable("not a matrix")
        found.append(items(row[1]) if row[1].strip() else [])
        position = row.end()
    return found


def structure(text: str) -> object:
    """A list or dict as JSON or as a Python literal: lists (tuples too), dicts, str, int, Fraction, bool and None.

    Quotes may be single or double, a comma may follow the last item. Keys are texts or integers.

    Raises:
        Unreadable: If it is not a list or dict, is incomplete, is followed by more text, or has a key twice.
    """
    reader = _Reader(tidy(text))
    if reader.peek() not in tuple("[({"):
        raise Unreadable("neither a list nor a dict")
    value = reader.value(0)
    if reader.peek():
        raise Unreadable("text after the end of the list or dict")
    return value


def choice(text: str, options: Collection[str]) -> str:
    """The one of ``options`` that the answer names, in any case, with brackets around it or not: ``(A)``, ``a)``.

    Raises:
        Unreadable: If the answer is none of them.
    """
    named = _bare(text)
    found = [option for option in options if named and _bare(option) == named]
    if len(found) != 1:
        raise Unreadable("not one of the options")
    return found[0]


def expression(text: str) -> Expression:
    """An arithmetic expression of numbers, ``+ - * /`` (also ``×``, ``÷``), signs and round brackets; no powers."""
    return Expression.parse(tidy(text))


def _plain(text: str) -> str:
    if len(text) > MAX_CHARS:
        raise Unreadable(f"{len(text)} characters, more than {MAX_CHARS}")
    if text.isascii():
        return text
    kept = {c for c in set(text) if unicodedata.decomposition(c).startswith(_KEPT)}
    if not kept:
        return unicodedata.normalize("NFKC", text).translate(_PLAIN)
    return "".join(c if c in kept else unicodedata.normalize("NFKC", c) for c in text).translate(_PLAIN)


def _without_surroundings(text: str) -> str:
    """The answer without its outermost pair of marks. A mark that also occurs inside the answer is kept."""
    if text.endswith(".") and not text.endswith(".."):
        return text[:-1]
    if fence := _FENCE.fullmatch(text):
        return fence[1]
    for mark in _AROUND:
        inner = text[len(mark) : -len(mark)]
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark) and mark not in inner:
            return inner
    for opening, closing in _PAIRS:
        inner = text[len(opening) : -len(closing)]
        if text.startswith(opening) and text.endswith(closing) and closing not in inner:
            return inner
    if macro := _MACRO.match(text):
        braced = text[macro.end() :]
        inner = _without_brackets(braced)
        return inner if inner != braced else text
    return text


def _without_brackets(text: str) -> str:
    """What the outermost bracket holds if it holds everything, else the text."""
    if not text or text[0] not in _CLOSING or text[-1] != _CLOSING[text[0]]:
        return text
    depth = 0
    for position, character in enumerate(text):
        depth += (character == text[0]) - (character == text[-1])
        if depth == 0:
            return text[1:-1].strip() if position == len(text) - 1 else text
    return text


def _bare(option: str) -> str:
    text = tidy(option)
    for opening, closing in ("()", "[]", "{}"):
        if text.endswith(closing):
            text = text[:-1].removeprefix(opening)
    return " ".join(text.casefold().split())


class _Reader:
    """Reads one nested literal from left to right; ``MAX_DEPTH`` bounds the recursion."""

    _SPACE = re.compile(r"\s*")
    _STRING = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'")
    _ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
    _ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
    _SCALAR = re.compile(r"[^\s,:\[\](){}\"']+")
    _CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        space = self._SPACE.match(self._text, self._position)
        self._position = space.end() if space else self._position
        return self._text[self._position : self._position + 1]

    def value(self, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        opening = self.peek()
        if opening == "{":
            return self._dict(depth)
        if opening in ("[", "("):
            return self._list(depth, _CLOSING[opening])
        if opening in ('"', "'"):
            return self._string()
        return self._scalar()

    def _take(self, character: str) -> bool:
        taken = self.peek() == character
        self._position += taken
        return taken

    def _list(self, depth: int, closing: str) -> list[object]:
        self._position += 1
        found: list[object] = []
        while not self._take(closing):
            found.append(self.value(depth + 1))
            if not self._take(",") and self.peek() != closing:
                raise Unreadable("a list without its end")
        return found

    def _dict(self, depth: int) -> dict[str | int, object]:
        self._position += 1
        found: dict[str | int, object] = {}
        while not self._take("}"):
            key = self.value(depth + 1)
            if not isinstance(key, (str, int)) or key in found or not self._take(":"):
                raise Unreadable("not a dict, or one with a key named twice")
            found[key] = self.value(depth + 1)
            if not self._take(",") and self.peek() != "}":
                raise Unreadable("a dict without its end")
        return found

    def _string(self) -> str:
        match = self._STRING.match(self._text, self._position)
        if match is None:
            raise Unreadable("a text without its closing quote")
        self._position = match.end()
        return self._ESCAPE.sub(self._unescaped, match[1] if match[1] is not None else match[2])

    def _unescaped(self, match: re.Match[str]) -> str:
        if match[3] is None:
            return chr(int(match[1] or match[2], 16))
        if match[3] not in self._ESCAPED:
            raise Unreadable("an unknown escape in a text")
        return self._ESCAPED[match[3]]

    def _scalar(self) -> object:
        match = self._SCALAR.match(self._text, self._position)
        if match is None:
            raise Unreadable("a value is missing")
        self._position = match.end()
        if match[0] in self._CONSTANTS:
            return self._CONSTANTS[match[0]]
        if _INTEGER.fullmatch(match[0]):
            return integer(match[0])
        return number(match[0])
