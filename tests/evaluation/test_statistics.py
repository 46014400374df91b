from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.evaluation.statistics import accuracy_by_question, estimate, paired_difference
from r1ci_plugins.rollout.metrics import OutcomeSummary

VALUES = st.floats(0, 1)


def outcome(question, correct, *, excluded=False, task="demo/a"):
    return OutcomeSummary(
        task, question, correct, float(correct), {}, "answered", excluded, (), 0, (), (), (), 0, 1, 0.1
    )


@given(st.lists(VALUES, min_size=2, max_size=40))
def test_an_estimate_is_the_mean_and_its_standard_error(values):
    result = estimate(values)
    assert result.count == len(values)
    assert result.mean == pytest.approx(statistics.fmean(values), abs=1e-12)
    assert result.standard_error == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)), abs=1e-9)


def test_one_value_has_no_standard_error_and_none_has_no_mean():
    assert estimate([0.25]).mean == 0.25 and math.isnan(estimate([0.25]).standard_error)
    nothing = estimate([])
    assert nothing.count == 0 and math.isnan(nothing.mean) and math.isnan(nothing.standard_error)


@given(
    st.dictionaries(st.integers(0, 20), VALUES, max_size=15), st.dictionaries(st.integers(0, 20), VALUES, max_size=15)
)
def test_a_paired_difference_uses_the_shared_questions_alone(before, after):
    result = paired_difference(before, after)
    differences = [after[key] - before[key] for key in before.keys() & after.keys()]
    assert result.count == len(differences)
    if differences:
        assert result.mean == pytest.approx(statistics.fmean(differences), abs=1e-12)
    if len(differences) > 1:
        expected = statistics.stdev(differences) / math.sqrt(len(differences))
        assert result.standard_error == pytest.approx(expected, abs=1e-9)


def test_accuracy_is_per_question_and_leaves_excluded_samples_out():
    outcomes = [
        outcome("q1", True), outcome("q1", False), outcome("q1", True), outcome("q1", False, excluded=True),
        outcome("q2", False), outcome("q3", False, excluded=True),
    ]  # fmt: skip
    assert accuracy_by_question(outcomes) == {"q1": pytest.approx(2 / 3), "q2": 0.0}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=20))
def test_accuracies_are_shares(samples):
    accuracies = accuracy_by_question(outcome(q, correct, excluded=out) for q, correct, out in samples)
    assert set(accuracies) == {q for q, _, out in samples if not out}
    assert all(0.0 <= value <= 1.0 for value in accuracies.values())
