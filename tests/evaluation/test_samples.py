from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.evaluation.samples import majority, pass_at_k, sample_statistics
from r1ci_plugins.rollout.metrics import OutcomeSummary


def sample(question, correct, answer="", excluded=False):
    return OutcomeSummary(
        "demo/a", question, correct, 0.0, {}, "answered", excluded, (), 0, (), (), (), 0, 1, 0.1, answer=answer
    )


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_pass_at_k_is_the_share_of_choices_with_a_right_answer(right, data):
    k = data.draw(st.integers(1, len(right)))
    choices = list(itertools.combinations(right, k))
    expected = sum(any(choice) for choice in choices) / len(choices)
    assert pass_at_k(len(right), sum(right), k) == pytest.approx(expected)


def test_what_is_not_defined_is_refused():
    for arguments in ((3, 1, 4), (3, 4, 1), (3, 1, 0)):
        with pytest.raises(ValueError, match="not defined"):
            pass_at_k(*arguments)


def test_the_majority_votes_and_ties_share():
    assert majority([sample("q", True, "a"), sample("q", True, "a"), sample("q", False, "b")]) == 1.0
    assert majority([sample("q", True, "a"), sample("q", False, "b")]) == 0.5
    assert majority([sample("q", False), sample("q", False)]) == 0.0
    assert majority([sample("q", True, "a"), sample("q", False), sample("q", False)]) == 1.0  # silence is no vote


def test_statistics_of_samples_leave_faults_out():
    outcomes = [sample(q, c, "x" if c else "y") for q, c in (("1", True), ("1", False), ("2", False), ("2", False))]
    outcomes += [sample("3", True, "x"), sample("3", True, "x", excluded=True), sample("4", False, excluded=True)]
    found = sample_statistics(outcomes)
    assert found["avg@2"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert found["pass@2"] == pytest.approx(0.5)  # question 3 has one sample left
    assert found["majority@2"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert sample_statistics([]) == {}
    assert list(sample_statistics([sample("1", True)])) == ["avg@1"]
