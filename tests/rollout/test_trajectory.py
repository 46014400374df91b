from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.trajectory import StopReason, ToolCall, Trajectory
from r1ci_plugins.tasks.task import Question

ANY_TEXT = st.text(st.characters(), max_size=30)  # lone surrogates, NUL and line separators included
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def segments(draw):
    ids = tuple(draw(st.lists(st.integers(0, 200_000), max_size=6)))
    log_probs = draw(st.none() | st.just((-0.25,) * len(ids)))
    return Segment(draw(st.sampled_from(SegmentKind)), ids, draw(ANY_TEXT), log_probs)


TRAJECTORIES = st.builds(
    Trajectory,
    question=st.builds(
        Question, ANY_TEXT, ANY_TEXT, st.dictionaries(ANY_TEXT, JSON, max_size=2), ANY_TEXT, st.just("rl"),
        st.integers(), st.integers(), st.none() | st.integers(0, 9),
    ),
    segments=st.lists(segments(), max_size=4).map(tuple),
    tool_calls=st.lists(
        st.builds(ToolCall, ANY_TEXT, ANY_TEXT, ANY_TEXT, NUMBER, NUMBER, NUMBER, st.integers(0), ANY_TEXT), max_size=2
    ).map(tuple),
    stop_reason=st.sampled_from(StopReason),
    answer=st.none() | ANY_TEXT,
    score=st.none() | st.floats(0, 1),
    score_detail=ANY_TEXT,
    reward_terms=st.dictionaries(ANY_TEXT, NUMBER, max_size=3),
    fault=ANY_TEXT,
    wall_s=NUMBER,
    generation_s=NUMBER,
    step=st.integers(-1),
)  # fmt: skip


def make(**values):
    return Trajectory(Question("2 + 2?", "4"), (), (), StopReason.ANSWERED, **values)


@given(TRAJECTORIES)
def test_one_line_of_json_brings_the_record_back(trajectory):
    line = trajectory.to_json()
    assert "\n" not in line and "\r" not in line
    assert Trajectory.from_json(line) == trajectory


def test_an_unknown_version_is_refused_by_number():
    line = json.dumps(json.loads(make().to_json()) | {"version": 7})
    with pytest.raises(TrajectoryFileError, match="version 7 is unknown") as caught:
        Trajectory.from_json(line)
    assert "use the release that wrote the file" in str(caught.value)


@pytest.mark.parametrize("line", ["", "{", "[]", "null", "3", '"x"', "{}", "[" * 100_000, '{"version": 1}', "\x00"])
def test_what_is_no_record_is_a_clear_error(line):
    with pytest.raises(TrajectoryFileError):
        Trajectory.from_json(line)


@given(key=st.sampled_from(sorted(json.loads(make().to_json()))), value=JSON)
def test_a_record_with_a_wrong_field_is_read_or_refused(key, value):
    raw = json.loads(make().to_json()) | {key: value}
    try:
        assert isinstance(Trajectory.from_json(json.dumps(raw)), Trajectory)
    except TrajectoryFileError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("key", "value"), [("answer", 42), ("score", "1"), ("reward_terms", {"a": "b"}), ("fault", None), ("origin", [])]
)
def test_a_value_of_another_type_is_refused(key, value):
    raw = json.loads(make().to_json()) | {key: value}
    with pytest.raises(TrajectoryFileError, match="not a trajectory record"):
        Trajectory.from_json(json.dumps(raw))


@pytest.mark.parametrize(
    "change", [{"token_ids": ["1"]}, {"token_ids": [1.5]}, {"token_ids": [True]}, {"text": None}, {"log_probs": ["x"]}]
)
def test_a_segment_of_other_types_is_refused(change):
    segment = {"kind": "action", "token_ids": [1], "text": "a", "log_probs": [-0.5]} | change
    raw = json.loads(make().to_json()) | {"segments": [segment]}
    with pytest.raises(TrajectoryFileError, match="a segment's"):
        Trajectory.from_json(json.dumps(raw))


@pytest.mark.parametrize("key", ["question", "segments", "tool_calls", "stop_reason"])
def test_a_missing_field_is_refused(key):
    raw = json.loads(make().to_json())
    del raw[key]
    with pytest.raises(TrajectoryFileError, match=key):
        Trajectory.from_json(json.dumps(raw))


def test_reward_is_the_sum_of_its_terms_and_nothing_once_excluded():
    judged = make(score=1.0, reward_terms={"correctness": 1.0, "format": 0.25})
    assert judged.reward == 1.25 and judged.correct and not judged.excluded
    faulted = replace(judged, fault="the sandbox is gone")
    assert faulted.reward == 0.0 and faulted.excluded
    assert not replace(judged, score=0.5).correct and not make().correct and make().reward == 0.0


def test_token_ids_are_the_segments_in_order():
    one = replace(
        make(), segments=(Segment(SegmentKind.PROMPT, (1, 2), "p"), Segment(SegmentKind.ACTION, (3,), "a", (-0.5,)))
    )
    assert one.token_ids == [1, 2, 3]
