"""Which of a recipe's questions become prompts; rendering itself is tested with the chat template."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from r1ci_plugins.errors import TaskError
from r1ci_plugins.questions.fitting import fitting_questions
from r1ci_plugins.questions.selection import resolve_draws
from r1ci_plugins.questions.splits import SHARES, split_of
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.tasks.task import Question, Task, TaskPack

RECIPE = """
output_dir: runs/none
model: m
seed: 5
tasks: {train: [TRAIN], eval: [{tasks: [p/numbers], count: 5}]}
"""


class Numbers(Task):
    """Asks ``n``; texts have as many words as the number has digits."""

    name = "numbers"
    levels = 2

    def __init__(self, size: int | None = None) -> None:
        self.size = size

    def generate(self, rng, difficulty):
        n = rng.randrange(self.size or 10 ** rng.randint(1, 6))
        return Question(" ".join(str(n)), str(n))

    def check(self, question, answer):
        return answer == question.answer


class Long(Numbers):
    name = "long"

    def generate(self, rng, difficulty):
        return Question("word " * 20 + str(rng.random()), "1")


class Data(Numbers):
    name = "data"


PACKS = {"p": TaskPack("p", [Numbers(), Long(), Data(40)])}
TEMPLATE = SimpleNamespace(prompt=lambda text: SimpleNamespace(token_ids=text.split()))


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.setenv("R1CI_CACHE", str(tmp_path / "cache"))

    def find(train: str, room: int = 100, purpose: str = "train"):
        file = tmp_path / "recipe.yaml"
        file.write_text(RECIPE.replace("TRAIN", train))
        recipe, counts = load_recipe(file), []
        return fitting_questions(
            resolve_draws(recipe, purpose, PACKS),
            purpose,
            packs=PACKS,
            plugins=[],
            template=TEMPLATE,
            room=room,
            seed=recipe.seed,
            progress=counts.append,
            jobs=1,
        )

    return find


def test_what_does_not_fit_is_left_out_and_counted(found):
    one = found("{tasks: [p/numbers], count: 80}", room=5)
    assert all(len(question.answer) < 5 for question in one.questions)
    (note,) = one.notes
    missing, total = map(int, re.match(r"(\d+) of (\d+) train questions do not fit 5 tokens", note).groups())
    assert total == 80 and 0 < missing == 80 - len(one.questions)


def test_a_task_without_any_question_that_fits_is_an_error(found):
    with pytest.raises(TaskError, match="every question of p/long is longer than the context of 10 tokens"):
        found("{tasks: ['p/*'], count: 5}", room=10)


def test_a_question_is_asked_once_however_often_groups_draw_it(found):
    twice = found("{tasks: [p/numbers], count: 40}, {tasks: [p/numbers], count: 40}")
    texts = [question.text for question in twice.questions]
    assert len(set(texts)) == len(texts) == 40
    assert "40 of 80 train questions repeat another one and were left out" in twice.notes


def test_a_task_of_fixed_size_that_gives_fewer_is_noted(found):
    has = sum(split_of(" ".join(str(n))) == "rl" for n in range(40))
    assert 0 < has < 40 and "rl" in SHARES
    short = found("{tasks: [p/data], count: 40}")
    assert len(short.questions) == has
    assert short.notes == [f"p/data has {has} questions of split rl, 40 were asked for"]


def test_training_questions_are_shuffled_the_same_way_each_time_and_evaluation_is_not(found):
    first, again = (found("{tasks: [p/numbers, p/long], count: 30}").questions for _ in range(2))
    assert first == again and len(first) == 60
    assert len({question.task for question in first[:30]}) == 2
    held_out = found("{tasks: [p/numbers], count: 1}", purpose="eval").questions
    assert [question.index for question in held_out] == sorted(question.index for question in held_out)
