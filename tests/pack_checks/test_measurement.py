from __future__ import annotations

import time

import pytest

from r1ci_plugins.errors import MissingData
from r1ci_plugins.pack_checks.measurement import MANY, at_least, measure
from r1ci_plugins.tasks.task import Question, Task, Unreadable


class Doubling(Task):
    name = "doubling"

    def __init__(self, space: int = 10**9, size: int | None = None) -> None:
        self.space, self.size = space, size

    def generate(self, rng, difficulty):
        n = rng.randrange(self.space)
        return Question(f"What is twice {n}?", str(2 * n))

    def check(self, question, answer):
        if not answer.isdecimal():
            raise Unreadable("no number")
        return answer == question.answer


class Sleepy(Doubling):
    def generate(self, rng, difficulty):
        time.sleep(0.02)
        return super().generate(rng, difficulty)


class Hangs(Doubling):
    def generate(self, rng, difficulty):
        if rng.random() < 0.5:
            while True:
                pass
        return super().generate(rng, difficulty)


class Lacks(Doubling):
    def generate(self, rng, difficulty):
        raise MissingData("no data", fix="get it")


class Breaks(Doubling):
    def generate(self, rng, difficulty):
        raise ZeroDivisionError("no luck")


class SlowCheck(Doubling):
    def check(self, question, answer):
        time.sleep(0.01)
        return False


def test_a_small_space_is_counted_exactly_and_a_large_one_not_beyond_many():
    small = measure("p", Doubling(150), 20)
    assert (small.questions, small.counted, small.questions_text) == (150, True, "150")
    large = measure("p", Doubling(), 20)
    assert (large.questions, large.counted, large.questions_text) == (MANY, False, ">2000")
    assert large.questions_per_s > 100 and large.check_ms < 5 and not large.problem


def test_a_fixed_set_of_data_tells_its_size():
    assert measure("p", Doubling(150, size=150), 5).questions_text == "150"


def test_few_draws_of_a_slow_task_give_a_lower_bound():
    found = measure("p", Sleepy(10**9), 0.4)
    assert not found.counted and 0 < found.questions < MANY
    assert found.questions_per_s < 60


@pytest.mark.parametrize(
    ("drawn", "different", "expected"),
    [(0, 0, 0), (1, 1, 1), (200, 200, 6700), (400, 331, 800), (100, 10, 10)],
)
def test_the_lower_bound_follows_from_how_rarely_questions_repeat(drawn, different, expected):
    assert at_least(drawn, different) == pytest.approx(expected, rel=0.05)


def test_the_lower_bound_holds_for_a_known_space():
    import random

    rng, space = random.Random(1), 1000
    bounds = [at_least(300, len({rng.randrange(space) for _ in range(300)})) for _ in range(200)]
    assert sum(bound > space for bound in bounds) < 20  # 5 % of 200 are expected
    assert sorted(bounds)[100] > space / 2


def test_what_hangs_lacks_data_or_breaks_is_said_and_costs_bounded_time():
    start = time.monotonic()
    hanging = measure("p", Hangs(), 0.3)
    assert time.monotonic() - start < 60
    assert hanging.questions_per_s is None or hanging.questions < MANY
    assert measure("p", Lacks(), 1).problem == "no data here"
    assert "no luck" in measure("p", Breaks(), 1).problem


def test_a_slow_checker_shows():
    assert measure("p", SlowCheck(), 0.2).check_ms > 5
