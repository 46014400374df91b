from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1ci_plugins.errors import TaskError
from r1ci_plugins.questions.splits import SHARES, candidate, draw, normalised, split_of
from r1ci_plugins.tasks.task import Question, Task


class Doubling(Task):
    """Asks for twice a number below ``space``, so that small spaces run out."""

    name = "doubling"
    levels = 3

    def __init__(self, space: int = 10**6) -> None:
        self.space = space

    def generate(self, rng, difficulty):
        n = rng.randrange(self.space * 10 ** (difficulty or 0))
        return Question(f"What is twice {n}?", str(2 * n))

    def check(self, question, answer):
        return answer == question.answer


class Broken(Doubling):
    def __init__(self, result):
        super().__init__()
        self.result = result

    def generate(self, rng, difficulty):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def texts(*arguments, **keywords) -> list[str]:
    return [normalised(question.text) for question in draw("p", *arguments, **keywords)]


@given(seed=st.integers(), split=st.sampled_from(list(SHARES)), level=st.sampled_from([None, 0, 2]))
@settings(max_examples=30)
def test_drawing_is_repeatable_and_a_longer_draw_starts_like_a_shorter_one(seed, split, level):
    drawn = list(draw("p", Doubling(), split, seed, 12, level))
    assert drawn == list(draw("p", Doubling(), split, seed, 20, level))[:12]
    assert all((q.task, q.split, q.seed, q.difficulty) == ("p/doubling", split, seed, level) for q in drawn)
    assert all(candidate("p", Doubling(), q.split, q.index, q.seed, q.difficulty) == q for q in drawn)


@given(
    seeds=st.tuples(*[st.integers()] * 3),
    levels=st.tuples(*[st.sampled_from([None, 0, 1])] * 3),
    space=st.sampled_from([300, 10**6]),
)
@settings(max_examples=30)
def test_no_text_is_in_two_splits_whatever_the_seeds_and_levels(seeds, levels, space):
    drawn = [
        set(texts(Doubling(space), split, seed, 15, level))
        for split, seed, level in zip(SHARES, seeds, levels, strict=True)
    ]
    assert sum(map(len, drawn)) == len(set.union(*drawn)) == 45


def test_other_seeds_packs_and_levels_give_other_questions():
    streams = [
        [q.text for q in draw(pack, Doubling(), "rl", seed, 30, level)]
        for pack, seed, level in [("p", 1, None), ("p", 2, None), ("q", 1, None), ("p", 1, 1)]
    ]
    assert len({text for stream in streams for text in stream}) > 110


def test_the_splits_have_their_shares():
    found = Counter(split_of(f"question {n}") for n in range(4000))
    assert all(abs(found[split] / 40 - share) < 4 for split, share in SHARES.items())


@given(st.text(), st.sampled_from([" ", "\n", "\t ", "\u00a0"]))
def test_case_and_white_space_do_not_move_a_text_to_another_split(text, blank):
    variant = blank + blank.join(text.split()) + blank
    assert normalised(variant) == normalised(text)
    assert split_of(variant) == split_of(text)


def test_a_text_that_recurs_is_drawn_once():
    drawn = texts(Doubling(60), "rl", 1, 20)
    assert len(set(drawn)) == 20


def test_a_task_with_too_few_questions_says_how_many_there_are():
    possible = {n for n in range(40) if split_of(f"What is twice {n}?") == "test"}
    with pytest.raises(TaskError, match=f"only {len(possible)} different questions found, 40 asked for") as caught:
        texts(Doubling(40), "test", 1, 40)
    assert "p/doubling" in str(caught.value) and "lower the count" in str(caught.value)


@pytest.mark.parametrize("level", [-1, 3, 99])
def test_a_level_that_does_not_exist_is_refused(level):
    with pytest.raises(TaskError, match=f"difficulty {level} does not exist"):
        texts(Doubling(), "rl", 1, 1, level)


def test_a_split_that_does_not_exist_is_refused():
    with pytest.raises(TaskError, match="no split 'dev'.*\n.*sft, rl, test"):
        texts(Doubling(), "dev", 1, 1)


def test_a_task_that_raises_is_named_with_its_cause():
    with pytest.raises(TaskError, match="ZeroDivisionError: no luck") as caught:
        texts(Broken(ZeroDivisionError("no luck")), "rl", 5, 1)
    assert "p/doubling" in str(caught.value) and "seed 5" in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "result", [None, "What?", ("?", "!"), Question("  ", "!"), Question("?", 7), Question("?", None)]
)
def test_a_task_that_returns_no_question_is_named(result):
    with pytest.raises(TaskError, match="not a Question with text and answer"):
        texts(Broken(result), "rl", 1, 1)


def test_drawing_does_not_touch_the_global_random_stream():
    random.seed(1)
    state = random.getstate()
    texts(Doubling(), "rl", 1, 5)
    assert random.getstate() == state


def test_questions_are_the_same_in_every_process():
    program = (
        "import random; from r1ci_plugins.questions.splits import *; from r1ci_plugins.tasks.task import *\n"
        "class T(Task):\n"
        "    name = 't'\n"
        "    def generate(self, rng, difficulty): return Question(f'{rng.getrandbits(64)}?', '!')\n"
        "    def check(self, question, answer): return True\n"
        "print([q.text for q in draw('p', T(), 'sft', 3, 10)])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": h}, capture_output=True, text=True, check=True
        )
        for h in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
