"""Answer formats: what a model turn means. ``natural`` is the paper's; ``tags`` and ``boxed`` are its v1 ablation.

A turn is read in this order; the first that applies decides:

1. A closed program is a code call. Everything else in the turn, even an answer before the program, is ignored: code
   that the model wants to run comes first.
2. Otherwise the last real answer outside any code block, block quote and thinking section is the answer. An empty one
   or the placeholder of the instructions is not real.
3. Otherwise the turn is void.

``docs/reading-turns.md`` has every rule with examples.

A thinking section of a reasoning model goes from ``<think>`` to ``</think>``, or to the end of a turn that does not
close it. The format's option ``code_in_thinking`` decides whether a program in it runs. If not, the section is skipped
as a whole: a code block that it leaves open ends with it. Tags inside a program are the program's text.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from r1ci_plugins.protocol import answers
from r1ci_plugins.protocol.actions import Action, ActionKind
from r1ci_plugins.protocol.markdown import Block, Fences, Mark, prose_and_blocks, whole_block


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


def read_turn(answer_format: AnswerFormat, text: str, opening: str = "") -> Action:
    """Read a turn behind what the chat template has opened for it, such as ``<think>``; ``end`` counts in the turn."""
    action = answer_format.parse(opening + text)
    return replace(action, end=max(0, action.end - len(opening)))


_TAG_OR_THINKING = re.compile(r"<code>|</?think>")
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
    stop: tuple[str, ...] = ("```\n", "~~~\n", "``` \n", "```\r\n")
    code_in_thinking: bool = True

    def parse(self, text: str) -> Action:
        """Read one turn by the rules of the module docstring."""
        fences = Fences(text)
        blocks, prose = prose_and_blocks(text, self.code_in_thinking, fences.marks, fences.block_at)
        return _decide(text, blocks, lambda: self._answers(prose))

    def code_turn(self, text: str, code: str) -> str:
        """Text, then a ```python block."""
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`{3,}", code))])
        return f"{text}\n{fence}python\n{code.rstrip()}\n{fence}".lstrip()

    def answer_turn(self, text: str, answer: str) -> str:
        """Text, then the marked answer."""
        return f"{text} <<<{answer}>>>".lstrip()

    def _answers(self, prose: Sequence[str]) -> list[str]:
        return answers.marked(prose, "<<<", ">>>")


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
        return [answer for stretch in prose for answer in answers.boxed(stretch)]


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
        marks = [Mark(*found.span(), found[0], (0, 0)) for found in _TAG_OR_THINKING.finditer(text)]
        blocks, prose = prose_and_blocks(
            text, self.code_in_thinking, marks, lambda place: _tagged_block(text, marks[place])
        )
        return _decide(text, blocks, lambda: self._answers(prose))

    def _answers(self, prose: Sequence[str]) -> list[str]:
        return answers.marked(prose, "<answer>", "</answer>")

    def code_turn(self, text: str, code: str) -> str:
        """``<think>text</think>``, then ``<code>``."""
        return f"{_thought(text)}<code>\n{code.rstrip()}\n</code>"

    def answer_turn(self, text: str, answer: str) -> str:
        """``<think>text</think>``, then ``<answer>``."""
        return f"{_thought(text)}<answer>{answer}</answer>"


def _thought(text: str) -> str:
    return f"<think>{text}</think>\n" if text else ""


def _decide(text: str, blocks: Sequence[Block], answers_of: Callable[[], Sequence[str]]) -> Action:
    for block in blocks:
        if block.program and block.closed:
            return Action(ActionKind.CODE, block.body(text), block.end)
    found = answers_of()
    return Action(ActionKind.ANSWER, found[-1], len(text)) if found else Action(ActionKind.VOID, "", len(text))


def _tagged_block(text: str, opening: Mark) -> Block | None:
    if opening.word != "<code>":
        return None
    stop = text.find("</code>", opening.end)
    if stop == -1:
        return Block(True, opening.end, len(text), len(text), False)
    start, end = opening.end, stop + len("</code>")
    inner = whole_block(text[start:stop])
    if inner:
        return Block(True, start + inner.start, start + inner.stop, end, True, inner.column, inner.quotes)
    start += text.startswith("\n", start, stop)
    stop -= stop > start and text[stop - 1] == "\n"
    return Block(True, start, stop, end, True)
