"""Validates a task pack: checks the rules in worker processes, where a checker that hangs can be killed.

Two more processes, with different orders and hash seeds, generate the same questions, which are compared.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Any

from r1ci_plugins.errors import InfrastructureFault, PluginError, suggest
from r1ci_plugins.pack_checks.examination import Failure, excerpt, failure
from r1ci_plugins.pack_checks.rules import RULES
from r1ci_plugins.pack_checks.rules.task import FIX_DETERMINISM
from r1ci_plugins.tasks.task import Question, TaskPack
from r1ci_plugins.workers.json_lines import Worker, WorkerFault

_SILENCE_S = 60.0
"""Wall-clock seconds of one step (a check, a solution) after which a worker is killed."""

_CHECK_S = 20.0
"""The same for one answer, which may take a second of CPU time."""

_START_S = 180.0
"""Seconds for loading the pack and for generating one question: a pack's libraries may take long to start."""

_HASH_SEEDS = (1, 4242)


@dataclass(frozen=True)
class TaskReport:
    """What the examination of a task found: at most a few failures per rule, and notes on what was not examined.

    ``missing`` says why its data is not on this machine, if so; then it has neither passed nor failed.
    """

    task: str
    failures: tuple[Failure, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether it was examined and kept every rule."""
        return not self.failures and not self.missing

    @property
    def result(self) -> str:
        """``ok``, ``failed`` or ``no data here``."""
        if self.failures:
            return "failed"
        return "no data here" if self.missing else "ok"

    @property
    def remarks(self) -> list[str]:
        """The rules that are broken, each once, and the notes."""
        rules = dict.fromkeys(failure.rule for failure in self.failures)
        return [*rules, *(f"{rule}: {note}" for rule, note in self.notes.items())]


def chosen(pack: TaskPack, tasks: Collection[str] = ()) -> list[str]:
    """The names of the pack's tasks, or those asked for; PluginError for a name that the pack does not have."""
    names = [task.name for task in pack.tasks]
    for name in tasks:
        if name not in names:
            raise PluginError(f"the pack {pack.name!r} has no task {name!r}", fix=suggest(name, names))
    return [name for name in names if not tasks or name in tasks]


def validate(
    reference: str, tasks: Sequence[str], jobs: int = 2, *, seconds: float = 2.0
) -> Generator[TaskReport, None, None]:
    """Examine tasks of a pack (as ``load_pack`` takes it), ``jobs`` at a time; reports come as they are ready.

    Making the questions of one task takes about ``seconds``.

    Raises:
        PluginError: A worker cannot load the pack.
    """
    tasks = sorted(tasks)
    workers = _Workers(reference)
    with ThreadPoolExecutor(jobs) as threads:
        try:
            orders = [tasks, tasks[::-1]]  # what a task leaves behind in its process then affects different tasks
            generated = [
                threads.submit(_generate, workers, order, seed)
                for order, seed in zip(orders, _HASH_SEEDS, strict=True)
            ]
            examined = {threads.submit(_examine, workers, task, seconds): task for task in tasks}
            for future in as_completed(examined):
                report = future.result()
                yield replace(report, failures=report.failures + _differences(generated, report.task))
        finally:
            workers.close()
            threads.shutdown(cancel_futures=True)


# --- the side that asks -------------------------------------------------------------------------------------------


def _differences(generated: Sequence[Future[dict[str, list[Question]]]], task: str) -> tuple[Failure, ...]:
    """How the questions of a task differ between two processes, once both have ended."""
    one, other = (future.result().get(task, []) for future in generated)
    found = []
    for left, right in zip(one, other, strict=False):
        if left != right:
            what = f"another process makes {excerpt(right.text)!r}, answer {excerpt(right.answer)!r}"
            found.append(failure("same in every process", left, what=what, fix=FIX_DETERMINISM))
    return tuple(found[:2])


def _generate(workers: _Workers, tasks: Sequence[str], hash_seed: int) -> dict[str, list[Question]]:
    """The first questions of every task, made in one new process."""
    made: dict[str, list[Question]] = defaultdict(list)
    with workers.borrow(hash_seed) as worker:
        try:
            for reply in _replies(worker, {"generate": list(tasks)}):
                if "question" in reply:
                    question = Question.from_json(reply["question"])
                    made[question.task.rpartition("/")[2]].append(question)
        except WorkerFault:
            pass  # the examination of the task meets the same fault and reports it
    return made


def _examine(workers: _Workers, task: str, seconds: float) -> TaskReport:
    """Check all rules on one task. If a step hangs, its worker is killed; the next one goes on after that rule."""
    started = time.monotonic()
    failures: list[Failure] = []
    notes: dict[str, str] = {}
    missing, rules, doing = "", list(RULES), ("", "")
    while rules:
        with workers.borrow() as worker:
            try:
                for reply in _replies(worker, {"examine": task, "rules": rules, "seconds": seconds}):
                    doing = reply.get("doing", doing)
                    if "failure" in reply:
                        failures.append(Failure(**reply["failure"]))
                    notes |= reply.get("notes", {})
                    missing = reply.get("missing", missing)
                rules = []
            except WorkerFault as fault:
                rule, step = doing
                at_generation = not step or step.startswith("generating")
                name = "generates" if at_generation else "answers in time"
                fix = "bound the work of this step; see the question with `r1ci tasks sample`"
                failures.append(failure(name, what=f"the process {fault} while {step or 'starting'}", fix=fix))
                # Without a rule it is the first call of the checker, which every rule needs.
                rules = [] if at_generation or not rule else rules[rules.index(rule) + 1 :]
    kept = [f for i, f in enumerate(failures) if sum(g.rule == f.rule for g in failures[:i]) < 3]
    return TaskReport(task, tuple(kept), notes, missing, time.monotonic() - started)


class _Workers:
    """Worker processes with the pack loaded, each used by one thread at a time."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._all: list[Worker] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def borrow(self, hash_seed: int | None = None) -> Iterator[Worker]:
        """A worker; with a hash seed a new one that is not used again."""
        worker = None
        if hash_seed is None:
            with contextlib.suppress(queue.Empty):
                worker = self._idle.get_nowait()
        if worker is None:
            worker = _start(self._reference, hash_seed or 0)
            with self._lock:
                self._all.append(worker)
        if self._closed:
            worker.kill()
            raise InfrastructureFault("the validation was stopped")
        yield worker
        if hash_seed is None and worker.alive:
            self._idle.put(worker)
        else:
            worker.kill()

    def close(self) -> None:
        """Kill all workers and start no more."""
        self._closed = True
        with self._lock:
            for worker in self._all:
                worker.kill()


def _start(reference: str, hash_seed: int) -> Worker:
    """A worker that has loaded the pack; PluginError if it cannot."""
    worker = Worker(["-m", "r1ci_plugins.pack_checks.validation_worker"], hash_seed)
    order = {"pack": reference, "path": [entry or os.getcwd() for entry in sys.path]}
    try:
        for reply in _replies(worker, order):
            if "error" in reply:
                worker.kill()
                raise PluginError(f"a worker cannot load the pack: {reply['error']}", fix="run `r1ci plugins`")
    except WorkerFault as fault:
        raise PluginError(f"a worker {fault} while loading the pack", where=reference) from None
    return worker


def _replies(worker: Worker, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Send an order and yield the replies until it is done; WorkerFault if it died or was silent for too long."""
    worker.send(order)
    patience = _START_S
    while "done" not in (reply := worker.receive(patience)):
        step = reply["doing"][1] if "doing" in reply else "generating"
        patience = _START_S if step.startswith("generating") else _SILENCE_S
        if ": checking " in step:
            patience = min(patience, _CHECK_S)
        yield reply
