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

from __future__ import annotations

import re
from collections.abc import Sequence
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
_FENCE_OR_THINKING = re.compile(rf"{_FENCE.pattern}|(</?think>)", re.MULTILINE)
_TAG = re.compile(r"<code>|</?think>")
_BRACE = re.compile(r"\\boxed\s*\{|\\[{}\\]|[{}]")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")


@dataclass(frozen=True)
class NaturalFormat:
    """Markdown ```python blocks and ``<<<answer>>>``, no artificial tags (the paper's default)."""

    instructions: str = (
        "Solve the problem step by step. When exact computation, search or symbolic work helps, write a Python "
        "program in a ```python block and end your turn: it is executed and its output is given back to you after "
        "`Code Execution Results:`. Each program starts fresh, so print what you need. You may repeat this, or "
        "reason in text alone when that is enough. Put the final answer between <<< and >>>, like <<<answer>>>."
    )
    stop: tuple[str, ...] = ("\n```\n", "\n``` \n")
    code_in_thinking: bool = True

    def parse(self, text: str) -> Action:
        """Read one turn by the rules of the module docstring."""
        blocks, prose = _split_fences(text, self.code_in_thinking)
        return _decide(text, blocks, [answer for stretch in prose for answer in _marked(stretch, "<<<", ">>>")])

    def code_turn(self, text: str, code: str) -> str:
        """Text, then a ```python block."""
        return _fenced(text, code)

    def answer_turn(self, text: str, answer: str) -> str:
        """Text, then ``<<<answer>>>``."""
        return f"{text} <<<{answer}>>>".lstrip()


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
        blocks, prose = _split_tags(text, self.code_in_thinking)
        answers = [answer for stretch in prose for answer in _marked(stretch, "<answer>", "</answer>")]
        return _decide(text, blocks, [_bare(answer) for answer in answers])

    def code_turn(self, text: str, code: str) -> str:
        """``<think>text</think>``, then ``<code>``."""
        return f"{_thought(text)}<code>\n{code.rstrip()}\n</code>"

    def answer_turn(self, text: str, answer: str) -> str:
        """``<think>text</think>``, then ``<answer>``."""
        return f"{_thought(text)}<answer>{answer}</answer>"


@dataclass(frozen=True)
class BoxedFormat:
    r"""Markdown ```python blocks, and ``\boxed{answer}`` as in mathematical benchmarks."""

    instructions: str = (
        "Solve the problem step by step. When exact computation, search or symbolic work helps, write a Python "
        "program in a ```python block and end your turn: it is executed and its output is given back to you after "
        "`Code Execution Results:`. Each program starts fresh, so print what you need. You may repeat this, or "
        "reason in text alone when that is enough. Put the final answer into \\boxed{}, like \\boxed{answer}, also "
        "where the problem asks for other marks, such as <<< and >>>."
    )
    stop: tuple[str, ...] = ("\n```\n", "\n``` \n")
    code_in_thinking: bool = True

    def parse(self, text: str) -> Action:
        """Read one turn by the rules of the module docstring. Of nested boxes the inner one counts."""
        blocks, prose = _split_fences(text, self.code_in_thinking)
        return _decide(text, blocks, [_bare(answer) for stretch in prose for answer in _boxed(stretch)])

    def code_turn(self, text: str, code: str) -> str:
        """Text, then a ```python block."""
        return _fenced(text, code)

    def answer_turn(self, text: str, answer: str) -> str:
        r"""Text, then ``\boxed{answer}``."""
        return f"{text} \\boxed{{{answer}}}".lstrip()


def _fenced(text: str, code: str) -> str:
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`{3,}", code))])
    return f"{text}\n{fence}python\n{code.rstrip()}\n{fence}".lstrip()


def _thought(text: str) -> str:
    return f"<think>{text}</think>\n" if text else ""


def _decide(text: str, blocks: Sequence[_Block], answers: Sequence[str]) -> Action:
    for block in blocks:
        if block.program and block.closed:
            return Action(ActionKind.CODE, block.body, block.end)
    if answers:
        return Action(ActionKind.ANSWER, answers[-1], len(text))
    return Action(ActionKind.VOID, "", len(text))


# -- code blocks, thinking, and the text outside of both --------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    program: bool
    body: str
    closed: bool
    end: int


def _split_fences(text: str, code_in_thinking: bool) -> tuple[list[_Block], list[str]]:
    """Fenced blocks in order, and the stretches of text outside blocks and thinking. Linear in the text's length."""
    blocks: list[_Block] = []
    prose: list[str] = []
    position, thinking = 0, False
    while mark := _FENCE_OR_THINKING.search(text, position):
        if not thinking:
            prose.append(text[position : mark.start()])
        if mark[3]:
            thinking, position = mark[3] == "<think>", mark.end()
            if thinking and not code_in_thinking:
                thinking, position = False, _end_of_thinking(text, position)
            continue
        closing = mark.end()
        while (fence := _FENCE.search(text, closing)) and (len(fence[1]) < len(mark[1]) or fence[2].strip()):
            closing = fence.end()
        body = text[mark.end() + 1 : fence.start() if fence else len(text)]
        position = fence.end() if fence else len(text)
        program = mark[2].strip().lower() in _PYTHON
        blocks.append(_Block(program, body.removesuffix("\n") if fence else body, fence is not None, position))
    if not thinking:
        prose.append(text[position:])
    return blocks, prose


def _split_tags(text: str, code_in_thinking: bool) -> tuple[list[_Block], list[str]]:
    """The same for ``<code>`` in place of fences."""
    blocks: list[_Block] = []
    prose: list[str] = []
    position, thinking = 0, False
    while mark := _TAG.search(text, position):
        if not thinking:
            prose.append(text[position : mark.start()])
        position = mark.end()
        if mark[0] != "<code>":
            thinking = mark[0] == "<think>"
            if thinking and not code_in_thinking:
                thinking, position = False, _end_of_thinking(text, position)
            continue
        end = text.find("</code>", position)
        body = text[position : end if end != -1 else len(text)]
        position = end + len("</code>") if end != -1 else len(text)
        fenced, around = _split_fences(body, code_in_thinking=True)
        if len(fenced) == 1 and fenced[0].closed and not "".join(around).strip():
            body = fenced[0].body
        blocks.append(_Block(True, body.removeprefix("\n").removesuffix("\n"), end != -1, position))
    if not thinking:
        prose.append(text[position:])
    return blocks, prose


def _end_of_thinking(text: str, position: int) -> int:
    end = text.find("</think>", position)
    return end + len("</think>") if end != -1 else len(text)


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
