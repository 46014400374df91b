"""The bench on which a sandbox is checked: a started one, what it claims, and what a check found."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits, Sandbox
from r1ci_plugins.sandbox.jail import VARIABLES

OK, ERROR, TIMEOUT = ExecutionStatus.OK, ExecutionStatus.ERROR, ExecutionStatus.TIMEOUT
MEMORY, OUTPUT = ExecutionStatus.MEMORY, ExecutionStatus.OUTPUT

CLAIMS: Mapping[str, str] = {
    **canary.CHECKS,
    "process-limit": "the processes of a program are limited",
    "file-budget": "what files in scratch and shared memory hold counts as memory of the program",
}
"""What a backend can claim, and what each means."""


class Verdict(StrEnum):
    """What a check found."""

    HELD = "held"
    BROKEN = "broken"
    SKIPPED = "skipped"  # the backend does not claim it


@dataclass(frozen=True)
class CheckResult:
    """What a check of one promise, or one attack, found; ``saw`` is what broke it, or why it was skipped."""

    name: str
    meaning: str
    verdict: Verdict
    saw: str = ""


class Bench:
    """A started sandbox, and ``make``, which makes another of its kind and takes at least ``concurrency``."""

    def __init__(self, make: Callable[..., Sandbox], sandbox: Sandbox) -> None:
        self.make, self.sandbox = make, sandbox

    @property
    def claims(self) -> Collection[str]:
        """What the sandbox claims."""
        claims: Collection[str] = getattr(self.sandbox, "claims", CLAIMS)
        return claims

    def lacks(self, needs: Collection[str], options: Collection[str] = ()) -> str:
        """Say why this sandbox cannot be checked for something; empty if it can."""
        if unclaimed := sorted(set(needs) - set(self.claims)):
            return f"{self.sandbox.isolation} does not claim {', '.join(unclaimed)}"
        known = inspect.signature(self.make).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()) and (other := set(options) - known.keys()):
            return f"{self.sandbox.isolation} has no option {', '.join(sorted(other))}"
        return ""

    async def run(self, code: str, **limits: float) -> ExecutionResult:
        """Run one program; limits as in ``Limits``."""
        return await self.sandbox.run(code, Limits(**{"wall_s": 20.0, **limits}))  # type: ignore[arg-type]

    async def run_all(self, *codes: str, **limits: float) -> list[ExecutionResult]:
        """Run several at once."""
        return await asyncio.gather(*(self.run(code, **limits) for code in codes))

    def another(self, **options: object) -> AbstractAsyncContextManager[Bench]:
        """A second sandbox of this kind, started."""
        return opened(self.make, **options)

    async def canary_results(self) -> list[CheckResult]:
        """Run the canary. A check that does not hold is broken if the sandbox claims it, else skipped."""
        output = (await self.run(canary.program([], canary.NOT_WRITABLE))).stdout
        results = []
        for one in canary.checks_of(output, VARIABLES):
            verdict = Verdict.HELD if one.holds else Verdict.BROKEN if one.name in self.claims else Verdict.SKIPPED
            results.append(CheckResult(one.name, CLAIMS[one.name], verdict, "" if one.holds else one.saw))
        return results

    def enforcements(self, seen: Sequence[CheckResult]) -> list[CheckResult]:
        """Everything that can be claimed: what the canary has seen, then what it cannot see.

        Each ``saw`` is for people: in round brackets what was seen, else in square brackets what enforces it.
        """
        enforcers = getattr(self.sandbox, "enforcers", {})
        rows = list(seen)
        for name in sorted(CLAIMS.keys() - canary.CHECKS.keys()):
            rows.append(CheckResult(name, CLAIMS[name], Verdict.HELD if name in self.claims else Verdict.SKIPPED))
        enforced = {one.name: f"[{enforcers[one.name]}]" for one in rows if one.name in enforcers}
        return [replace(one, saw=f"({one.saw})" if one.saw else enforced.get(one.name, "")) for one in rows]


@contextlib.asynccontextmanager
async def opened(make: Callable[..., Sandbox], **options: object) -> AsyncIterator[Bench]:
    """A bench with a started sandbox, closed at the end."""
    sandbox = make(**options)
    try:
        await sandbox.start()
        yield Bench(make, sandbox)
    finally:
        await sandbox.close()


def processes_named(name: str) -> list[int]:
    """Living processes of this machine with that name, as far as they can be seen."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[0]
            if Path("/proc", entry, "comm").read_text().strip() == name and state not in "ZX":
                found.append(int(entry))
    return found
