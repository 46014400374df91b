from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.errors import PluginError, TaskError
from r1ci_plugins.tasks.task import Question, Score, Task, TaskPack

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


class Named(Task):
    def __init__(self, name: str) -> None:
        self.name = name

    def generate(self, rng, difficulty):
        return Question("?", "!")

    def check(self, question, answer):
        return False


@given(
    text=TEXT,
    answer=TEXT,
    metadata=st.dictionaries(TEXT, JSON, max_size=5),
    index=st.integers(),
    seed=st.integers(),
    difficulty=st.none() | st.integers(0, 50),
)
def test_a_question_survives_json(text, answer, metadata, index, seed, difficulty):
    question = Question(text, answer, metadata, "pack/task", "rl", index, seed, difficulty)
    line = question.to_json()
    assert "\n" not in line
    assert Question.from_json(line) == question


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, b"x", object()])
def test_metadata_that_json_cannot_carry_is_refused_and_the_question_named(value):
    question = Question("?", "!", {"value": value}, "pack/task", "rl", 3, 7)
    with pytest.raises(TaskError, match="metadata is not JSON") as caught:
        question.to_json()
    assert question.key in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"text": "?"}', '{"text": "?", "answer": "!", "x": 1}'])
def test_what_is_not_a_question_is_refused(text):
    with pytest.raises(TaskError, match="not a serialised question"):
        Question.from_json(text)


def test_keys_tell_questions_apart():
    keys = {
        Question("?", "!", {}, task, split, index, seed, difficulty).key
        for task in ("a/b", "a/c")
        for split in ("sft", "rl")
        for index in (0, 1)
        for seed in (0, 1)
        for difficulty in (None, 0, 1)
    }
    assert len(keys) == 48


@given(st.floats(0, 1) | st.booleans())
def test_a_score_is_correct_only_at_one(value):
    assert Score(value).correct == (value == 1)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf, "1", None, 2])
def test_a_score_outside_0_to_1_is_refused(value):
    with pytest.raises(ValueError, match="finite number in"):
        Score(value)


def test_a_pack_finds_its_tasks_by_name():
    pack = TaskPack("p", [Named("a"), Named("b")])
    assert pack["b"].name == "b"
    with pytest.raises(KeyError):
        pack["c"]


@pytest.mark.parametrize(
    ("pack", "tasks"), [("p", ["a", "a"]), ("p", [""]), ("p", ["a/b"]), ("", ["a"]), ("p/q", ["a"])]
)
def test_a_pack_with_ambiguous_names_is_refused(pack, tasks):
    with pytest.raises(PluginError, match="unique in their pack"):
        TaskPack(pack, [Named(name) for name in tasks])


@given(st.integers(1, 9), st.integers())
def test_the_default_level_is_drawn_from_all_and_a_level_asked_for_uses_no_randomness(levels, seed):
    task, rng = Named("a"), random.Random(seed)
    task.levels = levels
    assert [task.level(rng, level) for level in range(levels)] == list(range(levels))
    assert task.level(rng, None) == random.Random(seed).randrange(levels)
