"""What every backend promises (r1ci_plugins/sandbox/checks/promises), tried with real programs."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1ci_plugins.sandbox.checks.bench import Bench, CheckResult, Verdict
from r1ci_plugins.sandbox.checks.promises import PROMISES
from r1ci_plugins.sandbox.checks.promises.promise import Promise, expect
from r1ci_plugins.sandbox.contract import ExecutionStatus

from .conftest import BACKENDS


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_promise(bench, promise):
    outcome = bench.examine(promise)
    if outcome.verdict is Verdict.SKIPPED:
        assert bench.sandbox.isolation == "rlimits", "only rlimits leaves something out"
        pytest.skip(outcome.saw)
    assert outcome.verdict is Verdict.HELD, outcome.saw


def test_names_of_promises_are_unique():
    assert len({promise.name for promise in PROMISES}) == len(PROMISES) > 50


class Claimless:
    """A sandbox that claims little and does less."""

    isolation = "none"
    claims = frozenset({"scratch"})

    def __init__(self, concurrency=1): ...


@pytest.mark.parametrize(
    ("needs", "options", "verdict", "saw"),
    [
        ({"network"}, (), Verdict.SKIPPED, "none does not claim network"),
        ((), {"preload"}, Verdict.SKIPPED, "none has no option preload"),
        ({"scratch"}, {"concurrency"}, Verdict.BROKEN, "seen"),
    ],
)
def test_what_is_not_claimed_is_skipped_and_what_fails_is_broken(needs, options, verdict, saw):
    async def check(bench):
        expect(False, "seen")

    promise = Promise("p", "A promise.", check, frozenset(needs), frozenset(options))
    examined = promise.examine(Bench(Claimless, Claimless()))
    with pytest.raises(StopIteration) as end:
        examined.send(None)
    assert end.value.value == CheckResult("p", "A promise.", verdict, saw)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(code=st.text(st.characters(), max_size=60))
def test_any_text_is_a_program_that_ends_as_python_would_end_it(bench, code):
    result = bench.run(code)
    try:
        compile(code, "main.py", "exec")
    except (SyntaxError, ValueError) as error:
        assert result.status is ExecutionStatus.ERROR
        kind = traceback.format_exception_only(error)[-1].split(":")[0]
        # What is no text cannot be read from a file either. The kind of the error depends on the patch level.
        assert kind in result.stderr or "null bytes" in result.stderr or "Non-UTF-8" in result.stderr
    else:
        assert result.status in (ExecutionStatus.OK, ExecutionStatus.ERROR)


def test_every_backend_is_tried():
    from r1ci_plugins import builtin

    assert {*BACKENDS, "ray"} >= set(builtin.r1ci_sandboxes())
