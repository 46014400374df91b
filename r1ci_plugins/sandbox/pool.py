"""The pool in front of the slots: every sandbox backend of ours is one, with a jail of its own kind.

A job waits for one of ``concurrency`` places, then runs in a slot of its preload profile. A slot that breaks down is
thrown away and the job, which is stateless, tried again on another; so is, in the background, a slot whose zygote had
to end a program and one that has served ``RECYCLE_AFTER`` jobs. Every new slot proves with the canary that it isolates
before it gets a job.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path

from r1ci_plugins.errors import InfrastructureFault, R1CIError, SandboxUnavailable, suggest
from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.sandbox.jail import Jail
from r1ci_plugins.sandbox.pool_metrics import PoolMetrics
from r1ci_plugins.sandbox.preload import PROFILES, profile_of
from r1ci_plugins.sandbox.slot import Slot
from r1ci_plugins.sandbox.user_lease import UserLease

log = logging.getLogger(__name__)

ATTEMPTS = 5
RECYCLE_AFTER = 20_000  # jobs; a fork server does not age, but nobody should have to rely on that
STARTED_AT_ONCE = ("light", "numeric")


class SlotPool:
    """A sandbox of warm slots. Subclasses say what a slot is started in (``find_jail``).

    A program sees the interpreter and its libraries, its empty scratch directory, which is also its home, and what
    the jail leaves visible. Its limits are those of ``Limits``: CPU seconds (per process, rounded up to whole ones),
    address space beyond what the preloaded interpreter has, file size, processes. Besides, what all its processes hold
    together and the files in scratch and /dev/shm, which live in memory, may not exceed ``memory_mb``: checked 20 ms
    after its start and then every 50 ms, ends the program with ``MEMORY``. More than 16 times ``output_bytes`` on
    stdout or stderr ends it with ``OUTPUT``.

    Programs start with the same state: hash seed, time zone and locale are fixed, the global generators of ``random``
    and numpy are seeded.

    Args:
        concurrency: Programs running at a time; default: the CPU cores available to this process.
        python: Interpreter of the programs; default: the running one. Of a virtual environment, its site-packages
            are importable too, except ``HIDDEN_PACKAGES``.
        preload: A profile of ``preload.PROFILES`` for all programs, or ``auto``: by each program's imports.
        show_last_expression: Whether the value of a program's last expression is printed, as a notebook does.
    """

    isolation = ""

    def __init__(
        self,
        *,
        concurrency: int | None = None,
        python: str | None = None,
        preload: str = "auto",
        show_last_expression: bool = False,
    ) -> None:
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"the sandbox's concurrency must be at least 1, not {concurrency}")
        if preload not in (choices := ["auto", *PROFILES]):
            raise SandboxUnavailable(
                f"there is no preload profile {preload!r}",
                where="sandbox.options.preload",
                fix=suggest(preload, choices),
            )
        self.concurrency = concurrency or len(os.sched_getaffinity(0))
        self.python = python or sys.executable
        self.preload, self.show_last_expression = preload, show_last_expression
        self.recycle_after = RECYCLE_AFTER
        self._places = asyncio.Semaphore(self.concurrency)
        self._opening = asyncio.Lock()
        self._starts = asyncio.Semaphore(max(1, len(os.sched_getaffinity(0)) // 2))  # many at once slow each other
        self._jail: Jail | None = None  # None: not started, or closed; then nothing may run
        self._idle: dict[str, asyncio.LifoQueue[Slot | None]] = {}  # None: to be started by who takes it
        self._slots: set[Slot] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._metrics = PoolMetrics()

    def find_jail(self) -> Jail:
        """Find out how to start a jail on this machine. Called in a thread, once per ``start``.

        Raises:
            SandboxUnavailable: Something that it needs is missing.
        """
        raise NotImplementedError  # for subclasses

    async def start(self) -> None:
        """Start the first slot and prove with the canary that it isolates; the others follow in the background.

        Raises:
            SandboxUnavailable: The backend is missing, too old or does not isolate, or Python cannot be shown in a
                jail. The message names the check and the fix. Nothing runs afterwards.
        """
        async with self._opening:
            if self._jail is not None:
                return
            jail = await asyncio.to_thread(self.find_jail)
            first = self.preload if self.preload in PROFILES else "light"
            try:
                slot = await self._new_slot(jail, first)
            except InfrastructureFault as fault:
                raise SandboxUnavailable(fault.what, where=fault.where, fix=fault.fix or self.advice()) from fault
            self._jail = jail
            self._idle = {name: asyncio.LifoQueue() for name in PROFILES}
            self._idle[first].put_nowait(slot)
            for name, idle in self._idle.items():
                for _ in range(self.concurrency - idle.qsize()):
                    if name == first or (self.preload == "auto" and name in STARTED_AT_ONCE):
                        self._in_background(self._put_new(name))
                    else:
                        idle.put_nowait(None)

    def advice(self) -> str:
        """What somebody can do when a jail does not start or does not isolate."""
        return "run `r1ci sandbox check` to see what is wrong"

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        """Run one program.

        Args:
            code: Python source, any text. Lone surrogates and NUL bytes end as Python's own error about them.
            limits: What it may use.

        Raises:
            InfrastructureFault: ``ATTEMPTS`` slots broke down or did not start, or the sandbox is not started.
            ValueError: A limit is zero, negative or not a number.
        """
        limits.check()
        profile = profile_of(code) if self.preload == "auto" else self.preload
        queued = time.monotonic()
        fault = InfrastructureFault("the sandbox is not running", fix="await its start() first, close() last")
        async with self._places:
            for attempt in range(1, ATTEMPTS + 1):
                if self._jail is None:
                    break
                try:
                    slot = await self._take(profile)
                    result = await self._use(slot, profile, code, limits, queued, attempt)
                    if attempt == 1 and result.exit_code == -signal.SIGKILL and result.status is ExecutionStatus.ERROR:
                        # Its own doing, or that of a machine out of memory: the second time it is its own.
                        self._metrics.outcomes["killed"] += 1
                        continue
                    self._metrics.add(result)
                    return result
                except InfrastructureFault as error:
                    fault = error
                    self._metrics.outcomes["fault"] += 1
                    log.warning("the sandbox failed, attempt %d of %d: %s", attempt, ATTEMPTS, error)
        raise fault

    async def close(self) -> None:
        """End every jail and wait until all are gone; programs that were running end as InfrastructureFault."""
        async with self._opening:
            self._jail = None
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(*(self._end(slot) for slot in list(self._slots)))
            for idle in self._idle.values():
                for _ in range(self.concurrency):
                    idle.put_nowait(None)  # for who still waits; they see that it is closed

    def metrics(self) -> dict[str, float]:
        """Counts since the start, and quantiles over the last ``REMEMBERED`` programs, in seconds."""
        return self._metrics.summary()

    @property
    def jail(self) -> Jail:
        """The jail of the slots.

        Raises:
            InfrastructureFault: The sandbox is not started.
        """
        if self._jail is None:
            raise InfrastructureFault("the sandbox is not running", fix="await its start() first, close() last")
        return self._jail

    @property
    def claims(self) -> frozenset[str]:
        """What it claims, by the names of ``checks.bench.CLAIMS``."""
        return self.jail.claims

    @property
    def enforcers(self) -> Mapping[str, str]:
        """What holds each claim, in words."""
        return self.jail.enforcers

    @property
    def not_covered(self) -> Sequence[str]:
        """What it does not protect from, in words."""
        return self.jail.not_covered

    async def _take(self, profile: str) -> Slot:
        while True:
            slot = await self._idle[profile].get()
            if self._jail is None:
                raise InfrastructureFault("the sandbox was closed before the program ran")
            if slot is not None and slot.alive:
                return slot
            try:
                if slot is None:
                    return await self._new_slot(self._jail, profile)
                self._metrics.recycled["died idle"] += 1
                await self._end(slot)
            except BaseException:
                self._idle[profile].put_nowait(None)
                raise
            self._idle[profile].put_nowait(None)

    async def _use(
        self, slot: Slot, profile: str, code: str, limits: Limits, queued: float, attempt: int
    ) -> ExecutionResult:
        worn = "broke down"
        try:
            result = await slot.run(code, limits, time.monotonic() - queued, attempt)
            worn = "a limit" if slot.worn else "old" if slot.jobs >= self.recycle_after else ""
        finally:
            if not worn and self._jail is not None:
                self._idle[profile].put_nowait(slot)
            elif self._jail is not None:
                slot.kill()
                self._metrics.recycled[worn] += 1
                self._in_background(self._replace(slot, profile))
        if self._jail is None:
            raise InfrastructureFault("the sandbox was closed while the program ran")
        return result

    async def _replace(self, slot: Slot, profile: str) -> None:
        await self._end(slot)
        await self._put_new(profile)

    async def _put_new(self, profile: str) -> None:
        slot = None
        try:
            if self._jail is not None:
                slot = await self._new_slot(self._jail, profile)
        except R1CIError as error:
            log.warning("a %s slot of the sandbox did not start: %s", profile, error)
        finally:
            self._idle[profile].put_nowait(slot)

    async def _new_slot(self, jail: Jail, profile: str) -> Slot:
        async with self._starts:
            slot = Slot(jail, PROFILES[profile], UserLease() if jail.own_user else None, self.show_last_expression)
            self._slots.add(slot)
            try:
                await slot.start()
                await self._prove(slot, jail)
            except BaseException:
                await asyncio.shield(self._end(slot))
                raise
        return slot

    async def _prove(self, slot: Slot, jail: Jail) -> None:
        with _sentinels() as sentinels:
            folders = list(canary.NOT_WRITABLE)
            folders += [folder for folder in jail.interpreter.import_path if os.path.isdir(folder)]
            result = await slot.run(canary.program(sentinels, folders), Limits(wall_s=30, processes=16), 0.0)
        if result.status is not ExecutionStatus.OK:
            raise InfrastructureFault(f"the canary ended with {result.status}: {result.stderr[-500:]}")
        checks = canary.checks_of(result.stdout, jail.environment)
        if failed := [check for check in checks if check.name in jail.checks and not check.holds]:
            raise InfrastructureFault(
                f"{jail.isolation} does not isolate here: {'; '.join(map(str, failed))}",
                where=self.python,
                fix=self.advice(),
            )

    async def _end(self, slot: Slot) -> None:
        if slot in self._slots:
            self._slots.discard(slot)
            await slot.close()

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.contextmanager
def _sentinels() -> Iterator[list[Path]]:
    """Files that no program may be able to read."""
    with contextlib.ExitStack() as stack:
        found = [Path(__file__).resolve()]
        for parent in dict.fromkeys([tempfile.gettempdir(), "/var/tmp", "/dev/shm"]):
            with contextlib.suppress(OSError):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="r1ci-canary-", dir=parent))
                os.chmod(folder, 0o755)
                found.append(Path(folder, "sentinel"))
                found[-1].write_text("visible")
        yield found
