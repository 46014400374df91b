"""Answer formats: what a model turn means. ``natural`` is the paper's; ``tags`` and ``boxed`` are its v1 ablation.

A turn is read in this order; the first that applies decides:

1. A closed program is a code call. Everything else in the turn, even an answer before the program, is ignored: code
   that the model wants to run comes first.
2. Otherwise the last final answer outside any code block and any thinking section is the answer.
3. Otherwise the turn is void.

A thinking section of a reasoning model goes from ``<think>`` to ``</think>``, or to the end of a turn that does not
close it. The format's option ``code_in_thinking`` decides whether a program in it runs. If not, the section is skipped
as a whole: a code block that it leaves open ends with it. Tags inside a program are the program's text.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class ActionKind(StrEnum):
    """What a model turn asks for."""

    CODE = "code"
    ANSWER = "answer"
    VOID = "void"


@dataclass(frozen=True)
class Action:
    """A parsed turn.

    Attributes:
        kind: What the turn asks for.
        content: The program, or the answer; empty when void.
        end: Character offset in the turn's text just after a code action's closing fence or tag, else its length.
    """

    kind: ActionKind
    content: str
    end: int


@runtime_checkable
class AnswerFormat(Protocol):
    """How a model marks code and final answers.

    Attributes:
        instructions: The head prompt that teaches the format to the model.
        stop: Stop strings after which a turn may be complete. Only an optimisation: the loop decides with ``parse``.
    """

    @property
    def instructions(self) -> str: ...

    @property
    def stop(self) -> tuple[str, ...]: ...

    def parse(self, text: str) -> Action:
        """Read one turn's decoded text. Any string has an Action; this never raises."""
        ...


@runtime_checkable
class WritableFormat(AnswerFormat, Protocol):
    """A format that turns can be written in, as synthesis without a teacher does. ``parse`` reads them back."""

    def code_turn(self, text: str, code: str) -> str:
        """A turn that says some text, which may be empty, and ends with a program."""
        ...

    def answer_turn(self, text: str, answer: str) -> str:
        """A turn that says some text and ends with the final answer."""
        ...


_PYTHON = frozenset({"python", "py", "python3"})
# A fence is three or more backticks at the start of a line, after at most three spaces; it opens and closes a block.
_FENCE = re.compile(r"^ {0,3}(`{3,}+)([^\n`]*+)$", re.MULTILINE)
_FENCE_OR_THINKING = re.compile(rf"{_FENCE.pattern}|(?P<thinking></?think>)", re.MULTILINE)
_TAG_OR_THINKING = re.compile(r"<code>|(?P<thinking></?think>)")
_BRACE = re.compile(r"\\boxed\s*\{|\\[{}\\]|[{}]")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_FENCED_INSTRUCTIONS = (
    "Solve the problem step by step. When exact computation, search or symbolic work helps, write a Python program in "
    "a ```python block and end your turn: it is executed and its output is given back to you after `Code Execution "
    "Results:`. Each program starts fresh, so print what you need. You may repeat this, or reason in text alone when "
    "that is enough. "
)


@dataclass(frozen=True)
class NaturalFormat:
    """Markdown ```python blocks and ``<<<answer>>>``, no artificial tags (the paper's default)."""

    instructions: str = f"{_FENCED_INSTRUCTIONS}Put the final answer between <<< and >>>, like <<<answer>>>."
    stop: tuple[str, ...] = ("\n```\n", "\n``` \n")
    code_in_thinking: bool = True

    def parse(self, text: str) -> Action:
        """Read one turn by the rules of the module docstring."""
        blocks, prose = _split(text, self.code_in_thinking, _FENCE_OR_THINKING, _fenced_block)
        return _decide(text, blocks, self._answers(prose))

    def code_turn(self, text: str, code: str) -> str:
        """Text, then a ```python block."""
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`{3,}", code))])
        return f"{text}\n{fence}python\n{code.rstrip()}\n{fence}".lstrip()

    def answer_turn(self, text: str, answer: str) -> str:
        """Text, then the marked answer."""
        return f"{text} <<<{answer}>>>".lstrip()

    def _answers(self, prose: Sequence[str]) -> list[str]:
        return [answer for stretch in prose for answer in _marked(stretch, "<<<", ">>>")]


@dataclass(frozen=True)
class BoxedFormat(NaturalFormat):
    r"""Markdown ```python blocks, and ``\boxed{answer}`` as in mathematical benchmarks; the innermost box counts."""

    instructions: str = (
        f"{_FENCED_INSTRUCTIONS}Put the final answer into \\boxed{{}}, like \\boxed{{answer}}, also where the problem "
        "asks for other marks, such as <<< and >>>."
    )

    def answer_turn(self, text: str, answer: str) -> str:
        """Text, then the boxed answer."""
        return f"{text} \\boxed{{{answer}}}".lstrip()

    def _answers(self, prose: Sequence[str]) -> list[str]:
        return [_bare(answer) for stretch in prose for answer in _boxed(stretch)]


@dataclass(frozen=True)
class TagsFormat:
    """Explicit tags: ``<think>``, ``<code>`` and ``<answer>``."""

    instructions: str = (
        "Solve the problem step by step; you may reason between <think> and </think>. When exact computation, search "
        "or symbolic work helps, write a Python program between <code> and </code> and end your turn: it is executed "
        "and its output is given back to you after `Code Execution Results:`. Each program starts fresh, so print "
        "what you need. You may repeat this, or reason in text alone when that is enough. Put the final answer "
        "between <answer> and </answer>, also where the problem asks for other marks, such as <<< and >>>."
    )
    stop: tuple[str, ...] = ("</code>\n",)
    code_in_thinking: bool = True

    def parse(self, text: str) -> Action:
        """Read one turn by the rules of the module docstring.

        A program ends at the first ``</code>``; a fence around the whole of it does not belong to it.
        """
        blocks, prose = _split(text, self.code_in_thinking, _TAG_OR_THINKING, _tagged_block)
        answers = [answer for stretch in prose for answer in _marked(stretch, "<answer>", "</answer>")]
        return _decide(text, blocks, [_bare(answer) for answer in answers])

    def code_turn(self, text: str, code: str) -> str:
        """``<think>text</think>``, then ``<code>``."""
        return f"{_thought(text)}<code>\n{code.rstrip()}\n</code>"

    def answer_turn(self, text: str, answer: str) -> str:
        """``<think>text</think>``, then ``<answer>``."""
        return f"{_thought(text)}<answer>{answer}</answer>"


def _thought(text: str) -> str:
    return f"<think>{text}</think>\n" if text else ""


# -- code blocks, thinking, and the text outside of both --------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    program: bool
    body: str
    closed: bool
    end: int


def _decide(text: str, blocks: Sequence[_Block], answers: Sequence[str]) -> Action:
    for block in blocks:
        if block.program and block.closed:
            return Action(ActionKind.CODE, block.body, block.end)
    if answers:
        return Action(ActionKind.ANSWER, answers[-1], len(text))
    return Action(ActionKind.VOID, "", len(text))


def _split(
    text: str, code_in_thinking: bool, marks: re.Pattern[str], block_at: Callable[[str, re.Match[str]], _Block]
) -> tuple[list[_Block], list[str]]:
    """Code blocks in order, and the stretches of text outside blocks and thinking. Linear in the text's length.

    Args:
        text: A turn.
        code_in_thinking: Whether blocks in a thinking section count.
        marks: Matches what opens a block, and ``<think>`` and ``</think>`` as the group ``thinking``.
        block_at: Reads the block that a match opens.
    """
    blocks: list[_Block] = []
    prose: list[str] = []
    position, thinking = 0, False
    while mark := marks.search(text, position):
        if not thinking:
            prose.append(text[position : mark.start()])
        if mark["thinking"]:
            thinking, position = mark["thinking"] == "<think>", mark.end()
            if thinking and not code_in_thinking:
                thinking, position = False, _close(text, position, "</think>")[1]
        else:
            blocks.append(block_at(text, mark))
            position = blocks[-1].end
    if not thinking:
        prose.append(text[position:])
    return blocks, prose


def _fenced_block(text: str, opening: re.Match[str]) -> _Block:
    closing = opening.end()
    while (fence := _FENCE.search(text, closing)) and (len(fence[1]) < len(opening[1]) or fence[2].strip()):
        closing = fence.end()
    program, start = opening[2].strip().lower() in _PYTHON, opening.end() + 1
    if fence is None:
        return _Block(program, text[start:], False, len(text))
    return _Block(program, text[start : fence.start()].removesuffix("\n"), True, fence.end())


def _tagged_block(text: str, opening: re.Match[str]) -> _Block:
    stop, end = _close(text, opening.end(), "</code>")
    body = text[opening.end() : stop]
    fenced, around = _split(body, True, _FENCE_OR_THINKING, _fenced_block)
    if len(fenced) == 1 and fenced[0].closed and not "".join(around).strip():
        body = fenced[0].body
    return _Block(True, body.removeprefix("\n").removesuffix("\n"), stop < end, end)


def _close(text: str, position: int, tag: str) -> tuple[int, int]:
    """Where a closing tag begins and ends; the text's length for both if it is missing."""
    start = text.find(tag, position)
    return (start, start + len(tag)) if start != -1 else (len(text), len(text))


# -- answers ----------------------------------------------------------------------------------------------------------


def _marked(stretch: str, left: str, right: str) -> list[str]:
    """Contents of every ``left...right``, innermost opening first, without backtracking."""
    found = []
    position = 0
    while (close := stretch.find(right, position)) != -1:
        opening = stretch.rfind(left, position, close)
        if opening != -1:
            # In <<<a>>>> the extra > belongs to the answer's text, as in <<<a>b>>>.
            while stretch.startswith(right, close + 1):
                close += 1
            found.append(stretch[opening + len(left) : close].strip())
        position = close + len(right)
    return found


def _boxed(stretch: str) -> list[str]:
    r"""Contents of the closed ``\boxed{...}`` that opens last, or nothing; braces in it must balance."""
    opened: list[tuple[int, bool]] = []  # start of the contents, whether it is a box
    last: tuple[int, int] | None = None
    for brace in _BRACE.finditer(stretch):
        if brace[0] == "}":
            start, box = opened.pop() if opened else (0, False)
            if box and (last is None or start > last[0]):
                last = (start, brace.start())
        elif brace[0] == "{" or brace[0].startswith(r"\boxed"):
            opened.append((brace.end(), brace[0] != "{"))
    return [stretch[slice(*last)].strip()] if last else []


def _bare(answer: str) -> str:
    r"""The answer without ``<<<...>>>`` or ``\text{...}`` around the whole of it."""
    if answer.startswith("<<<") and answer.endswith(">>>") and len(answer) >= 6:
        answer = answer[3:-3].strip()
    inner = _LATEX_TEXT.fullmatch(answer)
    return inner[1].strip() if inner else answer
