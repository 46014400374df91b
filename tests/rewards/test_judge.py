from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.builtin import r1ci_reward_terms
from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.rewards.judge import judge
from r1ci_plugins.rewards.terms import Correctness, Efficiency, Format
from r1ci_plugins.rollout.trajectory import StopReason, ToolCall, Trajectory
from r1ci_plugins.tasks.task import Question, Score

V1 = {"correctness": Correctness()}
V2 = {"correctness": Correctness(), "format": Format(), "efficiency": Efficiency()}
CALL = ToolCall("print(1)", "ok", "", 0.1, 0.1, 0.0, 0, "none")


def episode(answer="yes", calls=0, stop=StopReason.ANSWERED, text="What?", task="pack/task", **values):
    question = Question(text, "yes", task=task, split="rl", index=3)
    return Trajectory(question, (), (CALL,) * calls, stop, answer=answer, **values)


class ScriptedVerifier:
    """Does what the question says. The real one, with its processes, is tested in ``tests/workers``."""

    async def verify(self, question, answer):
        if question.text == "raise":
            raise InfrastructureFault("the checker failed: ZeroDivisionError", where=question.key)
        if question.text == "half":
            return Score(0.5, "half")
        return Score(float(answer == question.answer))


@pytest.fixture
def judged():
    return lambda trajectory, terms: asyncio.run(judge(trajectory, ScriptedVerifier(), terms))


@pytest.mark.parametrize(
    ("trajectory", "v1", "v2"),
    [
        (episode("yes"), 1.0, 1.1),
        (episode("yes", calls=6), 1.0, 1.1),
        (episode("yes", calls=7), 1.0, 1.0),
        (episode("no"), 0.0, 0.1),
        (episode("no", calls=8), 0.0, 0.0),
        (episode(None, stop=StopReason.VOID_TURN), 0.0, -0.1),
        (episode(None, calls=7, stop=StopReason.CODE_CALL_CAP), 0.0, -0.2),
        (episode(None, stop=StopReason.DEADLINE), 0.0, -0.1),
    ],
)
def test_the_rewards_of_the_paper(judged, trajectory, v1, v2):
    for terms, reward in ((V1, v1), (V2, v2)):
        result = judged(trajectory, terms)
        assert result.reward == pytest.approx(reward) and list(result.reward_terms) == list(terms)
        assert result.correct == (v1 == 1.0) and not result.excluded


def test_the_built_in_terms_are_these_by_name():
    assert {name: factory() for name, factory in r1ci_reward_terms().items()} == V2


def test_partial_credit_is_recorded_but_earns_no_correctness(judged):
    result = judged(episode("go", text="half"), V2)
    assert (result.score, result.score_detail, result.correct) == (0.5, "half", False)
    assert result.reward == pytest.approx(0.1)


def test_without_an_answer_nothing_is_asked_of_the_checker(judged):
    result = judged(episode(None, stop=StopReason.TOKEN_BUDGET, text="raise"), V2)
    assert result.score == 0.0 and result.score_detail and not result.excluded


def test_a_failing_checker_excludes_the_trajectory(judged):
    result = judged(episode("go", text="raise"), V2)
    assert result.excluded and result.question.key in result.fault
    assert result.score is None and result.reward == 0.0 and not result.reward_terms and not result.correct


def failing(error):
    def term(trajectory):
        raise error

    return term


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (failing(ZeroDivisionError("by zero")), "ZeroDivisionError: by zero"),
        (failing(MemoryError()), "MemoryError"),
        (lambda trajectory: math.nan, "returned nan"),
        (lambda trajectory: -math.inf, "returned -inf"),
        (lambda trajectory: None, "TypeError"),
        (lambda trajectory: "much", "ValueError"),
        (lambda trajectory: 10**400, "OverflowError"),
    ],
)
def test_a_failing_reward_term_excludes_the_trajectory_and_is_named(judged, term, expected):
    result = judged(episode(), V1 | {"length": term})
    assert result.excluded and "length" in result.fault and expected in result.fault
    assert result.reward == 0.0 and result.score == 1.0  # the verdict is known, the reward is not


def test_a_failing_reward_term_is_reported_with_its_line(judged):
    result = judged(episode(), V1 | {"length": failing(ZeroDivisionError("by zero"))})
    assert f"{__file__}:{failing.__code__.co_firstlineno + 2}" in result.fault


def test_terms_see_the_verdict_and_are_added(judged):
    terms = {"twice": lambda t: 2 * t.score, "calls": lambda t: -0.5 * len(t.tool_calls), "true": lambda t: True}
    result = judged(episode(calls=2), terms)
    assert result.reward_terms == {"twice": 2.0, "calls": -1.0, "true": 1.0} and result.reward == 2.0


def test_what_is_faulted_already_is_left_as_it_is(judged):
    faulted = episode(fault="the sandbox is gone", stop=StopReason.INFRASTRUCTURE_FAULT)
    assert judged(faulted, V2) is faulted


@given(st.sampled_from(StopReason), st.integers(0, 12), st.sampled_from([None, 0.0, 0.5, 1.0]))
def test_every_outcome_has_a_reward_in_the_papers_range(stop, calls, score):
    trajectory = episode(None, calls=calls, stop=stop, score=score)
    terms = {name: term(trajectory) for name, term in V2.items()}
    assert -0.2 - 1e-9 <= sum(terms.values()) <= 1.1 + 1e-9
    assert (terms["correctness"] == 1.0) == (score == 1.0)
    assert (terms["format"] > 0) == (stop is StopReason.ANSWERED)
    assert (terms["efficiency"] < 0) == (calls > 6)
