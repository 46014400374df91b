from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.evaluation.intervals import difference_interval, macro_interval, share_interval
from r1ci_plugins.evaluation.pairs import holm, p_value, pair, pair_macro

from .coverage import MIDDLE, difference_coverage, macro_coverage, share_coverage

numpy = pytest.importorskip("numpy")
stats = pytest.importorskip("scipy.stats")
SHARES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=80)


@given(st.integers(50, 400), st.data())
def test_one_sample_a_question_gives_wilsons_interval(count, data):
    right = data.draw(st.integers(10, count - 10))
    found = share_interval([1.0] * right + [0.0] * (count - right), count)
    wilson = stats.binomtest(right, count).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == (pytest.approx(wilson.low, abs=1e-9), pytest.approx(wilson.high, abs=1e-9))


@given(SHARES)
def test_an_interval_holds_its_mean_and_stays_within_0_and_1(values):
    found = share_interval(values, 4 * len(values))
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.mean == pytest.approx(numpy.mean(values))
    assert macro_interval({"a": values}).mean == pytest.approx(found.mean)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=2, max_size=80))
def test_a_differences_interval_is_students_where_enough_questions_differ(values):
    found = difference_interval(values)
    assert -1 <= found.low <= found.mean <= found.high <= 1
    if sum(one != 0 for one in values) >= 10 and len(set(values)) > 1:
        theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.low, found.high) == (
            pytest.approx(max(-1, theirs.low), abs=1e-9),
            pytest.approx(min(1, theirs.high), abs=1e-9),
        )


@given(st.lists(st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]), min_size=2, max_size=60), st.randoms())
def test_the_p_value_of_several_samples_is_the_paired_t_test(before, rng):
    after = [min(1.0, max(0.0, value + rng.choice([-1 / 3, 0, 1 / 3]))) for value in before]
    differences = [b - a for a, b in zip(before, after, strict=True)]
    if numpy.std(differences) > 1e-9 and any(abs(one) not in (0, 1) for one in differences):
        assert p_value(differences) == pytest.approx(stats.ttest_rel(after, before).pvalue, abs=1e-9)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_p_value_of_single_samples_is_mcnemars_exact_test(wins, losses, ties):
    mcnemar = pytest.importorskip("statsmodels.stats.contingency_tables").mcnemar
    differences = [1.0] * wins + [-1.0] * losses + [0.0] * ties
    if differences:
        theirs = mcnemar([[ties, wins], [losses, 0]], exact=True).pvalue
        assert p_value(differences) == pytest.approx(min(1.0, theirs), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holms_correction_is_statsmodels(values):
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))


def test_what_cannot_be_tested_does_not_count_as_a_test():
    corrected = holm([0.01, math.nan, 0.04])
    assert corrected[0] == pytest.approx(0.02) and math.isnan(corrected[1]) and corrected[2] == pytest.approx(0.04)


def test_a_pairing_counts_shared_questions_wins_and_losses():
    found = pair({"a": 1.0, "b": 0.0, "c": 0.5, "only here": 1.0}, {"a": 0.0, "b": 1.0, "c": 1.0, "only there": 0.0})
    assert (found.questions, found.wins, found.losses) == (3, 2, 1)
    assert found.difference.mean == pytest.approx(0.5 / 3)
    nothing = pair({"a": 1.0}, {"b": 1.0})
    assert nothing.questions == 0 and math.isnan(nothing.p) and math.isnan(nothing.difference.mean)


def test_macro_averages_weigh_tasks_alike():
    before = {"x": {"1": 0.0, "2": 0.0}, "y": {"3": 0.0}, "gone": {"4": 1.0}}
    after = {"x": {"1": 1.0, "2": 0.0}, "y": {"3": 1.0}}
    assert pair_macro(before, after).mean == pytest.approx(0.75)
    assert macro_interval({task: list(values.values()) for task, values in after.items()}).mean == pytest.approx(0.75)


def test_nothing_asked_is_nothing_known():
    assert all(math.isnan(value) for value in vars(share_interval([], 0)).values())
    assert all(math.isnan(value) for value in vars(macro_interval({})).values())
    assert macro_interval({"a": []}).to_list() == [None, None, None]


def test_intervals_cover_the_truth():
    """A small part of tests/evaluation/coverage.py; 300 rounds have a standard error of 1.3 points."""
    rng = random.Random(0)
    for p in MIDDLE[::2]:
        assert 0.91 <= share_coverage(rng, p, 56, 1, None, 300) <= 0.99
        assert 0.91 <= share_coverage(rng, p, 50, 4, 1.0, 300) <= 0.99
    assert difference_coverage(rng, 0.5, 0.3, 100, 1, 1.0, 300) >= 0.91
    assert share_coverage(rng, 0.01, 50, 8, 1.0, 300) >= 0.91
    assert macro_coverage(rng, [0.0, 0.05, 0.5, 0.9], 56, 200) >= 0.91
