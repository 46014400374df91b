"""Final answers in the prose of a turn: what stands between marks, and what is no answer though it does."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_BRACE = re.compile(r"\\boxed\s*\{|\\[{}\\]|[{}]")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
# What the instructions and their echoes have where an answer belongs.
_PLACEHOLDER = re.compile(
    r"[<\[({]?(?:(?:my|your|the|final|correct) )*(?:final )?answer(?: here| goes here| value)?[>\])}]?|\.\.\.|…"
)
_LONGEST_PLACEHOLDER = 60
_QUOTED = re.compile(r" {0,3}>(?!>>)")
_CONFLICT = 7
"""Angle brackets that mark a merge conflict."""


@dataclass(frozen=True)
class Marked:
    """Text between marks.

    Attributes:
        content: The text, stripped.
        doubtful: Whether the marks may be something else (a shift by three, a prompt of a doctest).
    """

    content: str
    doubtful: bool


def marked(prose: Sequence[str], left: str, right: str) -> list[str]:
    """The real answers that stand between two marks, bare; the last one counts.

    Doubtful ones count only where there is no other.
    """
    found = [one for stretch in prose for one in between(stretch, left, right)]
    certain = [one for one in found if not one.doubtful]
    contents = [bare(one.content) for one in certain or found]
    return [content for content in contents if not is_placeholder(content)]


def is_placeholder(content: str) -> bool:
    """Whether an answer is empty, or only says that an answer belongs there."""
    if len(content) > _LONGEST_PLACEHOLDER:
        return False
    return not content or _PLACEHOLDER.fullmatch(content.strip(" `*'\"").replace("_", " ").lower()) is not None


def between(stretch: str, left: str, right: str) -> Iterator[Marked]:
    """Every ``left...right``, innermost opening first, outside block quotes. Linear in the length."""
    position = line = 0
    while (close := stretch.find(right, position)) != -1:
        opening = stretch.rfind(left, position, close)
        # In <<<a>>>> the extra > belongs to the answer's text, as in <<<a>b>>>.
        while opening != -1 and stretch.startswith(right, close + 1):
            close += 1
        end = close + len(right)
        if opening != -1:
            line = max(line, stretch.rfind("\n", position, opening) + 1)
            conflict = left == "<<<" and stretch.startswith("<" * _CONFLICT, max(0, opening - _CONFLICT + 3))
            if not conflict and not _QUOTED.match(stretch, line):
                doubtful = left == "<<<" and _doubtful(stretch, opening, close)
                yield Marked(stretch[opening + len(left) : close].strip(), doubtful)
        position = end


def boxed(stretch: str) -> list[str]:
    r"""Contents of the closed, real ``\boxed{...}`` that opens last, or nothing; braces in it must balance."""
    opened: list[tuple[int, bool]] = []  # start of the contents, whether it is a box
    last, line = (-1, ""), 0
    for brace in _BRACE.finditer(stretch):
        if brace[0] == "}":
            start, box = opened.pop() if opened else (0, False)
            if box and start > last[0] and not stretch.startswith("\\boxed", start):
                content = bare(stretch[start : brace.start()].strip())
                line = max(line, stretch.rfind("\n", max(0, last[0]), start) + 1)
                if not is_placeholder(content) and not _QUOTED.match(stretch, line):
                    last = (start, content)
        elif brace[0] == "{" or brace[0].startswith(r"\boxed"):
            opened.append((brace.end(), brace[0] != "{"))
    return [last[1]] if last[0] >= 0 else []


def bare(answer: str) -> str:
    r"""The answer without ``<<<...>>>`` or ``\text{...}`` around the whole of it."""
    if answer.startswith("<<<") and answer.endswith(">>>") and len(answer) >= 6:
        answer = answer[3:-3].strip()
    inner = _LATEX_TEXT.fullmatch(answer)
    return inner[1].strip() if inner else answer


def _doubtful(stretch: str, opening: int, close: int) -> bool:
    """Whether both marks stand like operators, between operands with as much space before as behind.

    Or whether the second one is the prompt of a doctest: at a line's start, with code behind it.
    """
    if close and stretch[close - 1] == "\n" and re.match(r">>> \S", stretch[close : close + 5]):
        return True
    return _operator(stretch, opening) and _operator(stretch, close)


def _operator(stretch: str, start: int) -> bool:
    before, behind = stretch[max(0, start - 2) : start], stretch[start + 3 : start + 5]
    spaced = before[-1:] == " " and behind[:1] == " "
    left, right = (before[-2:-1], behind[1:2]) if spaced else (before[-1:], behind[:1])
    return bool(re.match(r"[\w)\]]", left)) and bool(re.match(r"[\w(\[]", right))
