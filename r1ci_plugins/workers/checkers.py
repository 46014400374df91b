"""Answers checked in worker processes that can be killed.

Checkers are other people's code that reads a model's text: they may loop, leak, print or crash. Each runs in a worker
process with a deadline and a memory limit; a worker that misses its deadline is killed and replaced.
"""

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1ci_plugins.errors import InfrastructureFault, PluginError
from r1ci_plugins.tasks.task import Question, Score
from r1ci_plugins.workers.json_lines import WorkerFault, kill_group, read_reply, request_line, start_options

MAX_ANSWER_CHARS = 100_000
"""A longer answer is wrong: no task asks for one, and checkers need not be fast on it."""

_START_S = 120.0
"""Seconds a worker may take to load its packs."""


@dataclass(kw_only=True)
class VerifierPool:
    """Worker processes that check answers with a verifier, by the name that a plugin registers, and its options.

    Each loads the named plugins and packs, has ``deadline_s`` wall-clock seconds per answer, and ``memory_mb`` MiB of
    address space.
    """

    name: str
    options: Mapping[str, Any]
    plugins: Sequence[str]
    packs: Sequence[str]
    workers: int
    deadline_s: float
    memory_mb: int

    def __post_init__(self) -> None:
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        for _ in range(self.workers):
            self._idle.put_nowait(None)  # a worker starts when it is first needed
        self._alive: set[asyncio.subprocess.Process] = set()
        self._asked = 0
        self._closed = False

    async def verify(self, question: Question, answer: str) -> Score:
        """Check one answer.

        Raises:
            InfrastructureFault: The checker raised, hung past its deadline, crashed its worker or returned no score,
                or the pool is closed.
            PluginError: A worker cannot load its plugins or packs.
        """
        if len(answer) > MAX_ANSWER_CHARS:
            return Score(0.0, f"the answer has {len(answer)} characters, more than {MAX_ANSWER_CHARS}")
        worker = await self._idle.get()
        try:
            if worker is None or worker.returncode is not None:
                worker = None
                worker = await self._spawn()
            request = {"question": question.to_json(), "answer": answer}
            reply = await self._ask(worker, request, self.deadline_s, question.key)
        except BaseException:
            self._kill(worker)  # its state is unknown (it may still be working on this answer)
            worker = None
            raise
        finally:
            self._idle.put_nowait(worker)
        if "fault" in reply:
            raise InfrastructureFault(**reply["fault"])
        return Score(reply["value"], reply["detail"])

    async def close(self) -> None:
        """Kill all workers, for good."""
        self._closed = True
        for worker in list(self._alive):
            self._kill(worker)
            await worker.wait()
            assert worker.stdin is not None
            worker.stdin.close()
            with contextlib.suppress(OSError):  # TimeoutError included
                async with asyncio.timeout(1.0):
                    await worker.stdin.wait_closed()
        self._alive.clear()

    async def _spawn(self) -> asyncio.subprocess.Process:
        try:
            self._refuse_if_closed()
            command = (sys.executable, "-m", "r1ci_plugins.workers.checker_worker")
            worker = await asyncio.create_subprocess_exec(*command, limit=1 << 24, **start_options(hash_seed=0))
        except OSError as error:
            raise InfrastructureFault(
                f"no process for a checker: {error}", where="starting a checker worker", fix="run `r1ci doctor`"
            ) from error
        self._alive = {worker, *(old for old in self._alive if old.returncode is None)}
        order = {
            "verifier": self.name,
            "options": dict(self.options),
            "plugins": list(self.plugins),
            "packs": list(self.packs),
            "memory_mb": self.memory_mb,
        }
        try:
            self._refuse_if_closed()
            reply = await self._ask(worker, order, _START_S, "starting a checker worker")
        except BaseException:
            self._kill(worker)
            raise
        if "error" in reply:
            self._kill(worker)
            raise PluginError(f"a checker worker cannot start: {reply['error']}", fix="run `r1ci plugins`")
        return worker

    async def _ask(
        self, worker: asyncio.subprocess.Process, message: dict[str, Any], deadline_s: float, where: str
    ) -> dict[str, Any]:
        assert worker.stdin is not None and worker.stdout is not None
        self._asked += 1
        number = self._asked
        try:
            async with asyncio.timeout(deadline_s):
                worker.stdin.write(request_line(number, message))
                await worker.stdin.drain()
                return read_reply(await worker.stdout.readline(), number)
        except TimeoutError:
            raise InfrastructureFault(f"the checker took more than {deadline_s:g} s", where=where) from None
        except (ConnectionError, ValueError) as error:
            raise InfrastructureFault(f"the checker's worker broke off: {error}", where=where) from error
        except WorkerFault as fault:
            raise InfrastructureFault(f"the checker's worker {fault}", where=where) from None

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise InfrastructureFault("the pool of checker workers is closed", where="starting a checker worker")

    def _kill(self, worker: asyncio.subprocess.Process | None) -> None:
        if worker is not None and worker.returncode is None:
            kill_group(worker.pid)
