"""Measures how many questions a task has, how fast it makes them, and how fast it checks answers."""

import json
import math
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from r1ci_plugins.errors import MissingData, TaskError
from r1ci_plugins.questions.splits import candidate, normalised
from r1ci_plugins.questions.suite import load_suite
from r1ci_plugins.tasks.task import Question, Task, TaskPack, Unreadable
from r1ci_plugins.workers.pack_processes import default_jobs, loaded_pack, pack_processes

MANY = 2000
"""No more questions than this are counted."""

HEADS = ("pack", "task", "class", "part", "questions", "questions/s", "check ms", "problem")
NUMBERS = HEADS[4:7]

_START_S = 120.0
_BARREN = 400
_CHECKED = 30


@dataclass(frozen=True)
class Measurement:
    """The figures of one task, None where there was no question, and why it could not be measured, if so.

    ``questions`` differ at the default difficulty; a lower bound unless ``counted``. ``check_ms`` and ``check_p99_ms``
    are the median and the 99th percentile over right and wrong answers, milliseconds.
    """

    questions: int = 0
    counted: bool = False
    questions_per_s: float | None = None
    check_ms: float | None = None
    check_p99_ms: float | None = None
    problem: str = ""

    @property
    def questions_text(self) -> str:
        """The count as people read it: ``980``, or ``>2000``."""
        return str(self.questions) if self.counted else f">{self.questions}"


@dataclass(frozen=True)
class MeasuredTask:
    """A task by its qualified name, its capability class, its part of the default suite ("" if none), its figures."""

    task: str
    capability: str
    part: str
    found: Measurement

    @property
    def row(self) -> tuple[str, ...]:
        """The texts under ``HEADS``."""
        found, figures = self.found, ("", "", "")
        if found.questions_per_s is not None:
            check = "" if found.check_ms is None else f"{found.check_ms:.3f}"
            figures = (found.questions_text, f"{found.questions_per_s:.0f}", check)
        return (*self.task.split("/"), self.capability, self.part, *figures, found.problem)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"task": self.task, "capability": self.capability, "part": self.part, **asdict(self.found)})


def measure_all(
    packs: Mapping[str, TaskPack],
    seconds: float,
    jobs: int | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> list[MeasuredTask]:
    """Measure every task of some installed packs, in parallel processes; the result is in the packs' order.

    A task's questions take about ``seconds``, its checks at most half as long again. ``jobs`` None means one process
    per core. ``progress`` is called with the name of each task that is done.
    """
    tasks = {f"{pack.name}/{task.name}": (pack.name, task) for pack in packs.values() for task in pack.tasks}
    members = load_suite("default").members
    with pack_processes(jobs or default_jobs(), sorted(packs)) as pool:
        orders = {
            pool.submit(_measure_in_worker, pack, task.name, seconds): name for name, (pack, task) in tasks.items()
        }
        found = {}
        for order in as_completed(orders):
            found[orders[order]] = order.result()
            progress(orders[order])
    return [
        MeasuredTask(name, task.capability, members[name].part if name in members else "", found[name])
        for name, (_, task) in tasks.items()
    ]


def measure(pack: str, task: Task, seconds: float) -> Measurement:
    """Measure one task in this process's main thread."""
    try:
        with _deadline(_START_S):
            candidate(pack, task, "rl", 0, 0, None)  # loads what the pack loads with its first question
    except MissingData:
        return Measurement(problem="no data here")
    except _TimeUp:
        return Measurement(problem=f"no question within {_START_S:.0f} s")
    except TaskError as error:
        return Measurement(problem=error.what)
    made = _generate(pack, task, seconds)
    if not made.questions:
        return Measurement(problem=made.problem or f"no question within {seconds:g} s")
    different = len({normalised(question.text) for question in made.questions})
    checks = _check(task, made.questions, seconds / 2)
    if task.size is not None:
        number, counted = task.size, True
    elif made.exhausted:
        number, counted = different, True
    else:
        number, counted = min(at_least(len(made.questions), different), MANY), False
    return Measurement(
        questions=number,
        counted=counted,
        questions_per_s=len(made.questions) / made.seconds,
        check_ms=1000 * statistics.median(checks) if checks else None,
        check_p99_ms=1000 * sorted(checks)[math.ceil(0.99 * len(checks)) - 1] if checks else None,
        problem=made.problem,
    )


def at_least(drawn: int, different: int) -> int:
    """A lower bound, at 95 % confidence, for the number of questions, from how many of some draws differ.

    If ``N`` questions are equally likely, about ``n - N (1 - exp(-n/N))`` of ``n`` draws repeat an earlier one. The
    number of repeats is close to Poisson: take its upper limit (Wilson and Hilferty's approximation) and invert the
    formula. Questions that are not equally likely repeat more often, so the bound holds for them too.
    """
    one_more = drawn - different + 1
    repeats = one_more * (1 - 1 / (9 * one_more) + 1.645 / (3 * math.sqrt(one_more))) ** 3
    low, high = different, max(different, drawn * drawn)
    while high - low > 1:
        middle = (low + high) // 2
        if drawn + middle * math.expm1(-drawn / middle) > repeats:
            low = middle
        else:
            high = middle
    return low


@dataclass
class _Made:
    """Candidates of a task, the seconds they took, whether there are no more, and what went wrong."""

    questions: list[Question]
    seconds: float = 0.0
    exhausted: bool = False
    problem: str = ""


def _generate(pack: str, task: Task, seconds: float) -> _Made:
    made = _Made([])
    different: set[str] = set()
    barren = 0
    start = time.perf_counter()
    try:
        with _deadline(seconds):
            while len(different) <= MANY and not made.exhausted:
                question = candidate(pack, task, "rl", len(made.questions), 0, None)
                made.questions.append(question)
                text = normalised(question.text)
                barren = barren + 1 if text in different else 0
                different.add(text)
                # With one question in N missing, 4 N draws would miss it in one case of fifty.
                made.exhausted = barren >= max(_BARREN, 4 * len(different))
    except _TimeUp:
        pass
    except TaskError as error:
        made.problem = error.what
    made.seconds = time.perf_counter() - start
    return made


def _check(task: Task, questions: Sequence[Question], seconds: float) -> list[float]:
    """Seconds of each check, of the question's own answer and of another's; the first check is not counted."""
    some = questions[:_CHECKED]
    times: list[float] = []
    try:
        with _deadline(seconds):
            with suppress(Unreadable):
                task.check(some[0], some[0].answer)
            for question, other in zip(some, [*some[1:], some[0]], strict=True):
                for answer in (question.answer, other.answer):
                    start = time.perf_counter()
                    with suppress(Unreadable):
                        task.check(question, answer)
                    times.append(time.perf_counter() - start)
    except _TimeUp:
        pass
    return times


class _TimeUp(BaseException):
    """A BaseException, so that a task's ``except Exception`` does not catch it."""


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise ``_TimeUp`` within the block after some wall-clock seconds. Only in the main thread."""

    def ring(signal_number: int, frame: object) -> None:
        raise _TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _measure_in_worker(pack: str, task: str, seconds: float) -> Measurement:
    return measure(pack, loaded_pack(pack)[task], seconds)
