from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.errors import LossMaskError
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.loss_mask import (
    MASKED,
    UNMASKED,
    auxiliary,
    check_invariants,
    output_ranges,
    rollout_log_probs,
)

PROMPT, ACTION, SEPARATOR, OUTPUT = SegmentKind


def episode(*segments):
    """A trajectory of (kind, number of tokens) or (kind, number of tokens, log-probs)."""
    built, position = [], 0
    for kind, length, *log_probs in segments:
        own = log_probs[0] if log_probs else ((-0.5,) * length if kind is ACTION else None)
        built.append(Segment(kind, tuple(range(position, position + length)), "", own))
        position += length
    question = Question("?", "!", task="demo/a", split="rl", index=5)
    return Trajectory(question, tuple(built), (), StopReason.ANSWERED)


#        0..4         5..9         10..11          12..15       16..17          18..20
TURNS = episode((PROMPT, 5), (ACTION, 5), (SEPARATOR, 2), (OUTPUT, 4), (SEPARATOR, 2), (ACTION, 3))


def test_the_two_masks_of_one_episode():
    assert MASKED.ranges(TURNS) == [(5, 10), (18, 21)]
    assert UNMASKED.ranges(TURNS) == [(5, 10), (12, 16), (18, 21)]
    check_invariants(TURNS, MASKED.ranges(TURNS), MASKED)
    check_invariants(TURNS, UNMASKED.ranges(TURNS), UNMASKED)
    check_invariants(TURNS, [], MASKED)  # nothing trained is allowed: an excluded trajectory


def test_the_second_term_has_the_code_outputs_of_episodes_that_count():
    mask = auxiliary(0.05)
    assert mask.ranges(TURNS) == MASKED.ranges(TURNS) and output_ranges(TURNS, mask) == [(12, 16)]
    assert output_ranges(TURNS, MASKED) == output_ranges(TURNS, UNMASKED) == []
    assert output_ranges(replace(TURNS, fault="the sandbox died"), mask) == []


def test_log_probs_stand_at_their_tokens():
    assert rollout_log_probs(TURNS) == [0.0] * 5 + [-0.5] * 5 + [0.0] * 8 + [-0.5] * 3
    assert rollout_log_probs(episode((PROMPT, 5), (ACTION, 3, None))) is None
    assert rollout_log_probs(episode((PROMPT, 5))) is None


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(5, 10), (9, 10)], "overlap"),
        ([(18, 21), (5, 10)], "unsorted"),
        ([(18, 22)], "do not fit 21 tokens"),
        ([(-1, 3)], "do not fit"),
        ([(7, 7)], "do not fit"),
        ([(9, 7)], "do not fit"),
        ([(4, 10)], "kind prompt"),
        ([(0, 21)], "kind code_output, prompt, separator"),
        ([(5, 11)], "kind separator"),
        ([(5, 10), (12, 16)], "kind code_output"),
    ],
)
def test_a_mask_that_trains_the_wrong_tokens_is_an_error(ranges, expected):
    with pytest.raises(LossMaskError, match=expected) as caught:
        check_invariants(TURNS, ranges, MASKED)
    assert TURNS.question.key in str(caught.value)


@pytest.mark.parametrize("ranges", [[(4, 10)], [(5, 11)], [(15, 17)]])
def test_the_ablation_still_trains_no_prompt_and_no_separator(ranges):
    with pytest.raises(LossMaskError, match="prompt|separator"):
        check_invariants(TURNS, ranges, UNMASKED)


@pytest.mark.parametrize(
    ("log_probs", "expected"),
    [
        ((-0.5,) * 2, "2 log-probs for 3 tokens"),
        ((-0.5,) * 4, "4 log-probs for 3 tokens"),
        ((), "0 log-probs for 3 tokens"),
        ((-0.5, math.nan, -0.5), "not finite"),
        ((-0.5, -math.inf, -0.5), "not finite"),
        ((-0.5, 0.5, -0.5), "positive"),
    ],
)
def test_log_probs_that_do_not_fit_are_an_error(log_probs, expected):
    broken = episode((PROMPT, 2), (ACTION, 3, log_probs))
    with pytest.raises(LossMaskError, match=expected):
        check_invariants(broken, MASKED.ranges(broken), MASKED)


def test_rounding_above_zero_is_no_error():
    check_invariants(episode((ACTION, 2, (0.0, 1e-6))), [(0, 2)], MASKED)


@given(st.lists(st.tuples(st.sampled_from(SegmentKind), st.integers(0, 4)), max_size=8))
def test_unmasked_contains_masked_and_both_are_exact(shape):
    trajectory = episode(*shape)
    kinds = [segment.kind for segment in trajectory.segments for _ in segment.token_ids]
    for mask, trained in ((MASKED, {ACTION}), (UNMASKED, {ACTION, OUTPUT})):
        ranges = mask.ranges(trajectory)
        positions = [position for start, end in ranges for position in range(start, end)]
        assert positions == [position for position, kind in enumerate(kinds) if kind in trained]
        check_invariants(trajectory, ranges, mask)
    assert {p for a, b in MASKED.ranges(trajectory) for p in range(a, b)} <= {
        p for a, b in UNMASKED.ranges(trajectory) for p in range(a, b)
    }
    log_probs = rollout_log_probs(trajectory)
    assert log_probs is None or len(log_probs) == len(kinds)
