"""Validates a task pack: the rules of ``conformance``, run in worker processes where a hanging checker can be killed.

Two more processes generate the same questions, in another order and with another hash seed, and are compared. A
worker (this module as a script) reads one order per line and answers with lines of JSON: what it is ``doing``, each
``failure`` and ``question``, its ``notes``, and ``done``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import random
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from r1ci_plugins.errors import InfrastructureFault, MissingData, PluginError, R1CIError, SandboxUnavailable, suggest
from r1ci_plugins.pack_checks.examination import Examination, Failure, excerpt
from r1ci_plugins.pack_checks.rules import RULES
from r1ci_plugins.pack_checks.rules.task import FIX_DETERMINISM
from r1ci_plugins.questions.splits import candidate
from r1ci_plugins.tasks.task import Question, TaskPack

_SILENCE_S = 60.0
"""Wall-clock seconds of one step (a check, a solution) after which a worker is killed."""

_START_S = 180.0
"""Seconds for loading the pack, and for generating one question: libraries behind a pack may take long to start."""

_GENERATE_S = 0.5
"""Seconds per task for the comparison of processes."""

_PROGRAM_S = 20.0
_MEMORY = 8 << 30
_HASH_SEEDS = (1, 4242)


@dataclass(frozen=True)
class TaskReport:
    """How a task did.

    Attributes:
        task: Its name in the pack.
        failures: Breaches of the rules; at most a few per rule.
        notes: What could not be examined and why, by rule.
        missing: Why its data is not on this machine, if so; then it has neither passed nor failed.
        seconds: How long its examination took.
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


def chosen(pack: TaskPack, tasks: Collection[str] = ()) -> list[str]:
    """The names of the pack's tasks, or those asked for.

    Raises:
        PluginError: A name that the pack does not have.
    """
    names = [task.name for task in pack.tasks]
    for name in tasks:
        if name not in names:
            raise PluginError(f"the pack {pack.name!r} has no task {name!r}", fix=suggest(name, names))
    return [name for name in names if not tasks or name in tasks]


def validate(
    reference: str, tasks: Sequence[str], jobs: int = 2, *, seconds: float = 2.0
) -> Generator[TaskReport, None, None]:
    """Examine tasks of a pack, ``jobs`` at a time; reports come as they are ready.

    Args:
        reference: The pack, as ``plugins.load_pack`` takes it.
        tasks: Names of its tasks.
        jobs: Number of processes.
        seconds: About how long to spend on making questions of one task.

    Raises:
        PluginError: A worker cannot load the pack.
    """
    tasks = sorted(tasks)
    workers = _Workers(reference)
    with ThreadPoolExecutor(jobs) as threads:
        try:
            orders = [tasks, tasks[::-1]]  # whatever a task leaves behind meets another task in the other process
            generated = [
                threads.submit(_generate, workers, order, seed)
                for order, seed in zip(orders, _HASH_SEEDS, strict=True)
            ]
            examined = {threads.submit(_examine, workers, task, seconds): task for task in tasks}
            differences = _Differences(generated)
            for future in as_completed(examined):
                report = future.result()
                yield replace(report, failures=report.failures + differences.of(report.task))
        finally:
            workers.close()
            threads.shutdown(cancel_futures=True)


# --- the side that asks -------------------------------------------------------------------------------------------


class _Differences:
    """What two processes generated, compared once both have ended."""

    def __init__(self, generated: Sequence[Future[dict[str, list[Question]]]]) -> None:
        self._generated = generated

    def of(self, task: str) -> tuple[Failure, ...]:
        one, other = (future.result().get(task, []) for future in self._generated)
        found = []
        for left, right in zip(one, other, strict=False):
            if left != right:
                what = f"another process makes {excerpt(right.text)!r}, answer {excerpt(right.answer)!r}, of it"
                found.append(Failure("same in every process", left.key, excerpt(left.text), what, FIX_DETERMINISM))
        return tuple(found[:2])


def _generate(workers: _Workers, tasks: Sequence[str], hash_seed: int) -> dict[str, list[Question]]:
    """The first questions of every task, made in one new process."""
    made: dict[str, list[Question]] = defaultdict(list)
    with workers.borrow(hash_seed) as worker:
        try:
            for reply in worker.ask({"generate": list(tasks)}):
                if "question" in reply:
                    question = Question.from_json(reply["question"])
                    made[question.task.rpartition("/")[2]].append(question)
        except _Silent:
            pass  # the examination of the task meets the same fault and reports it
    return made


def _examine(workers: _Workers, task: str, seconds: float) -> TaskReport:
    """All rules on one task. Where a step hangs, its worker is killed and the next one goes on after that rule."""
    started = time.monotonic()
    failures: list[Failure] = []
    notes: dict[str, str] = {}
    missing, rules, doing = "", list(RULES), ("", "")
    while rules:
        with workers.borrow() as worker:
            try:
                for reply in worker.ask({"examine": task, "rules": rules, "seconds": seconds}):
                    doing = reply.get("doing", doing)
                    failures += [Failure(**reply["failure"])] if "failure" in reply else []
                    notes |= reply.get("notes", {})
                    missing = reply.get("missing", missing)
                rules = []
            except _Silent as silent:
                rule, step = doing
                at_generation = not rule or step.startswith("generating")
                name = "generates" if at_generation else "answers in time"
                fix = "bound the work of this step; see the question with `r1ci tasks sample`"
                failures.append(Failure(name, "", "", f"{silent} while {step or 'starting'}", fix))
                rules = [] if at_generation else rules[rules.index(rule) + 1 :]
    kept = [f for i, f in enumerate(failures) if sum(g.rule == f.rule for g in failures[:i]) < 3]
    return TaskReport(task, tuple(kept), notes, missing, time.monotonic() - started)


class _Silent(Exception):
    """A worker died or did not answer in time; the message says which."""


class _Workers:
    """Worker processes with the pack loaded, each used by one thread at a time."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._all: list[_Worker] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def borrow(self, hash_seed: int | None = None) -> Iterator[_Worker]:
        """A worker; with a hash seed a new one that nobody uses again."""
        worker = None
        if hash_seed is None:
            with contextlib.suppress(queue.Empty):
                worker = self._idle.get_nowait()
        if worker is None:
            worker = _Worker(self._reference, hash_seed or 0)
            with self._lock:
                self._all.append(worker)
        if self._closed:
            worker.kill()
            raise InfrastructureFault("the validation was broken off")
        yield worker
        if hash_seed is None and worker.alive:
            self._idle.put(worker)
        else:
            worker.kill()

    def close(self) -> None:
        """Kill them all, for good."""
        self._closed = True
        with self._lock:
            for worker in self._all:
                worker.kill()


class _Worker:
    """One worker process."""

    def __init__(self, reference: str, hash_seed: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            start_new_session=True,  # so that what a task starts can be killed with it
        )
        self._buffer = b""
        order = {"pack": reference, "path": [entry or os.getcwd() for entry in sys.path]}
        try:
            for reply in self.ask(order):
                if "error" in reply:
                    raise PluginError(f"a worker cannot load the pack: {reply['error']}", fix="run `r1ci plugins`")
        except _Silent as silent:
            raise PluginError(f"a worker {silent} while loading the pack", where=reference) from None

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Send an order, yield the replies until it is done.

        Raises:
            _Silent: The worker died, or was killed because it said nothing for too long.
        """
        assert self._process.stdin is not None
        patience = _START_S
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            while "done" not in (reply := json.loads(self._line(patience))):
                generating = "doing" not in reply or reply["doing"][1].startswith("generating")
                patience = _START_S if generating else _SILENCE_S
                yield reply
        except (OSError, ValueError):
            self.kill()
            raise _Silent("the process died") from None

    def kill(self) -> None:
        """End the process and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _line(self, patience: float) -> bytes:
        assert self._process.stdout is not None
        output, deadline = self._process.stdout.fileno(), time.monotonic() + patience
        while b"\n" not in self._buffer:
            if not select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.kill()
                raise _Silent(f"nothing happened for {patience:.0f} s")
            chunk = os.read(output, 1 << 16)
            if not chunk:
                return b""
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


# --- the side that works ------------------------------------------------------------------------------------------


def main() -> None:
    """Load the pack of the first order, then follow orders until standard input ends."""
    from r1ci_plugins.plugins.packs import load_pack
    from r1ci_plugins.workers.checker_worker import die_with_parent

    die_with_parent()
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a task prints must not be taken for a reply

    def say(**reply: Any) -> None:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()

    first = json.loads(orders.readline())
    sys.path[:] = first["path"]
    try:
        pack = load_pack(first["pack"])
    except R1CIError as error:
        say(error=str(error))
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard), hard))
    say(done=True)
    programs = _Programs()
    for line in orders:
        order = json.loads(line)
        if "generate" in order:
            for name in order["generate"]:
                _say_questions(pack, name, say)
        else:
            _say_examination(pack, order, programs, say)
        say(done=True)


def _say_questions(pack: TaskPack, name: str, say: Callable[..., None]) -> None:
    """The task's first questions, at each level in turn, until the time for it is over."""
    task = pack[name]
    deadline = time.monotonic() + _GENERATE_S
    for index in range(4):
        for difficulty in (None, *range(task.levels)):
            if index and time.monotonic() > deadline:
                return
            say(doing=("", f"generating a question of {name}"))
            random.seed(os.getpid())  # whoever uses the global state is found out
            try:
                say(question=candidate(pack.name, task, "rl", index, 0, difficulty).to_json())
            except R1CIError:
                return  # the examination reports it


def _say_examination(pack: TaskPack, order: dict[str, Any], programs: _Programs, say: Callable[..., None]) -> None:
    """Check the ordered rules, and say what is found."""
    rule = ""

    def fail(failure: Failure) -> None:
        say(failure=asdict(failure))

    doing: Callable[[str], None] = lambda what: say(doing=(rule, what))  # noqa: E731
    try:
        exam = Examination(pack.name, pack[order["examine"]], order["seconds"], programs.run, doing)
    except MissingData as error:
        say(missing=str(error))
        return
    except R1CIError as error:
        fail(Failure("generates", "", "", error.what, "let generate return a Question at every level"))
        return
    for rule in order["rules"]:
        try:
            for failure in RULES[rule](exam):
                fail(failure)
        except (SandboxUnavailable, InfrastructureFault) as error:
            exam.notes[rule] = f"not run: {error.what}"
        except Exception as error:
            what = getattr(error, "what", f"{type(error).__name__}: {error}")
            fail(Failure(rule, "", "", f"the task raised: {what}", "see the traceback with the pack's own tests"))
    for failure in exam.failures:
        fail(failure)
    say(notes=exam.notes)


class _Programs:
    """Runs reference programs in the default sandbox, which is started for the first one."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._sandbox: Any = None
        self._unavailable: SandboxUnavailable | None = None

    def run(self, code: str) -> str:
        """What a program prints.

        Raises:
            InfrastructureFault: The sandbox failed, not the program.
            SandboxUnavailable: There is no sandbox on this machine.
        """
        from r1ci_plugins.environment import make_sandbox
        from r1ci_plugins.plugins.registry import load_plugins
        from r1ci_plugins.recipe.schema import SandboxConfig
        from r1ci_plugins.sandbox.contract import Limits

        if self._unavailable:
            raise self._unavailable
        if self._sandbox is None:
            sandbox = make_sandbox(SandboxConfig(concurrency=1), load_plugins(["r1ci"]))
            try:
                self._runner.run(sandbox.start())
            except SandboxUnavailable as error:
                self._unavailable = error
                raise
            self._sandbox = sandbox
        result = self._runner.run(self._sandbox.run(code, Limits(wall_s=_PROGRAM_S)))
        printed: str = result.stdout
        return printed


if __name__ == "__main__":
    main()
