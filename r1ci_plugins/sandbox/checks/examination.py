"""What a sandbox enforces, as the canary sees it, and by what."""

from collections.abc import Sequence
from typing import NamedTuple

from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.checks.bench import CLAIMS, Bench, CheckResult, Verdict
from r1ci_plugins.sandbox.jail import VARIABLES


async def canary_results(bench: Bench) -> list[CheckResult]:
    """Run the canary. A check that does not hold is broken if the sandbox claims it, else skipped."""
    output = (await bench.run(canary.program([], canary.NOT_WRITABLE))).stdout
    results = []
    for one in canary.checks_of(output, VARIABLES):
        verdict = Verdict.HELD if one.holds else Verdict.BROKEN if one.name in bench.claims else Verdict.SKIPPED
        results.append(CheckResult(one.name, canary.CHECKS[one.name], verdict, "" if one.holds else one.saw))
    return results


class Enforcement(NamedTuple):
    """Whether a sandbox enforces one of the things that it can claim.

    Attributes:
        name: One of ``CLAIMS``.
        meaning: What it means.
        verdict: Held, broken, or skipped if the sandbox does not claim it.
        by: What enforces it, or what was seen instead; may be empty.
    """

    name: str
    meaning: str
    verdict: Verdict
    by: str


def enforcements(bench: Bench, seen: Sequence[CheckResult]) -> list[Enforcement]:
    """Say it for everything that can be claimed: first what the canary has seen, then what it cannot see."""
    enforcers = getattr(bench.sandbox, "enforcers", {})
    rows = []
    for one in seen:
        by = f"[{enforcers[one.name]}]" if one.name in enforcers else ""
        rows.append(Enforcement(one.name, one.meaning, one.verdict, f"({one.saw})" if one.saw else by))
    for name in sorted(CLAIMS.keys() - canary.CHECKS.keys()):
        verdict = Verdict.HELD if name in bench.claims else Verdict.SKIPPED
        rows.append(Enforcement(name, CLAIMS[name], verdict, f"[{enforcers[name]}]" if name in enforcers else ""))
    return rows
