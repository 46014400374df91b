from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.metrics import OutcomeSummary, batch_metrics
from r1ci_plugins.rollout.trajectory import StopReason, ToolCall, Trajectory
from r1ci_plugins.tasks.task import Question


def outcome(task="demo/a", question="q", correct=False, reward=0.0, stop=StopReason.ANSWERED, errors=(), **values):
    defaults = {
        "reward_terms": {"correctness": reward}, "excluded": False, "timeouts": 0, "queue_s": (), "execution_s": (),
        "cpu_s": (), "sandbox_retries": 0,
        "action_tokens": 10, "wall_s": 1.0,
    }  # fmt: skip
    return OutcomeSummary(
        task, question, correct, reward, stop_reason=stop.value, tool_errors=errors, **(defaults | values)
    )


BATCH = [
    outcome(
        "demo/a",
        correct=True,
        reward=1.0,
        errors=("", "ValueError"),
        queue_s=(0.5, 0.0),
        execution_s=(1.0, 2.0),
        wall_s=4.0,
    ),
    outcome("demo/a", stop=StopReason.VOID_TURN, reward=-0.5, action_tokens=30, reward_terms={"correctness": 0.0}),
    outcome("demo/b", correct=True, reward=1.0, errors=("timeout", "ValueError"), timeouts=1, execution_s=(0.5, 0.5)),
    outcome("demo/b", stop=StopReason.INFRASTRUCTURE_FAULT, excluded=True, reward_terms={}, wall_s=10.0),
]


def test_a_batch_worked_out_by_hand():
    metrics = batch_metrics(BATCH)
    expected = {
        "samples": 4,
        "excluded": 1,
        "accuracy": 2 / 3,
        "reward": 1.5 / 3,
        "reward/correctness": 2 / 3,
        "code_calls": 1.0,
        "code_share": 0.5,
        "tool_error_rate": 0.75,
        "tool_error/ValueError": 0.5,
        "tool_error/timeout": 0.25,
        "timeouts": 1,
        "queue_s": 0.125,
        "execution_s": 1.0,
        "execution_s_p50": 1.0,
        "execution_s_p99": 2.0,
        "sandbox_retries": 0,
        "action_tokens": 15,
        "wall_s": 4.0,
        "stop/answered": 0.5,
        "stop/void_turn": 0.25,
        "stop/infrastructure_fault": 0.25,
        "stop/deadline": 0.0,
        "task/demo/a/samples": 2,
        "task/demo/a/accuracy": 0.5,
        "task/demo/a/reward": 0.25,
        "task/demo/a/code_calls": 1.0,
        "task/demo/a/tool_error/ValueError": 0.5,
        "task/demo/a/stop/void_turn": 0.5,
        "task/demo/b/accuracy": 1.0,
        "task/demo/b/excluded": 1,
        "task/demo/b/stop/infrastructure_fault": 0.5,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert not [name for name in metrics if "tool_error/" in name and name.endswith("/")]  # success is no error kind


def test_a_task_of_faults_alone_has_no_accuracy():
    metrics = batch_metrics([outcome(excluded=True, reward_terms={})])
    assert not [name for name in metrics if "accuracy" in name or "reward" in name]
    assert metrics["excluded"] == metrics["task/demo/a/excluded"] == 1


def test_an_empty_batch_has_no_metrics():
    assert batch_metrics([]) == {}


WORDS = st.sampled_from(["", "ValueError", "timeout", "signal 9", "a/b"])
TIMES = st.floats(0, 1e6)
OUTCOMES = st.builds(
    OutcomeSummary,
    task=st.sampled_from(["demo/a", "demo/b", "other/c"]),
    question=st.text(max_size=5),
    correct=st.booleans(),
    reward=st.floats(-10, 10),
    reward_terms=st.dictionaries(st.sampled_from(["correctness", "format"]), st.floats(-10, 10)),
    stop_reason=st.sampled_from([reason.value for reason in StopReason]),
    excluded=st.booleans(),
    tool_errors=st.lists(WORDS, max_size=4).map(tuple),
    timeouts=st.integers(0, 4),
    queue_s=st.lists(TIMES, max_size=4),
    execution_s=st.lists(TIMES, max_size=4),
    cpu_s=st.lists(TIMES, max_size=4),
    sandbox_retries=st.integers(0, 3),
    action_tokens=st.integers(0, 10**6),
    wall_s=TIMES,
)


@given(st.lists(OUTCOMES, min_size=1, max_size=12))
def test_metrics_are_finite_and_shares_are_shares(outcomes):
    metrics = batch_metrics(outcomes)
    assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in metrics.values())
    for name, value in metrics.items():
        if "accuracy" in name or "stop/" in name or "tool_error" in name or "code_share" in name:
            assert 0.0 <= value <= 1.0 + 1e-12, name
    assert sum(metrics[f"stop/{reason.value}"] for reason in StopReason) == pytest.approx(1.0)
    tasks = {o.task for o in outcomes}
    assert sum(metrics[f"task/{task}/samples"] for task in tasks) == metrics["samples"] == len(outcomes)
    known = [o for o in outcomes if not o.excluded]
    assert ("accuracy" in metrics) == bool(known)
    if known:
        assert metrics["accuracy"] == pytest.approx(sum(o.correct for o in known) / len(known))


@given(OUTCOMES)
def test_an_outcome_travels_as_json(one):
    assert OutcomeSummary(**json.loads(json.dumps(one.to_dict()))) == one


def test_an_outcome_summarises_its_trajectory():
    calls = [("ok", "", 1.0, 0.25), ("error", "ValueError", 2.0, 0.0), ("timeout", "timeout", 60.0, 0.5)]
    trajectory = Trajectory(
        Question("?", "!", task="demo/a", split="rl", index=4),
        (
            Segment(SegmentKind.PROMPT, (1,) * 7, ""),
            Segment(SegmentKind.ACTION, (1,) * 5, ""),
            Segment(SegmentKind.CODE_OUTPUT, (1,) * 3, ""),
            Segment(SegmentKind.ACTION, (1,) * 2, ""),
        ),
        tuple(ToolCall("", status, error, wall, 0.0, queue, 0, "none") for status, error, wall, queue in calls),
        StopReason.ANSWERED,
        answer="!",
        score=1.0,
        reward_terms={"correctness": 1.0, "format": 0.1},
        wall_s=70.0,
    )
    assert OutcomeSummary.of(trajectory) == OutcomeSummary(
        task="demo/a",
        question="demo/a/rl/4/0",
        correct=True,
        reward=1.1,
        reward_terms={"correctness": 1.0, "format": 0.1},
        stop_reason="answered",
        excluded=False,
        tool_errors=("", "ValueError", "timeout"),
        timeouts=1,
        queue_s=(0.25, 0.0, 0.5),
        execution_s=(1.0, 2.0, 60.0),
        cpu_s=(0.0, 0.0, 0.0),
        sandbox_retries=0,
        action_tokens=7,
        wall_s=70.0,
        trajectory=trajectory.fingerprint,
        answer="baef09f28d0a",
        repeated_programs=2,
    )
