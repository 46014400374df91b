"""A pool of slots. Each backend except Ray's is such a pool, with its own kind of jail.

A job waits for one of ``concurrency`` places, then runs in a slot with the libraries that it imports. If the slot
breaks down, the job, which has no state, runs again in another. A slot is replaced when it has broken down, when its
zygote had to end a program, and after ``RECYCLE_AFTER`` jobs. Before a new slot gets its first job, the canary must
have shown that it isolates.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence

from r1ci_plugins.errors import InfrastructureFault, R1CIError, SandboxUnavailable, suggest
from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.sandbox.cores import usable_cores
from r1ci_plugins.sandbox.jail import Jail
from r1ci_plugins.sandbox.pool_metrics import PoolMetrics
from r1ci_plugins.sandbox.preload import PROFILES, profile_of
from r1ci_plugins.sandbox.slot import Slot
from r1ci_plugins.sandbox.user_lease import UserLease

log = logging.getLogger(__name__)

ATTEMPTS = 5
RECYCLE_AFTER = 20_000  # jobs; a fork server should not age, but we do not rely on that
STARTED_AT_ONCE = ("light", "numeric")


class _Idle(asyncio.LifoQueue["Slot | None"]):
    """Idle slots of a profile, the last used one first; None, for which a slot must be started, comes last."""

    _queue: list[Slot | None]

    def _put(self, item: Slot | None) -> None:
        self._queue.insert(0 if item is None else len(self._queue), item)


class SlotPool:
    """A sandbox of slots that are started in advance. Subclasses choose the jail (``find_jail``).

    A program sees the interpreter and its libraries, its empty scratch directory, which is also its home, and what
    the jail leaves visible. Its limits are those of ``Limits``: CPU seconds (per process, rounded up to whole ones),
    address space beyond that of the preloaded interpreter, file size, processes. In addition, its processes together
    with its files in scratch and /dev/shm, which live in memory, may not hold more than ``memory_mb``. This is checked
    20 ms after the start and then every 50 ms, and ends the program with ``MEMORY``. More than 16 times
    ``output_bytes`` on stdout or stderr ends it with ``OUTPUT``.

    All programs start in the same state: hash seed, time zone and locale are fixed, and the global generators of
    ``random`` and numpy are seeded.

    Args:
        concurrency: How many programs run at a time; default: one per core that this process may use.
        python: Interpreter of the programs; default: the running one. If it belongs to a virtual environment, programs
            can import its site-packages too, except ``HIDDEN_PACKAGES``.
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
        self.concurrency = concurrency or usable_cores()
        self.python = python or sys.executable
        self.preload, self.show_last_expression = preload, show_last_expression
        self.recycle_after = RECYCLE_AFTER
        self._places = asyncio.Semaphore(self.concurrency)
        self._opening = asyncio.Lock()
        # Many starts at once slow each other down.
        self._starts = asyncio.Semaphore(max(1, usable_cores() // 2))
        self._jail: Jail | None = None  # None before start() and after close(): nothing may run
        self._idle: dict[str, _Idle] = {}
        self._slots: set[Slot] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._metrics = PoolMetrics()

    def find_jail(self) -> Jail:
        """Find out how to start a jail, or raise SandboxUnavailable. Subclasses do; ``start`` calls it in a thread."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start the first slot and check with the canary that it isolates; the others start in the background.

        Raises:
            SandboxUnavailable: The jail is missing, too old or does not isolate, or Python does not start in it. The
                message names the failed check and the fix. No program can run then.
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
            self._idle = {name: _Idle() for name in PROFILES}
            self._idle[first].put_nowait(slot)
            for name, idle in self._idle.items():
                for _ in range(self.concurrency - idle.qsize()):
                    if name == first or (self.preload == "auto" and name in STARTED_AT_ONCE):
                        self._in_background(self._put_new(name))
                    else:
                        idle.put_nowait(None)

    def advice(self) -> str:
        """What to do when a jail does not start or does not isolate."""
        return "run `r1ci sandbox check` to see what is wrong"

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        """Run one program. For lone surrogates and NUL bytes Python reports its own error.

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
                        # It killed itself, or the machine was out of memory; the second time it was itself.
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
        """End every jail and wait until all are gone; running programs end with an InfrastructureFault."""
        async with self._opening:
            self._jail = None
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(*(self._end(slot) for slot in list(self._slots)))
            for idle in self._idle.values():
                for _ in range(self.concurrency):
                    idle.put_nowait(None)  # for jobs that still wait: they see that it is closed

    def metrics(self) -> dict[str, float]:
        """Counts since the start, and quantiles over the last ``REMEMBERED`` programs in seconds."""
        return self._metrics.summary()

    @property
    def jail(self) -> Jail:
        """The jail of the slots; an InfrastructureFault if the sandbox is not started."""
        if self._jail is None:
            raise InfrastructureFault("the sandbox is not running", fix="await its start() first, close() last")
        return self._jail

    @property
    def claims(self) -> frozenset[str]:
        """What it claims: names of ``checks.bench.CLAIMS``."""
        return self.jail.claims

    @property
    def enforcers(self) -> Mapping[str, str]:
        """What enforces each claim, in words."""
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
        with canary.sentinels() as sentinels:
            folders = list(canary.NOT_WRITABLE)
            folders += [folder for folder in jail.interpreter.import_path if os.path.isdir(folder)]
            result = await slot.run(canary.program(sentinels, folders), Limits(wall_s=30, processes=16), 0.0)
        if result.status is not ExecutionStatus.OK:
            raise InfrastructureFault(f"the canary ended with {result.status}: {result.stderr[-500:]}")
        checks = canary.checks_of(result.stdout, jail.environment)
        if failed := [check for check in checks if check.name in jail.checks and not check.holds]:
            saw = "; ".join(f"{check.name} ({check.saw})" for check in failed)
            what = f"{jail.isolation} does not isolate here: {saw}"
            raise InfrastructureFault(what, where=self.python, fix=self.advice())

    async def _end(self, slot: Slot) -> None:
        if slot in self._slots:
            self._slots.discard(slot)
            await slot.close()

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
