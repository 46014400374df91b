"""Answer formats: what a model turn means. The natural format of the paper (section on the protocol).

A turn is read left to right; the first thing that completes decides:

1. A closed Python block is a code call. Whatever else the turn says (an answer marker before the block included)
   does not count: code the model wants to run comes first.
2. Otherwise the last final-answer marker outside any fenced block is the answer.
3. Otherwise the turn is void.
"""

from __future__ import annotations

import re
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
        end: Character offset in the turn's text just after a code action's closing fence, else the text's length.
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
        """Read one turn's decoded text. Total: any string has an Action, and it never raises."""
        ...


# A fence opens a block with ``` or more at a line's start (at most three spaces before it) and closes it likewise.
_FENCE = re.compile(r"^ {0,3}(`{3,})[ \t]*([^\n`]*)$", re.MULTILINE)
_PYTHON = frozenset({"python", "py", "python3"})


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

    def parse(self, text: str) -> Action:
        """Read one turn by the rules of the module docstring."""
        blocks, prose = _split_fences(text)
        for block in blocks:
            if block.language in _PYTHON and block.closed:
                return Action(ActionKind.CODE, block.body, block.end)
        answers = _answers(prose)
        if answers:
            return Action(ActionKind.ANSWER, answers[-1], len(text))
        return Action(ActionKind.VOID, "", len(text))


@dataclass(frozen=True)
class _Block:
    language: str
    body: str
    closed: bool
    end: int


def _split_fences(text: str) -> tuple[list[_Block], list[str]]:
    """Fenced blocks in order, and the stretches of text outside them. Linear in the text's length."""
    blocks: list[_Block] = []
    prose: list[str] = []
    opening: re.Match[str] | None = None
    position = 0
    for fence in _FENCE.finditer(text):
        if opening is None:
            prose.append(text[position : fence.start()])
            opening = fence
        elif len(fence[1]) >= len(opening[1]) and not fence[2].strip():
            body = text[opening.end() + 1 : fence.start()]
            blocks.append(_Block(opening[2].strip().lower(), body.removesuffix("\n"), True, fence.end()))
            opening, position = None, fence.end()
    if opening is None:
        prose.append(text[position:])
    else:
        blocks.append(_Block(opening[2].strip().lower(), text[opening.end() + 1 :], False, len(text)))
    return blocks, prose


def _answers(prose: list[str]) -> list[str]:
    """Contents of every <<<...>>> in the given stretches, innermost opening first, without backtracking."""
    found = []
    for stretch in prose:
        position = 0
        while (close := stretch.find(">>>", position)) != -1:
            opening = stretch.rfind("<<<", position, close)
            if opening != -1:
                # In <<<a>>>> the extra > belongs to the answer's text, as in <<<a>b>>>.
                while stretch.startswith(">>>", close + 1):
                    close += 1
                found.append(stretch[opening + 3 : close].strip())
            position = close + 3
    return found
