from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from textwrap import dedent

import psutil
import pytest

from r1ci_plugins.errors import InfrastructureFault, PluginError
from r1ci_plugins.rewards.judge import judge
from r1ci_plugins.rewards.terms import Correctness
from r1ci_plugins.rewards.verifier import ask_task
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question, Score, Task
from r1ci_plugins.workers.checkers import MAX_ANSWER_CHARS

DEADLINE = 5.0  # long enough for a worker on a busy machine; the checkers that hang get less


def ask(text, *, task="misbehaving/misbehave", index=0, answer="ok"):
    return Question(text, answer, task=task, split="rl", index=index)


def workers():
    """Checker processes of this one that still run."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends while we look
            if process.status() != psutil.STATUS_ZOMBIE and any("checker_worker" in one for one in process.cmdline()):
                found.append(process.pid)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise", "ZeroDivisionError: division by zero"),
        ("raise unprintable", "Unprintable: its message cannot be read"),
        ("hang", "took more than 0.5 s"),
        ("ignore SIGTERM", "took more than 0.5 s"),
        ("nan", "finite number in \\[0, 1\\], not nan"),
        ("inf", "not inf"),
        ("2.0", "not 2.0"),
        ("-0.5", "not -0.5"),
        ("text", "the text 'right', not a number"),
        ("text 1", "the text '1.0', not a number"),
        ("None", "NoneType"),
        ("list", "TypeError"),
        ("complex", "TypeError"),
        ("no detail", "TypeError"),
        ("_exit", "worker died"),
        ("sys.exit", "worker died"),
        ("segfault", "worker died"),
        ("allocate", "MemoryError"),
        ("recurse", "RecursionError"),
        ("close everything", "worker died"),
        ("no such action", "KeyError"),
    ],
)
def test_a_failing_checker_is_a_fault_that_names_the_question_and_the_pool_goes_on(pool, text, expected):
    question = ask(text, index=17)

    async def use(pool):
        assert await pool.verify(question, "ok") == Score(1.0)  # the worker is up, so the deadline is the checker's
        pool.deadline_s = 0.5 if text in ("hang", "ignore SIGTERM") else DEADLINE
        with pytest.raises(InfrastructureFault, match=expected) as caught:
            await pool.verify(question, "go")
        assert question.key in str(caught.value)
        if text == "raise":
            assert "misbehaving.py:" in caught.value.where  # the line of the pack that raised
        pool.deadline_s = DEADLINE
        assert await pool.verify(question, "ok") == Score(1.0)
        assert len(workers()) == 1

    pool(use)
    assert not workers()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("numpy", 0.25), ("true", 1.0), ("score", 0.5), ("long detail", 0.5), ("print", 1.0),
        ("write to stdout", 0.25), ("close stdin", 0.25),
    ],
)  # fmt: skip
def test_an_odd_but_honest_checker_is_believed(pool, text, value):
    async def use(pool):
        scores = [await pool.verify(ask(text), answer) for answer in ("go", "ok", "go", "ok")]
        assert [score.value for score in scores] == [value, 1.0, value, 1.0]
        assert all(len(score.detail) <= 1000 for score in scores)

    pool(use)


def test_a_second_reply_is_never_taken_for_the_next_questions(pool):
    async def use(pool):
        assert (await pool.verify(ask("fork"), "go")).value == 1.0
        outcomes = []
        for _ in range(3):
            try:
                outcomes.append((await pool.verify(ask("numpy"), "go")).value)
            except InfrastructureFault as fault:
                assert "out of turn" in str(fault)
        assert set(outcomes) == {0.25}

    pool(use)


def test_it_works_under_uvloop_as_in_ray_actors(pool):
    uvloop = pytest.importorskip("uvloop", reason="needs uvloop: run `make setup`")

    async def use(pool):
        assert await pool.verify(ask("hang"), "ok") == Score(1.0)
        pool.deadline_s = 0.5
        with pytest.raises(InfrastructureFault, match="took more than"):
            await pool.verify(ask("hang"), "go")

    pool(use, runner=uvloop.run)
    assert not workers()


def test_a_hanging_checkers_worker_is_killed_and_replaced(pool):
    async def use(pool):
        async def pid():
            return int((await pool.verify(ask("environment"), "go")).detail.split()[1])

        first = await pid()
        assert await pid() == first  # a worker is kept as long as it behaves
        pool.deadline_s = 0.5
        with pytest.raises(InfrastructureFault):
            await pool.verify(ask("ignore SIGTERM"), "go")
        pool.deadline_s = DEADLINE
        assert await pid() != first
        assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE

    pool(use)


ANSWERS = ["yes", "no", "", "\ud800 lone \udfff", "\x00\n\r\u2028", "é🙂", "9" * MAX_ANSWER_CHARS]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_any_text_reaches_the_checker_as_it_is(pool, answer):
    async def use(pool):
        score = await pool.verify(ask("What?", task="misbehaving/echo", answer="yes"), answer)
        assert score == Score(float(answer == "yes"), str(len(answer)))
        exact = await pool.verify(ask("What?", task="misbehaving/echo", answer=answer or "empty"), answer)
        assert exact.correct == bool(answer)

    pool(use)


@pytest.mark.parametrize("length", [MAX_ANSWER_CHARS + 1, 1 << 20])
def test_an_endless_answer_is_wrong_at_once(make_pool, length):
    async def use():
        return await make_pool(packs=["not installed"]).verify(ask("What?"), "9" * length)

    score = asyncio.run(use())  # no worker was started: its pack does not exist
    assert score.value == 0.0 and str(length) in score.detail


def test_concurrent_answers_get_their_own_scores(pool):
    async def use(pool):
        async def one(number):
            question = ask("number", task="misbehaving/echo", index=number)
            return await pool.verify(question, str(number))

        scores = await asyncio.gather(*(one(number) for number in range(50)))
        assert scores == [Score(number / 1000, str(number)) for number in range(50)]
        assert len(workers()) == 2

    pool(use, workers=2)


def test_failures_of_some_do_not_touch_the_others(pool):
    async def use(pool):
        tasks = [
            pool.verify(ask("number", task="misbehaving/echo", index=number), str(number))
            if number % 3
            else pool.verify(ask(("raise", "_exit", "nan")[number % 9 // 3], index=number), "go")
            for number in range(30)
        ]
        for number, outcome in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
            if number % 3:
                assert outcome == Score(number / 1000, str(number))
            else:
                assert isinstance(outcome, InfrastructureFault) and f"/{number}/" in str(outcome)

    pool(use, workers=2)


def test_cancelling_frees_the_slot_and_kills_the_worker(pool):
    async def use(pool):
        await pool.verify(ask("hang"), "ok")
        (old,) = workers()
        running = asyncio.create_task(pool.verify(ask("hang"), "go"))
        waiting = asyncio.create_task(pool.verify(ask("hang"), "ok"))
        await asyncio.sleep(0.1)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert running.cancelled()
        assert await waiting == Score(1.0)
        assert old not in workers()
        starting = asyncio.create_task(pool.verify(ask("hang"), "ok"))
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert await pool.verify(ask("hang"), "ok") == Score(1.0)

    pool(use)
    assert not workers()


def test_a_program_that_a_checker_started_is_killed_with_it(pool):
    async def use(pool):
        await pool.verify(ask("hang in a program"), "ok")
        running = asyncio.create_task(pool.verify(ask("hang in a program"), "go"))
        (worker,) = workers()
        while not (programs := psutil.Process(worker).children()):
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        _, alive = await asyncio.to_thread(psutil.wait_procs, programs, timeout=10)
        assert not alive

    pool(use)


def test_a_worker_killed_while_idle_is_replaced(pool):
    async def use(pool):
        await pool.verify(ask("raise"), "ok")
        (pid,) = workers()
        os.kill(pid, signal.SIGKILL)
        while pid in workers():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # let the event loop hear of it
        assert await pool.verify(ask("raise"), "ok") == Score(1.0)

    pool(use)


def test_close_leaves_no_process_even_while_checkers_hang(pool):
    async def use(pool):
        hanging = [asyncio.create_task(pool.verify(ask("hang", index=i), "go")) for i in range(4)]
        while len(workers()) < 2:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        await pool.close()
        outcomes = await asyncio.gather(*hanging, return_exceptions=True)
        assert all(isinstance(outcome, InfrastructureFault) for outcome in outcomes)
        assert not workers()
        await pool.close()

    pool(use, workers=2, deadline_s=3.0)
    assert not workers()


def test_checkers_run_with_a_fixed_hash_seed(pool):
    async def use(pool):
        assert (await pool.verify(ask("environment"), "go")).detail.startswith("0 ")

    pool(use)


@pytest.mark.parametrize(
    ("source", "packs", "expected"),
    [
        ("raise OSError('libfoo.so is missing')", ["broken"], "libfoo.so is missing"),
        ("", ["no_such_pack"], "no_such_pack"),
    ],
)
def test_a_worker_that_cannot_load_its_packs_says_why(install, make_pool, source, packs, expected):
    install("broken", source)

    async def use():
        pool = make_pool(packs=packs)
        try:
            for _ in range(2):  # the slot is free again after the first failure
                with pytest.raises(PluginError, match="a checker worker cannot start") as caught:
                    await pool.verify(ask("What?"), "4")
                assert expected in str(caught.value)
        finally:
            await pool.close()

    asyncio.run(use())


def test_a_verifier_of_a_plugin_gets_its_options_and_must_return_a_score(install, make_pool):
    install(
        "strange",
        """
        from r1ci_plugins import Score, hookimpl
        @hookimpl
        def r1ci_verifiers():
            def make(*, value=1.0):
                return lambda task, question, answer: Score(value) if answer == "score" else value
            return {"constant": make}
        """,
        group="r1ci.plugins",
    )
    install("demo", PACK_OF_ONE)

    async def use():
        pool = make_pool(name="constant", options={"value": 0.75}, plugins=["r1ci", "strange"], packs=["demo"])
        try:
            assert await pool.verify(ask("?", task="demo/one"), "score") == Score(0.75)
            with pytest.raises(InfrastructureFault, match="returned 0.75, not a Score"):
                await pool.verify(ask("?", task="demo/one"), "number")
        finally:
            await pool.close()

    asyncio.run(use())


PACK_OF_ONE = """
from r1ci_plugins import Question, Task, TaskPack, hookimpl

class One(Task):
    name = "one"
    def generate(self, rng, difficulty): return Question("1?", "1")
    def check(self, question, answer): return answer == "1"

@hookimpl
def r1ci_task_packs(): return [TaskPack("demo", [One()])]
"""


def test_workers_die_with_a_parent_that_is_killed(install):
    install("demo", PACK_OF_ONE)
    script = """
    import asyncio
    from r1ci_plugins.workers.checkers import VerifierPool
    from r1ci_plugins.tasks.task import Question

    async def main():
        pool = VerifierPool(
            name="task", options={}, plugins=["r1ci"], packs=["demo"], workers=1, deadline_s=60.0, memory_mb=4096
        )
        assert (await pool.verify(Question("1?", "1", task="demo/one"), "1")).correct
        print(*(worker.pid for worker in pool._alive), flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
    """
    parent = subprocess.Popen([sys.executable, "-c", dedent(script)], stdout=subprocess.PIPE, text=True)
    try:
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
    finally:
        parent.kill()
        parent.wait()
    for _ in range(500):
        if not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.02)
    raise AssertionError("the worker outlived its parent")


def episode(text, answer, task="misbehaving/misbehave"):
    return Trajectory(ask(text, task=task, answer="yes"), (), (), StopReason.ANSWERED, answer=answer)


@pytest.mark.parametrize("text", ["raise", "nan", "_exit"])
def test_a_failing_checker_excludes_the_trajectory(pool, text):
    result = pool(lambda verifier: judge(episode(text, "go"), verifier, {"correctness": Correctness()}))
    assert result.excluded and result.question.key in result.fault
    assert result.score is None and result.reward == 0.0 and not result.reward_terms and not result.correct


def test_many_judgements_share_a_pool(pool):
    async def use(verifier):
        episodes = [episode("What?", "yes" if number % 2 else "no", "misbehaving/echo") for number in range(20)]
        return await asyncio.gather(*(judge(one, verifier, {"correctness": Correctness()}) for one in episodes))

    assert [one.reward for one in pool(use, workers=2)] == [0.0, 1.0] * 10


class Returns(Task):
    name = "returns"

    def __init__(self, verdict):
        self.verdict = verdict

    def generate(self, rng, difficulty):
        return Question("?", "!")

    def check(self, question, answer):
        return self.verdict


@pytest.mark.parametrize("verdict", [math.nan, math.inf, -0.1, 1.1, "1", b"1", None, [], 1j])
def test_a_verdict_that_is_no_number_in_range_is_refused(verdict):
    with pytest.raises((TypeError, ValueError)):
        ask_task(Returns(verdict), Question("?", "!"), "answer")


@pytest.mark.parametrize(("verdict", "value"), [(True, 1.0), (False, 0.0), (0, 0.0), (0.5, 0.5), (Score(0.5), 0.5)])
def test_verdicts_of_every_documented_kind_become_a_score(verdict, value):
    assert ask_task(Returns(verdict), Question("?", "!"), "answer") == Score(value)
