"""Fenced blocks in the Markdown that models write: CommonMark's, read more kindly where a model means a program.

``docs/reading-turns.md`` states every rule with examples. It takes time linear in the text's length, and a block that
is closed stays what it is whatever is written after it, so that a turn may be read while it is sampled.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from r1ci_plugins.protocol import thinking

# Every alternative begins with a character of its own, so that the search skips ordinary text quickly.
_MARKS = re.compile(
    "|".join(
        [
            "````*+",
            "~~~~*+",
            *(re.escape(mark) for pair in thinking.PAIRS.items() for mark in pair),
            re.escape("<|channel|>final<|message|>"),
            re.escape("<|message|>"),
        ]
    )
)
_LEAD = re.compile(r"[ \t]*+(?:(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))[ \t]*+)*+")  # quotes and list markers
_CLOSING_LEAD = re.compile(r"[ \t>]*+")
_BLANKS = re.compile(r"[ \t]*+")
_ONE_WORD = re.compile(r"[ \t]*+[\w+.#-]*+[ \t\r]*+")
_LANGUAGE = re.compile(r"[\s{.]*+([\w+-]*)")
_UNQUOTED_LINE = re.compile(r"^(?![ \t]*>)", re.MULTILINE)
_PYTHON = frozenset({"python", "python3", "py", "py3"})


@dataclass(frozen=True)
class Block:
    """A block of code or text.

    Attributes:
        program: Whether it is Python.
        start: Where its content begins in the text.
        stop: Where its content ends.
        end: Just after its closing mark, or where an unclosed one ends.
        closed: Whether it has a closing mark.
        column: Columns of indentation that belong to its fence.
        quotes: Quote marks before each of its lines.
    """

    program: bool
    start: int
    stop: int
    end: int
    closed: bool
    column: int = 0
    quotes: int = 0

    def body(self, text: str) -> str:
        """Its content, without the indentation and the quote marks of its fence."""
        content = text[self.start : self.stop]
        if not self.column and not self.quotes:
            return content
        lines = content.split("\n")
        if self.quotes:
            quote = re.compile(rf"(?:[ \t]*>){{0,{self.quotes}}} ?")
            lines = [line[match.end() :] if (match := quote.match(line)) else line for line in lines]
        # A program that begins left of its fence is not indented with it.
        first = next((line for line in lines if line.strip()), "")
        column = 0 if self.quotes else min(self.column, _width(first[: len(first) - len(first.lstrip(" \t"))]))
        return "\n".join(_dedented(line, column) for line in lines)


class Mark(NamedTuple):
    """A run of backticks or tildes, or a thinking mark, and what it may be where it stands.

    Attributes:
        start: Its first character.
        end: Just after its last.
        word: Its text; of a run, the character it consists of.
        line: Where its line begins, and where it ends.
        opens: Whether it may open a block: at the start of a ``line``, or behind ``text`` or a thinking mark.
        closes: Whether it may close a block: on a ``line`` of its own, or at the end of a line of ``code``.
        column: Columns before it.
        quotes: Quote marks before it.
        in_string: Whether it stands in a string that its line opens.
    """

    start: int
    end: int
    word: str
    line: tuple[int, int]
    opens: str = ""
    closes: str = ""
    column: int = 0
    quotes: int = 0
    in_string: bool = False

    @property
    def length(self) -> int:
        """How many characters the mark has."""
        return self.end - self.start


def marks_of(text: str) -> list[Mark]:
    """Every mark of a text, in order."""
    marks: list[Mark] = []
    line = (0, -1)
    base = lead = closing_lead = last = last_tick = runs = 0
    for found in _MARKS.finditer(text):
        start, end = found.span()
        if start >= line[1]:
            begins = text.rfind("\n", max(0, line[1]), start) + 1
            ends = text.find("\n", end)
            line, base = (begins, len(text) if ends == -1 else ends), begins
            lead, closing_lead = _end(_LEAD, text, begins), _end(_CLOSING_LEAD, text, begins)
            last_tick, runs = text.rfind("`", start, line[1]), 0
            last = line[0] + len(text[line[0] : line[1]].rstrip())
        character = text[start]
        if character not in "`~":
            base, lead = end, _end(_BLANKS, text, end)  # as if a line began here
            marks.append(Mark(start, end, found[0], line))
            continue
        alone = end >= last
        opens = closes = ""
        in_string = False
        if start == closing_lead and alone:
            closes = "line"
        elif character == "`" and alone and runs % 2 == 0:
            before = text[line[0] : start]
            closes, in_string = "code", before.count('"') % 2 + before.count("'") % 2 > 0
        if character == "~" or last_tick < end:
            if start == lead:
                opens = "line" if base == line[0] else "text"
            elif character == "`" and runs % 2 == 0 and _end(_ONE_WORD, text, end) >= last:
                opens = "text"
        runs += character == "`"
        before = text[base:start] if start in (lead, closing_lead) else ""
        marks.append(Mark(start, end, character, line, opens, closes, _width(before), before.count(">"), in_string))
    return marks


class Fences:
    """The blocks of a text, found where one asks for them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.marks = marks_of(text)
        self._quote = (0, 0)
        # The longest run that could close a block opened behind text before one with an info string opens.
        self._longest = [0] * (len(self.marks) + 1)
        for place in range(len(self.marks) - 1, -1, -1):
            mark = self.marks[place]
            closing = mark.length if mark.closes and not mark.in_string and mark.word == "`" else 0
            self._longest[place] = 0 if self._info(mark) else max(closing, self._longest[place + 1])

    def block_at(self, place: int) -> Block | None:
        """The block that a mark opens, or None.

        What opens behind text is a block only if it is closed before another one with an info string opens: an
        unfinished mention of a fence must not hide an answer or a program.
        """
        opening = self.marks[place]
        if opening.opens == "text" and self._longest[place + 1] < opening.length:
            return None
        if not opening.opens:
            return None
        start = min(opening.line[1] + 1, len(self.text))
        program = self._language(opening) in _PYTHON
        limit = self._end_of_quote(start) if opening.quotes else len(self.text)
        column = opening.column if opening.opens == "line" else 0
        place += 1
        while place < len(self.marks) and self.marks[place].start < limit:
            mark = self.marks[place]
            if mark.start >= start and self._closes(mark, opening, column, program):
                stop = max(start, mark.line[0]) if mark.closes == "line" else mark.start
                stop = _without_line_end(self.text, start, stop) if mark.closes == "line" else stop
                return Block(program, start, stop, mark.end, True, column, opening.quotes)
            place += 1
        return Block(program, start, limit, max(start, limit), False, column, opening.quotes)

    def _closes(self, mark: Mark, opening: Mark, column: int, program: bool) -> bool:
        if not mark.closes or mark.word != opening.word or mark.length < opening.length:
            return False
        if opening.opens == "text" and not mark.in_string:
            return True
        if mark.closes == "line":
            return mark.column <= column + 3 or opening.quotes > 0
        return not (mark.in_string and program)

    def _info(self, mark: Mark) -> bool:
        """Whether it opens a block with an info string."""
        return bool(mark.opens) and bool(self.text[mark.end : mark.line[1]].strip())

    def _language(self, mark: Mark) -> str:
        match = _LANGUAGE.match(self.text, mark.end, mark.line[1])
        return match[1].lower() if match else ""

    def _end_of_quote(self, position: int) -> int:
        """Where the first line at or behind a line's start is that is not quoted."""
        if not self._quote[0] <= position < self._quote[1]:
            line = _UNQUOTED_LINE.search(self.text, position)
            self._quote = (position, line.start() if line else len(self.text))
        return self._quote[1]


def whole_block(text: str) -> Block | None:
    """The closed block that is all there is in a text, or None."""
    fences = Fences(text)
    for place, mark in enumerate(fences.marks):
        if mark.opens:
            block = fences.block_at(place)
            around = f"{text[: mark.start]}{text[block.end :]}" if block and block.closed else "more"
            return None if around.strip() else block
    return None


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _without_line_end(text: str, start: int, stop: int) -> int:
    if stop > start and text[stop - 1] == "\n":
        stop -= 1
    return stop - 1 if stop > start and text[stop - 1] == "\r" else stop


def _width(blanks: str) -> int:
    return len(blanks.expandtabs(4)) if "\t" in blanks else len(blanks)


def _dedented(line: str, column: int) -> str:
    """A line without as many columns of white space at its start, if it has them."""
    taken = place = 0
    while taken < column and place < len(line) and line[place] in " \t":
        taken += 4 - taken % 4 if line[place] == "\t" else 1
        place += 1
    return " " * max(0, taken - column) + line[place:]


def prose_and_blocks(
    text: str, code_in_thinking: bool, marks: Sequence[Mark], block_at: Callable[[int], Block | None]
) -> tuple[list[Block], list[str]]:
    """Blocks in order, up to the first program that is closed, and the stretches of text outside blocks and thinking.

    Args:
        text: A turn.
        code_in_thinking: Whether blocks in a thinking section count.
        marks: What may open a block, and thinking marks, in order.
        block_at: Reads the block that a mark (given by its place) opens, or says that it opens none.
    """
    blocks: list[Block] = []
    prose: list[str] = []
    since = 0  # stretches before the last section's end
    position, section = 0, ""
    for place, mark in enumerate(marks):
        if mark.start < position:
            continue
        if mark.word in thinking.PAIRS:
            if section:
                continue
            prose.append(text[position : mark.start])
            section, position = mark.word, mark.end
            if not code_in_thinking:
                close = text.find(thinking.PAIRS[section], position)
                position = len(text) if close == -1 else close + len(thinking.PAIRS[section])
                section, since = "", len(prose)
        elif mark.word in thinking.CLOSINGS:
            if section and mark.word != thinking.PAIRS[section]:
                continue
            if not section:
                if mark.word == "<|end|>":
                    continue
                del prose[since:]  # it was opened before this turn
            section, position, since = "", mark.end, len(prose)
        elif (block := block_at(place)) is not None:
            if not section:
                prose.append(text[position : mark.start])
            blocks.append(block)
            position = block.end
            if block.program and block.closed:
                return blocks, prose
    if not section:
        prose.append(text[position:])
    return blocks, prose
