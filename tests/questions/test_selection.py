"""Which tasks the patterns of a recipe name."""

from __future__ import annotations

import random

import pytest

from r1ci_plugins.errors import PluginError, R1CIError, RecipeError
from r1ci_plugins.questions.selection import pack_names, resolve_tasks
from r1ci_plugins.recipe.schema import Recipe, TaskGroup
from r1ci_plugins.tasks.task import Question, Task, TaskPack


class _Task(Task):
    levels = 2

    def __init__(self, name: str) -> None:
        self.name = name

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        return Question("?", "1")

    def check(self, question: Question, answer: str) -> bool:
        return False


PACKS = {
    "demo": TaskPack("demo", [_Task("add"), _Task("number_sorting"), _Task("word_sorting")]),
    "other": TaskPack("other", [_Task("add")]),
}


def _names(*patterns: str) -> list[str]:
    group = TaskGroup(tasks=list(patterns), count=1, split="rl")
    return [f"{pack.name}/{task.name}" for pack, task in resolve_tasks(group, PACKS)]


def test_task_patterns():
    assert _names("demo/add") == ["demo/add"]
    assert _names("demo/*_sorting") == ["demo/number_sorting", "demo/word_sorting"]
    assert _names("demo/word_sorting", "demo/*") == ["demo/word_sorting", "demo/add", "demo/number_sorting"]
    assert _names("*/add") == ["demo/add", "other/add"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("demo/ad", "did you mean 'demo/add'?"),
        ("number_sorting", "did you mean 'demo/number_sorting'?"),
        ("demo/x*", "no task is named 'demo/x*'"),
        ("", "no task is named ''"),
        ("big_bench/add", "pip install r1ci-tasks-big-bench"),
    ],
)
def test_unknown_tasks_and_packs(pattern, expected):
    with pytest.raises((RecipeError, PluginError)) as caught:
        _names(pattern)
    assert expected in str(caught.value)


def test_a_difficulty_that_a_task_lacks():
    with pytest.raises(R1CIError, match="demo/add has no difficulty 2"):
        resolve_tasks(TaskGroup(tasks=["demo/add"], count=1, difficulty=2), PACKS)


@pytest.mark.parametrize(
    ("held_out", "names"), [([], {"demo"}), (["other/add"], {"demo", "other"}), (["*/add"], None)]
)
def test_packs_that_a_recipe_needs(held_out, names):
    groups = [{"tasks": held_out, "count": 1}] if held_out else []
    tasks = {"train": [{"tasks": ["demo/add"], "count": 3}], "eval": groups}
    assert pack_names(Recipe.model_validate({"output_dir": "x", "model": "m", "tasks": tasks})) == names
