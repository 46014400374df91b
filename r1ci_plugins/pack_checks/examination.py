"""One task under examination: its questions, its checker under watch, and the breaches of rules that are found.

Four promises hold for every call to the checker, whichever rule makes it: ``answers in time``, ``never raises``,
``never evaluates`` and ``scores in [0, 1]``. They are checked here; every other rule is a function in ``rules``.
"""

import functools
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from r1ci_plugins.questions.splits import candidate, normalised
from r1ci_plugins.rewards.verifier import ask_task
from r1ci_plugins.tasks.task import Question, Task

DISTINCT = 200
"""Different questions that a task must have at its default difficulty."""

CHECK_S = 1.0
"""CPU seconds that one answer may cost, a megabyte of nonsense included."""

PROMISES = ("generates", "answers in time", "never raises", "never evaluates", "scores in [0, 1]")
"""Rules that hold throughout: any other rule may find them broken."""

_FIXES = {
    "answers in time": "bound the work by the length of the answer; read it with r1ci_plugins.tasks.answers",
    "never raises": "let check return False, or let answers.Unreadable through, for text that it cannot read",
    "never evaluates": "parse the answer (r1ci_plugins.tasks.answers); no eval, exec, compile, ast, process or file",
    "scores in [0, 1]": "return True, False, or a Score of a number from 0 to 1",
}

_SAMPLE = 20
_LEAST = 5
_PATIENCE = 3


@dataclass(frozen=True)
class Failure:
    """One breach of a rule: what was seen, and how the pack's author can fix it.

    ``question`` and ``text`` are the question's key and shortened text; empty if it is not about one.
    """

    rule: str
    question: str
    text: str
    what: str
    fix: str

    def __str__(self) -> str:
        about = f"\n  question: {self.question}: {self.text}" if self.question else ""
        return f"{self.rule}: {self.what}{about}\n  fix: {self.fix}"


@dataclass
class Examination:
    """One task, questions of it, and its checker under watch.

    Attributes:
        pack: Name of the pack.
        task: The task.
        seconds: About how long to spend on making questions; a slow task is examined on fewer.
        run_program: Runs a Python program in the sandbox and returns what it printed; None if there is no sandbox.
        doing: Called with what is about to happen, so that a report can say where a task hangs.
        failures: Breaches so far of the four promises that hold for every call to the checker.
        notes: What could not be examined and why, by rule.
    """

    pack: str
    task: Task
    seconds: float = 2.0
    run_program: Callable[[str], str] | None = None
    doing: Callable[[str], None] = lambda what: None
    failures: list[Failure] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"conformance/{self.pack}/{self.task.name}")
        self.candidates: list[Question] = []
        self.distinct: dict[str, Question] = {}
        self._draw()
        self.questions = list(self.distinct.values())[:_SAMPLE]
        _watch_interpreter()
        if self.questions:  # what the checker imports or reads once does not count as evaluation
            for answer in (self.questions[0].answer, "?"):
                self.score("never raises", self.questions[0], answer, watched=False)

    def draw(self, index: int, difficulty: int | None = None) -> Question:
        """A question of the task's stream; it may be equal to another."""
        self.doing(f"generating question {index} at difficulty {difficulty}")
        return candidate(self.pack, self.task, "rl", index, 0, difficulty)

    def score(self, rule: str, question: Question, answer: str, *, watched: bool = True) -> float:
        """The checker's verdict; NaN where the call breaks one of the four promises, which is recorded.

        A checker that has been too slow three times is not called again: the examination would take hours.
        """
        if sum(failure.rule == "answers in time" for failure in self.failures) >= _PATIENCE:
            return math.nan
        self.doing(f"{rule}: checking {excerpt(answer)!r} for {question.key}")
        started = time.process_time()
        try:
            with _watch(watched) as events:
                value = ask_task(self.task, question, answer).value
        except _Evaluated:
            value = math.nan
        except (TypeError, ValueError) as error:
            return self._breach(_rule_of(error), question, answer, f"{type(error).__name__}: {error}")
        except Exception as error:
            return self._breach("never raises", question, answer, f"{type(error).__name__}: {error}")
        if events:
            return self._breach("never evaluates", question, answer, f"the interpreter saw {', '.join(events)}")
        if (spent := time.process_time() - started) > CHECK_S:
            return self._breach("answers in time", question, answer, f"{spent:.1f} s of CPU")
        return value

    def expect(
        self,
        rule: str,
        score: float,
        texts: Callable[[Question], Iterable[str]],
        *,
        fix: str,
        questions: Sequence[Question] | None = None,
    ) -> Iterator[Failure]:
        """A failure for each of the texts that does not get this score, for every question."""
        for question in self.questions if questions is None else questions:
            for text in texts(question):
                found = self.score(rule, question, text)
                if found != score and not math.isnan(found):
                    yield failure(rule, question, what=scored(question, text, f"{found}, not {score}"), fix=fix)

    def _breach(self, rule: str, question: Question, answer: str, what: str) -> float:
        what = f"{what}, for the answer {excerpt(answer)!r}"
        self.failures.append(failure(rule, question, what=what, fix=_FIXES[rule]))
        return math.nan

    def _draw(self) -> None:
        """Draw candidates until enough of them differ, the time is up, or nothing new comes any more."""
        wanted = DISTINCT if self.task.size is None else min(DISTINCT, self.task.size)
        deadline, barren = math.inf, 0
        while len(self.distinct) < wanted and barren < 2 * DISTINCT:
            if time.monotonic() > deadline and len(self.candidates) >= _LEAST:
                self.notes["200 distinct questions"] = f"only {len(self.candidates)} examined, being slow to generate"
                return
            question = self.draw(len(self.candidates))
            if not self.candidates:  # only now: the first question may have to start or read something
                deadline = time.monotonic() + self.seconds
            self.candidates.append(question)
            text = normalised(question.text)
            barren = barren + 1 if text in self.distinct else 0
            self.distinct.setdefault(text, question)


def failure(rule: str, question: Question | None = None, *, what: str, fix: str) -> Failure:
    """A failure, about a question or about the task as a whole."""
    if question is None:
        return Failure(rule, question="", text="", what=what, fix=fix)
    return Failure(rule, question=question.key, text=excerpt(question.text), what=what, fix=fix)


def scored(question: Question, answer: str, score: str) -> str:
    """What a failure says about a score; it adds the reference where the answer is another text."""
    reference = "" if answer == question.answer else f"; the reference is {excerpt(question.answer)!r}"
    return f"the answer {excerpt(answer)!r} scores {score}{reference}"


def excerpt(text: str, length: int = 100) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else f"{line[:length]}..."


def _rule_of(error: Exception) -> str:
    """Which promise an exception breaks: it comes from ``ask_task`` if the verdict is not a score."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    outside = frame is not None and frame.tb_frame.f_code.co_name in ("ask_task", "__post_init__")
    return "scores in [0, 1]" if outside else "never raises"


# --- watching the interpreter -------------------------------------------------------------------------------------

_EVENTS = ("compile", "exec", "open", "pickle.find_class", "socket.", "subprocess.", "os.system", "os.exec", "os.fork",
           "os.posix_spawn", "os.spawn", "os.remove", "os.rename", "ctypes.dlopen")  # fmt: skip
_watching: list[tuple[bool, list[str]]] = []


class _Evaluated(BaseException):
    """Stops a checker before it evaluates; no ``except Exception`` of its own catches it."""


@contextmanager
def _watch(active: bool) -> Iterator[list[str]]:
    """Inside this block, what a checker must not do is stopped and noted."""
    events: list[str] = []
    _watching.append((active, events))
    try:
        yield events
    finally:
        _watching.pop()


@functools.cache  # once per process, because the hook cannot be removed
def _watch_interpreter() -> None:
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or not event.startswith(_EVENTS) or not _watching[-1][0] or _importing():
        return
    events = _watching[-1][1]
    if event not in events:
        events.append(event)
    raise _Evaluated(event)


def _importing() -> bool:
    """Whether the event belongs to an import, which reads, compiles and executes files, not the answer."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        if frame.f_code.co_name == "ask_task":
            return False
        frame = frame.f_back
    return False
