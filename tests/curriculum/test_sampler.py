from __future__ import annotations

import json
import math
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.curriculum.gates import StageEnd, alike
from r1ci_plugins.curriculum.groups import grouped, ranked
from r1ci_plugins.curriculum.potential import Evidence
from r1ci_plugins.curriculum.sampler import Candidate, CurriculumSampler
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe.schema import CurriculumConfig, PlateauConfig

CANDIDATES = [Candidate(f"demo/a/rl/{n}/0", n % 3, Evidence(n, 20)) for n in range(21)]


def sampler(candidates=CANDIDATES, batch=4, seed=7, **config):
    return CurriculumSampler(candidates, CurriculumConfig(**config), batch=batch, seed=seed)


def steps(made, count, right=1):
    """The questions of each of some steps; every one is answered four times."""
    stream, found = iter(made), []
    for _ in range(count):
        batch = list(islice(stream, 4))
        found.append(batch)
        if batch:
            made.finish_step({CANDIDATES[number].key: Evidence(right, 4) for number in batch})
    return found


@given(st.integers(1, 40), st.data())
def test_potential_is_the_papers_and_its_error_that_of_the_posterior(count, data):
    one = Evidence(data.draw(st.integers(0, count)), count)
    assert one.potential == pytest.approx(4 * one.accuracy * (1 - one.accuracy)) and 0 <= one.potential <= 1
    a, b = one.correct + 0.5, count - one.correct + 0.5
    points = [(i + 0.5) / 4000 for i in range(4000)]
    weights = [p ** (a - 1) * (1 - p) ** (b - 1) for p in points]
    mean = sum(w * 4 * p * (1 - p) for w, p in zip(weights, points, strict=True)) / sum(weights)
    square = sum(w * (4 * p * (1 - p)) ** 2 for w, p in zip(weights, points, strict=True)) / sum(weights)
    assert one.expected_potential == pytest.approx(mean, abs=0.02)
    assert one.potential_error == pytest.approx(math.sqrt(max(0, square - mean**2)), abs=0.02)


def test_a_question_without_answers_is_unknown_not_hopeless():
    assert math.isnan(Evidence().accuracy) and Evidence().potential == 0 and Evidence().expected_potential == 0.5
    assert Evidence(0, 20).expected_potential < 0.1 < Evidence(1, 20).expected_potential


@given(st.integers(4, 200), st.integers(1, 4), st.integers(0, 5))
def test_groups_are_of_equal_size_and_lose_nothing(count, groups, seed):
    values = [float(n % 5) for n in range(count)]
    order = ranked([f"q{n}" for n in range(count)], values, seed)
    made = grouped(order, values, CurriculumConfig(groups=groups))
    assert sorted(number for group in made for number in group) == list(range(count))
    assert max(map(len, made)) - min(map(len, made)) <= 1
    assert [values[number] for number in order] == sorted(values, reverse=True)


def test_thresholds_and_quantiles():
    values = [1.0, 0.7, 0.7, 0.4, 0.1]
    order = ranked(list("abcde"), values, 0)
    cut = grouped(order, values, CurriculumConfig(thresholds=[0.64, 0.48, 0.32]))
    assert [len(group) for group in cut] == [3, 0, 1, 1]
    assert [len(group) for group in grouped(order, values, CurriculumConfig(quantiles=[0.2]))] == [1, 4]


def test_each_stage_adds_the_next_group_and_a_small_one_repeats():
    made = sampler(groups=3, steps=4)
    assert len(made) == 3 * 4 * 4
    found = steps(made, 13)
    first, second = Counter(sum(found[:4], [])), Counter(sum(found[4:8], []))
    assert set(first) == {7, 8, 9, 10, 11, 12, 13} and max(first.values()) - min(first.values()) <= 1
    assert set(first) < set(second) and not set(second) & {0, 1, 2, 18, 19, 20}
    assert found[12] == [] and made.finished and len(made) == made.drawn == 48


@pytest.mark.parametrize("order", ["potential", "online", "level", "random"])
@pytest.mark.parametrize("before", [1, 5, 9])
def test_the_order_is_the_same_after_a_resume(order, before):
    options = {"groups": 3, "steps": 4, "order": order}
    made = sampler(**options)
    steps(made, before)
    state = json.loads(json.dumps(made.state_dict()))
    whole = steps(made, 13 - before)
    again = sampler(**options)
    again.load_state_dict(state)
    assert steps(again, 13 - before) == whole
    assert steps(sampler(**options, seed=8), 2) != steps(sampler(**options), 2)


def test_online_leaves_what_has_been_learnt():
    made = sampler([Candidate(one.key) for one in CANDIDATES[:12]], order="online", groups=3, steps=40)
    first = set(sum(steps(made, 1, right=4), []))  # a third of the questions, all answered right
    later = set(sum(steps(made, 5, right=2), []))
    assert len(first) == 4 and later and not later & first


def test_by_level_the_easy_ones_come_first():
    made = sampler(order="level", groups=3, steps=2)
    assert {CANDIDATES[number].level for number in sum(steps(made, 2), [])} == {0}


def test_random_order_has_the_same_steps_and_all_questions():
    made = sampler(order="random", groups=3, steps=4)
    assert len(made) == 48 and set(sum(steps(made, 12), [])) == set(range(21))


def test_a_plateau_ends_a_stage_early():
    made = sampler(groups=3, steps=100, plateau=PlateauConfig(window=3, gain=0.01))
    steps(made, 5)
    assert made.stage == 0
    steps(made, 1)
    assert made.stage == 1 and len(made) == 24 + 200 * 4


def test_a_rising_stage_goes_on():
    end = StageEnd(PlateauConfig(window=2, gain=0.01))
    for accuracy in (0.1, 0.2, None, 0.3, 0.4):
        end.step(accuracy)
    assert not end.reason(100) and end.reason(5) == "5 steps"


@pytest.mark.parametrize(
    ("candidates", "config", "words"),
    [
        (CANDIDATES[:3], {}, "3 questions cannot make 4 groups"),
        ([], {"order": "random"}, "no questions"),
        ([Candidate(f"q{n}", 0, Evidence(20 * (n % 2), 20)) for n in range(9)], {}, "all right or all wrong"),
        (
            [Candidate(f"q{n}", 0, Evidence(n + 1, 20)) for n in range(4)],
            {"thresholds": [0.9]},
            "stage 1 has no question",
        ),
        ([Candidate(f"q{n}", 1) for n in range(9)], {"order": "level"}, "same difficulty"),
    ],
)
def test_what_cannot_be_a_curriculum_is_refused(candidates, config, words):
    with pytest.raises(RecipeError, match=words):
        sampler(candidates, **config)


def test_another_runs_state_is_refused():
    with pytest.raises(RecipeError, match="21 questions, this run has 20"):
        sampler(CANDIDATES[:20]).load_state_dict(sampler().state_dict())


def test_alike():
    assert alike([1.0, 1.0, 0.0], [True, True, False]) and not alike([1.0, 0.9], [True, True])
    assert not alike([1.0, 1.0], [True, False]) and not alike([], [])
