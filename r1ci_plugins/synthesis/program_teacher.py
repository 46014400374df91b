"""A teacher without a model: it shows a task's reference programs as trajectories of several shapes.

Each shape is a generator that yields turns and is sent what the sandbox really printed. Its conclusions depend on that
output alone: a final answer after a program is the program's output, and a shape gives up when programs do not do what
it expects.
"""

import random
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.protocol.answer_format import AnswerFormat, WritableFormat
from r1ci_plugins.protocol.feedback import PREFIX
from r1ci_plugins.synthesis import mutation
from r1ci_plugins.synthesis.mutation import Mutant
from r1ci_plugins.synthesis.teacher import Attempt, Reply, Speaker
from r1ci_plugins.synthesis.variant import Variant
from r1ci_plugins.synthesis.wording import Wording, how
from r1ci_plugins.tasks.task import Program

_ERROR = re.compile(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|StopIteration)\b.*|Error: .*)$")
_DELIMITERS = re.compile(r"[\[\](){},;'\"\s]+")
_NOTHING = "(the program printed nothing)"

Performance = Generator[str, str, None]
"""Yields turns, is sent the output of the program in each, ends after the answer (or gives up)."""


@dataclass(frozen=True)
class Scene:
    """What a shape works with. The programs are shuffled; ``rng`` decides what ``wording`` does not."""

    attempt: Attempt
    programs: Sequence[Program]
    wording: Wording
    writes: WritableFormat
    rng: random.Random

    def first(self, code: str) -> str:
        """The first turn with a program."""
        style = self.programs[0].style
        match self.attempt.variant:
            case Variant.CODE_FIRST:
                text = self.wording.say_unless_terse("code_first")
            case Variant.TEXT_FIRST:
                text = self.wording.deliberation(style)
            case _:
                text = self.wording.opening(style)
        return self.writes.code_turn(text, code)

    def second(self, program: Program) -> str:
        """A turn with a second program that checks the first."""
        switched = self.attempt.variant is Variant.FORCED_SWITCH
        occasion = "switches" if switched else "checks"
        return self.writes.code_turn(self.wording.say(occasion, how=how(program.style)), program.code)

    def answer(self, output: str, before: str = "") -> str:
        """The last turn: a program's output as the answer."""
        text = " ".join(filter(None, (before, self.wording.say_unless_terse("answers"))))
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
        yield scene.answer(other, scene.wording.say("agreements"))
    elif not scene.attempt.task.unique:
        yield scene.answer(other, scene.wording.say("both_valid"))


def _repair(scene: Scene, mutant: Mutant) -> Performance:
    output = yield scene.first(mutant.code)
    if failure(output):  # otherwise the slip makes no difference for this question
        yield from _fix(scene, mutant, output)


def _fix(scene: Scene, mutant: Mutant, output: str) -> Performance:
    error = failure(output)
    occasion = "silences" if error == _NOTHING else "repairs"
    text = scene.wording.say(occasion, error=error, slip=mutant.slip)
    output = yield scene.writes.code_turn(text, scene.programs[0].code)
    if failure(output):
        return
    if len(scene.programs) > 1 and (scene.attempt.variant is Variant.FORCED_SWITCH or scene.rng.random() < 0.2):
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
    if failure(other) or same(wrong, other):  # the same result: the slip makes no difference for this question
        return
    text = scene.wording.say("disagreements", slip=mutant.slip)
    fixed = yield scene.writes.code_turn(text, scene.programs[0].code)
    if not failure(fixed) and same(fixed, other):
        yield scene.answer(fixed, scene.wording.say("agreements"))


def _text(scene: Scene) -> Performance:
    occasion = "in_the_head" if scene.programs else "text_answers"
    yield scene.writes.answer_turn(scene.wording.say_unless_terse(occasion), scene.attempt.question.answer)


_SHORT = 20
"""Characters of an answer that one may find without a program, at most."""

_WEIGHTS: Mapping[str, float] = {"direct": 3, "check": 3, "repair": 3, "correct": 2}
"""How often each shape with programs is tried. All but ``direct`` run several programs."""

_WEIGHTS_WITHOUT_EMPHASIS: Mapping[str, float] = {"direct": 8, "check": 0.75, "repair": 0.75, "correct": 0.5}
"""The same where several programs are not preferred."""


def failure(output: str) -> str:
    """How a program failed, judging by its output: a traceback's last line or _NOTHING; empty if it did not fail."""
    last = output.rsplit("\n", 1)[-1].strip()
    return last if output == _NOTHING or _ERROR.match(last) else ""


def same(output: str, other: str) -> bool:
    """Whether two outputs say the same, even if only one of them writes a list with brackets."""
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


@dataclass(frozen=True, kw_only=True)
class ProgramTeacher:
    """Shows the tasks' programs.

    Attributes:
        answer_format: Writes turns.
        text_share: How often to answer in text alone although there are programs, where the answer is short and the
            variant leaves the means open (free, text first). Without programs, such attempts are answered in text if
            the task takes reasoning and the answer is a word or a choice; otherwise there is nothing to say.
        emphasis: Whether shapes with several programs are preferred.
        explanations: Whether a first program and a final answer come with sentences.
    """

    answer_format: AnswerFormat
    text_share: float
    emphasis: bool
    explanations: bool
    name: ClassVar[str] = "programs"

    def __post_init__(self) -> None:
        if not isinstance(self.answer_format, WritableFormat):
            raise RecipeError(
                f"the answer format {type(self.answer_format).__name__} can be read, but not written",
                where="recipe key protocol.answer_format",
                fix="give it the methods code_turn and answer_turn, or use another teacher",
            )

    async def start(self) -> None:
        """Nothing to prepare."""

    async def close(self) -> None:
        """Nothing to release."""

    def speaker(self, attempt: Attempt) -> Speaker | None:
        """Choose programs, a shape and words for an attempt, always the same for the same attempt."""
        assert isinstance(self.answer_format, WritableFormat)
        rng, answer = random.Random(attempt.key), attempt.question.answer
        programs = list(attempt.task.programs(attempt.question))
        rng.shuffle(programs)
        scene = Scene(attempt, programs, Wording(rng, not self.explanations), self.answer_format, rng)
        text_share = self.text_share
        if not programs:  # numbers and structures take computing, a word or a choice may not
            text_share = float(attempt.task.capability == "reasoning" and not re.search(r"\d|\n", answer))
        open_to_text = attempt.variant in (Variant.FREE, Variant.TEXT_FIRST) and len(answer) <= _SHORT
        if open_to_text and rng.random() < text_share:
            return _Performer("text", _text(scene))
        if not programs:
            return None
        for shape in self._shapes(attempt, rng):
            if performance := _perform(shape, scene):
                return _Performer(f"{shape} {programs[0].style}", performance)
        raise AssertionError("direct is always possible")

    def _shapes(self, attempt: Attempt, rng: random.Random) -> list[str]:
        """Shapes in the sequence in which they are tried; direct is the last resort."""
        if attempt.variant is Variant.FORCED_SWITCH:
            return [rng.choice(["check", "correct", "repair"]), "check", "direct"]
        weights = _WEIGHTS if self.emphasis else _WEIGHTS_WITHOUT_EMPHASIS
        return [*rng.choices(list(weights), list(weights.values())), "direct"]


def _perform(shape: str, scene: Scene) -> Performance | None:
    """A shape, if the task's programs allow it."""
    code, several = scene.programs[0].code, len(scene.programs) > 1
    if shape == "check" and several:
        return _check(scene)
    if shape == "repair" and (mutant := mutation.crashing(code, scene.rng)):
        return _repair(scene, mutant)
    if shape == "correct" and several and scene.attempt.task.unique:
        mutant = mutation.misleading(code, scene.rng)
        return _correct(scene, mutant) if mutant else None
    return _direct(scene) if shape == "direct" else None
