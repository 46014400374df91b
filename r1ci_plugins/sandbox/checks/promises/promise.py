"""A promise that a sandbox makes, and how the files beside this one list theirs."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from r1ci_plugins.sandbox.checks.bench import Bench, CheckResult, Verdict
from r1ci_plugins.sandbox.contract import ExecutionResult

Check = Callable[[Bench], Awaitable[None]]


class BrokenPromise(AssertionError):
    """A sandbox did not do what it promises; the message says what was seen."""


@dataclass(frozen=True)
class Promise:
    """One promise of the contract: a short name, one sentence, and a check that raises BrokenPromise.

    A sandbox that does not claim what it ``needs`` (names of ``CLAIMS``), or lacks its ``options``, is not asked.
    """

    name: str
    meaning: str
    check: Check
    needs: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()

    async def examine(self, bench: Bench) -> CheckResult:
        """Try it. If the sandbox raises something, the promise is broken too."""
        if reason := bench.lacks(self.needs, self.options):
            return CheckResult(self.name, self.meaning, Verdict.SKIPPED, reason)
        try:
            await self.check(bench)
        except BrokenPromise as broken:
            return CheckResult(self.name, self.meaning, Verdict.BROKEN, str(broken))
        except Exception as error:
            return CheckResult(self.name, self.meaning, Verdict.BROKEN, f"{type(error).__name__}: {error}")
        return CheckResult(self.name, self.meaning, Verdict.HELD)


def register_in(promises: list[Promise]) -> Callable[..., Callable]:
    """Return a decorator for checks: it lists them under their function's name; the docstring is what they mean."""

    def promise(*needs: str, options: Collection[str] = ()) -> Callable:
        def register(check: Check) -> Check:
            name = check.__name__.replace("_", "-")
            promises.append(Promise(name, check.__doc__ or "", check, frozenset(needs), frozenset(options)))
            return check

        return register

    return promise


def outcome(holds: Callable[[ExecutionResult], bool], code: str, **limits: float) -> Check:
    """A check that runs one program and expects something of its result."""

    async def check(bench: Bench) -> None:
        result = await bench.run(code, **limits)
        expect(holds(result), result)

    return check


def expect(holds: bool, saw: object) -> None:
    """Break the promise with what was seen unless something holds."""
    if not holds:
        raise BrokenPromise(str(saw)[:2000])
