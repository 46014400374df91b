"""No teacher at all: a task's reference programs, told as trajectories of several shapes.

Each shape is a generator that yields turns and is sent what the sandbox really printed. What it concludes depends on
that output alone: a final answer after a program is the program's output, and where programs do not do what the shape
expects, it gives up rather than pretend.
"""

from __future__ import annotations

import random
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.protocol.answer_format import AnswerFormat, WritableFormat
from r1ci_plugins.protocol.feedback import PREFIX
from r1ci_plugins.synthesis import mutation
from r1ci_plugins.synthesis.mutation import Mutant
from r1ci_plugins.synthesis.teacher import Order, Reply, Speaker
from r1ci_plugins.synthesis.variant import Variant
from r1ci_plugins.synthesis.wording import Wording
from r1ci_plugins.tasks.task import Program

_ERROR = re.compile(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|StopIteration)\b.*|Error: .*)$")
_DELIMITERS = re.compile(r"[\[\](){},;'\"\s]+")
_NOTHING = "(the program printed nothing)"

Performance = Generator[str, str, None]
"""Yields turns, is sent the output of the program in each, ends after the answer (or gives up)."""


@dataclass(frozen=True)
class Scene:
    """What a shape works with.

    Attributes:
        order: What is wanted.
        programs: The task's programs, in random order.
        wording: Where sentences come from.
        writes: How turns are written.
        rng: For everything else.
    """

    order: Order
    programs: Sequence[Program]
    wording: Wording
    writes: WritableFormat
    rng: random.Random

    def first(self, code: str) -> str:
        """The first turn with a program."""
        style = self.programs[0].style
        match self.order.variant:
            case Variant.CODE_FIRST:
                text = self.wording.code_first()
            case Variant.TEXT_FIRST:
                text = self.wording.deliberation(style)
            case _:
                text = self.wording.opening(style)
        return self.writes.code_turn(text, code)

    def second(self, program: Program) -> str:
        """A turn with a second program that checks the first."""
        forced = self.order.variant is Variant.FORCED_SWITCH
        text = self.wording.switch(program.style) if forced else self.wording.check(program.style)
        return self.writes.code_turn(text, program.code)

    def answer(self, output: str, before: str = "") -> str:
        """The last turn: a program's output as the answer."""
        text = " ".join(filter(None, (before, self.wording.answer())))
        return self.writes.answer_turn(text, output)


def _direct(scene: Scene) -> Performance:
    output = yield scene.first(scene.programs[0].code)
    if not failure(output):
        yield scene.answer(output)


def _check(scene: Scene) -> Performance:
    output = yield scene.first(scene.programs[0].code)
    if not failure(output):
        yield from _confirm(scene, output)


def _confirm(scene: Scene, output: str) -> Performance:
    other = yield scene.second(scene.programs[1])
    if failure(other):
        return
    if same(output, other):
        yield scene.answer(other, scene.wording.agreement())
    elif not scene.order.task.unique:
        yield scene.answer(other, scene.wording.both_valid())


def _repair(scene: Scene, mutant: Mutant) -> Performance:
    output = yield scene.first(mutant.code)
    if failure(output):  # else the slip did no harm to this question
        yield from _fix(scene, mutant, output)


def _fix(scene: Scene, mutant: Mutant, output: str) -> Performance:
    error, wording = failure(output), scene.wording
    text = wording.silence(mutant.slip) if error == _NOTHING else wording.repair(error, mutant.slip)
    output = yield scene.writes.code_turn(text, scene.programs[0].code)
    if failure(output):
        return
    if len(scene.programs) > 1 and (scene.order.variant is Variant.FORCED_SWITCH or scene.rng.random() < 0.2):
        yield from _confirm(scene, output)
    else:
        yield scene.answer(output)


def _correct(scene: Scene, mutant: Mutant) -> Performance:
    """A wrong result that a second program brings to light."""
    wrong = yield scene.first(mutant.code)
    if failure(wrong):
        yield from _fix(scene, mutant, wrong)
        return
    other = yield scene.second(scene.programs[1])
    if failure(other) or same(wrong, other):  # in the latter case the slip did no harm to this question
        return
    text = scene.wording.disagreement(mutant.slip)
    fixed = yield scene.writes.code_turn(text, scene.programs[0].code)
    if not failure(fixed) and same(fixed, other):
        yield scene.answer(fixed, scene.wording.agreement())


def _text(scene: Scene) -> Performance:
    text = scene.wording.in_the_head() if scene.programs else scene.wording.text_answer()
    yield scene.writes.answer_turn(text, scene.order.question.answer)


_SHORT = 20
"""Characters of an answer that somebody may find without a program."""


def _is_word(order: Order) -> bool:
    """Whether the answer is a word or a choice: numbers and structures want computing."""
    return not re.search(r"\d|\n", order.question.answer)


SHAPES: Mapping[str, int] = {"direct": 3, "check": 3, "repair": 3, "correct": 2}
"""Weights of the shapes with programs. All but ``direct`` run several programs."""


def failure(output: str) -> str:
    """How a program failed, from its output: the last line of a traceback, or that nothing was printed; else empty."""
    last = output.rsplit("\n", 1)[-1].strip()
    return last if output == _NOTHING or _ERROR.match(last) else ""


def same(output: str, other: str) -> bool:
    """Whether two outputs say the same, though one may write a list with brackets and the other without."""
    mine, theirs = (_DELIMITERS.sub(" ", text).split() for text in (output, other))
    return mine == theirs if mine or theirs else output == other


class _Performer:
    """A performance as a speaker."""

    def __init__(self, style: str, performance: Performance) -> None:
        self.style = style
        self._performance = performance

    async def reply(self, turns: Sequence[str]) -> Reply:
        """The next turn; an empty one when the performance gives up."""
        try:
            if len(turns) == 1:
                return Reply(next(self._performance))
            return Reply(self._performance.send(turns[-1].removeprefix(PREFIX).strip()))
        except StopIteration:
            return Reply("")


@dataclass(frozen=True)
class ProgramTeacher:
    """Tells the tasks' programs.

    Attributes:
        answer_format: How turns are written.
        text_share: Share of the orders that leave the means open (free, text first) that are answered in text alone
            though there are programs, where the answer is short. Without programs such orders are answered in text if
            the task takes reasoning and the answer is a word or a choice; else there is nothing to tell.
        emphasis: Whether shapes with several programs are preferred.
        explanations: Whether a first program and a final answer come with sentences.
        name: For the record.
    """

    answer_format: AnswerFormat
    text_share: float = 0.1
    emphasis: bool = True
    explanations: bool = True
    name: str = "programs"

    def __post_init__(self) -> None:
        if not isinstance(self.answer_format, WritableFormat):
            raise RecipeError(
                f"the answer format {type(self.answer_format).__name__} can be read, but not written",
                where="recipe key protocol.answer_format",
                fix="give it the methods code_turn and answer_turn, or use another teacher",
            )

    async def start(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def speaker(self, order: Order) -> Speaker | None:
        """Choose programs, a shape and words for an order, always the same for the same order."""
        assert isinstance(self.answer_format, WritableFormat)
        rng = random.Random(order.key)
        programs = list(order.task.programs(order.question))
        rng.shuffle(programs)
        scene = Scene(order, programs, Wording(rng, not self.explanations), self.answer_format, rng)
        share = self.text_share if programs else float(order.task.capability == "reasoning" and _is_word(order))
        open_to_text = order.variant in (Variant.FREE, Variant.TEXT_FIRST) and len(order.question.answer) <= _SHORT
        if open_to_text and rng.random() < share:
            return _Performer("text", _text(scene))
        if not programs:
            return None
        for shape in self._shapes(order, rng):
            if performance := _perform(shape, scene):
                return _Performer(f"{shape} {programs[0].style}", performance)
        raise AssertionError("direct is always possible")

    def _shapes(self, order: Order, rng: random.Random) -> list[str]:
        """Shapes in the order in which they are tried; direct is the last resort."""
        if order.variant is Variant.FORCED_SWITCH:
            return [rng.choice(["check", "correct", "repair"]), "check", "direct"]
        several = sum(SHAPES.values()) - SHAPES["direct"] if self.emphasis else 2
        weights = [SHAPES["direct"] if self.emphasis else 8] + [
            weight * several / (sum(SHAPES.values()) - SHAPES["direct"])
            for shape, weight in SHAPES.items()
            if shape != "direct"
        ]
        return [*rng.choices(list(SHAPES), weights), "direct"]


def _perform(shape: str, scene: Scene) -> Performance | None:
    """A shape, if the task's programs allow it."""
    code, several = scene.programs[0].code, len(scene.programs) > 1
    unique = scene.order.task.unique
    if shape == "check":
        return _check(scene) if several else None
    if shape == "repair":
        mutant = mutation.crashing(code, scene.rng)
        return _repair(scene, mutant) if mutant else None
    if shape == "correct":
        mutant = mutation.misleading(code, scene.rng) if several and unique else None
        return _correct(scene, mutant) if mutant else None
    return _direct(scene)
