"""The pool in front of the slots: many callers, dying slots, recycling, profiles, and what it tells about itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.errors import InfrastructureFault, SandboxUnavailable
from r1ci_plugins.sandbox import pool as pool_module
from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox
from r1ci_plugins.sandbox.contract import ExecutionStatus, Limits
from r1ci_plugins.sandbox.pool_metrics import quantiles
from r1ci_plugins.sandbox.preload import PROFILES, profile_of

from ..benchmarks.sandbox_soak import soak
from .conftest import needs_firejail, opened

pytestmark = [pytest.mark.firejail, needs_firejail]


def test_64_callers_get_their_own_answers():
    outcome = asyncio.run(soak(executions=1500, callers=64, kill=0.0))
    assert (outcome.executions, outcome.wrong, outcome.left) == (1500, [], [])
    assert outcome.metrics["outcome/ok"] == 1500


@pytest.mark.timeout(600)
def test_killed_slots_cost_no_answer_and_leave_nothing(caplog):
    caplog.set_level(logging.ERROR)
    outcome = asyncio.run(soak(executions=400, callers=16, kill=0.05))
    assert (outcome.executions, outcome.wrong, outcome.left) == (400, [], [])
    assert outcome.killed > 5


def test_a_program_killed_from_outside_runs_again_and_one_that_kills_itself_is_told_so():
    async def killed() -> None:
        pool = FirejailSandbox(concurrency=1, preload="light")
        await pool.start()
        running = asyncio.create_task(
            pool.run(
                "open('/proc/self/comm', 'w').write('r1ci-victim')\nimport time; time.sleep(1); print(5)", Limits()
            )
        )
        await asyncio.sleep(0.5)
        victims = [p for p in psutil.Process().children(recursive=True) if p.name() == "r1ci-victim"]
        assert len(victims) == 1
        victims[0].kill()
        assert ((await running).stdout, (await running).attempts) == ("5\n", 2)
        itself = await pool.run("import os; os.kill(os.getpid(), 9)", Limits())
        assert (itself.status, itself.exit_code) == (ExecutionStatus.ERROR, -9)
        await pool.close()

    asyncio.run(killed())


def test_a_slot_that_died_while_idle_is_replaced_unseen():
    with opened(FirejailSandbox(concurrency=1, preload="light")) as bench:
        for _ in range(3):
            for slot in list(bench.sandbox._slots):
                with contextlib.suppress(psutil.NoSuchProcess):  # the one killed before may still be listed
                    psutil.Process(slot.pid).kill()
            result = bench.run("print(1)")
            assert (result.stdout, result.status) == ("1\n", ExecutionStatus.OK)
        assert bench.sandbox.metrics()["outcome/ok"] == 3


def test_a_slot_that_did_not_start_is_taken_after_those_that_did(monkeypatch):
    with opened(FirejailSandbox(concurrency=2, preload="light")) as bench:
        assert bench.run("print(1)").stdout == "1\n"
        while bench.sandbox._tasks:  # the second slot starts
            bench.loop.run(asyncio.sleep(0.05))

        async def refused(*arguments: object) -> None:
            raise InfrastructureFault("no user id is left")

        monkeypatch.setattr(pool_module.SlotPool, "_new_slot", refused)
        victim = bench.sandbox._idle["light"]._queue[-1]  # it would be the next
        psutil.Process(victim.pid).kill()
        while victim.alive:
            bench.loop.run(asyncio.sleep(0.05))
        for _ in range(5):
            result = bench.run("print(1)")
            assert (result.stdout, result.attempts) == ("1\n", 1)


def test_faults_that_persist_are_typed(monkeypatch):
    with opened(FirejailSandbox(concurrency=1, preload="light")) as bench:

        async def broken(*arguments: object) -> None:
            raise InfrastructureFault("out of order")

        monkeypatch.setattr(pool_module.Slot, "run", broken)
        monkeypatch.setattr(pool_module.SlotPool, "_prove", broken)
        with pytest.raises(InfrastructureFault, match="out of order"):
            bench.run("print(1)")
        monkeypatch.undo()
        assert bench.run("print(1)").stdout == "1\n", "it recovers"
        assert bench.sandbox.metrics()["outcome/fault"] == pool_module.ATTEMPTS


def test_slots_are_recycled_after_so_many_jobs_and_after_a_limit():
    with opened(FirejailSandbox(concurrency=1, preload="light")) as bench:
        bench.sandbox.recycle_after = 3
        first = next(iter(bench.sandbox._slots))
        assert [bench.run(f"print({n})").stdout for n in range(8)] == [f"{n}\n" for n in range(8)]
        assert first not in bench.sandbox._slots
        assert bench.sandbox.metrics()["recycled/old"] >= 1
        assert bench.run("while True: pass", wall_s=0.3).status is ExecutionStatus.TIMEOUT
        assert bench.run("print('next')").stdout == "next\n"
        assert bench.sandbox.metrics()["recycled/a limit"] == 1


def test_every_profile_gives_the_same_answer():
    pytest.importorskip("numpy")
    code = "import numpy, random\nprint(numpy.random.rand(), random.random(), hash('x'), sorted({'b', 'a'}, key=hash))"
    answers = set()
    for profile in ("auto", "numeric", "scientific"):
        with opened(FirejailSandbox(concurrency=2, preload=profile)) as bench:
            results = bench.run_all(*[code] * 4, wall_s=60)
            assert {result.status for result in results} == {ExecutionStatus.OK}, results
            answers |= {result.stdout for result in results}
    assert len(answers) == 1


def test_an_unknown_profile_is_refused_with_the_nearest():
    with pytest.raises(SandboxUnavailable, match="numeric"):
        FirejailSandbox(preload="numerik")


def test_queue_time_is_measured_apart():
    with opened(FirejailSandbox(concurrency=1, preload="light")) as bench:
        started = time.monotonic()
        results = bench.run_all(*["import time; time.sleep(0.2)"] * 3)
        seconds = time.monotonic() - started
        # One after the other: what they ran adds up to less than it took, however slow the machine is.
        assert max(r.queue_s for r in results) > 0.35 and sum(r.wall_s for r in results) < seconds
        metrics = bench.sandbox.metrics()
        assert metrics["queue_s_p99"] > 0.35 and metrics["wall_s_p50"] >= 0.2 > metrics["cpu_s_p50"]


@pytest.mark.parametrize(
    ("code", "profile"),
    [
        ("print(1)", "light"),
        ("import math, json", "light"),
        ("import numpy", "numeric"),
        ("  from sympy.ntheory import factorint", "numeric"),
        ("import os, numpy as np", "numeric"),
        ("import pandas as pd", "scientific"),
        ("import numpy\nfrom scipy import optimize", "scientific"),
        ("import matplotlib.pyplot as plt", "scientific"),
        ("# import nothing\nx = 'numpy'", "light"),
    ],
)
def test_profiles_follow_the_imports(code, profile):
    assert profile_of(code) == profile


@given(st.text())
def test_any_text_has_a_profile(code):
    assert profile_of(code) in PROFILES


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_quantiles_are_values_that_were_seen(values):
    named = quantiles("x", values)
    assert min(values) <= named["x_p50"] <= named["x_p99"] <= max(values)
    assert set(named.values()) <= set(values)
