from __future__ import annotations

from collections import Counter
from importlib.metadata import entry_points

import pytest

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.plugins.packs import load_packs
from r1ci_plugins.questions.selection import pack_names, resolve_tasks, task_patterns
from r1ci_plugins.questions.suite import load_suite
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.recipe.schema import TaskGroup
from r1ci_plugins.tasks.task import Question, Task, TaskPack

SIZES = {"symbench": 33, "bbh": 27, "reasoning_gym": 84}
ONE = "  p/{}: {{capability: planning, part: {}}}\n"


def pack_of(name: str) -> str:
    return name.partition("/")[0]


def test_the_default_has_the_144_tasks_107_of_them_to_train_on():
    members = load_suite("default").members
    assert Counter(map(pack_of, members)) == SIZES
    assert Counter(member.part for member in members.values()) == {"train": 107, "test": 37}


def test_the_default_is_balanced_over_suites_and_capability_classes():
    members = load_suite("default").members
    for key in (lambda name: pack_of(name), lambda name: members[name].capability):
        everything = Counter(map(key, members))
        held_out = Counter(key(name) for name, member in members.items() if member.part == "test")
        assert len(everything) == 3
        for group, count in everything.items():
            assert abs(held_out[group] - count * 37 / 144) < 2, group


def test_the_parts_are_disjoint_and_make_up_the_whole():
    suite = load_suite("default")
    train, test = set(suite.tasks("train")), set(suite.tasks("test"))
    assert not train & test
    assert train | test == set(suite.members)


@pytest.mark.parametrize("pack", SIZES)
def test_the_default_names_the_tasks_of_the_installed_pack_and_their_classes(pack):
    if pack not in {entry.name for entry in entry_points(group="r1ci.task_packs")}:
        pytest.skip(f"{pack} is not installed")
    members = load_suite("default").members
    tasks = load_packs([pack])[pack].tasks
    assert {f"{pack}/{task.name}" for task in tasks} == {name for name in members if pack_of(name) == pack}
    for task in tasks:
        assert task.capability in ("", members[f"{pack}/{task.name}"].capability), task.name


def test_a_suite_or_a_task_can_be_left_out():
    suite = load_suite("default")
    left = suite.tasks("train", ["symbench", "bbh/snarks"])
    assert left == [n for n in suite.tasks("train") if pack_of(n) != "symbench" and n != "bbh/snarks"]
    assert 0 < len(left) < 107 - 20


def test_a_split_of_ones_own_is_named_by_path(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("tasks:\n" + ONE.format("a", "train") + ONE.format("b", "test") + ONE.format("c", "train"))
    assert load_suite(str(file)).tasks("train") == ["p/a", "p/c"]
    with pytest.raises(RecipeError, match="no tasks left in its part 'test'"):
        load_suite(str(file)).tasks("test", ["p"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "one key, tasks"),
        ("tasks: []", "one key, tasks"),
        ("tasks: {}", "one key, tasks"),
        ("tasks: {p/a: {capability: planning, part: train}}\nseed: 1", "one key, tasks"),
        ("tasks: [", "not valid YAML"),
        ("tasks: {a: {capability: planning, part: train}}", "write  pack/a: {capability"),
        ("tasks: {p/a: train}", "p/a: a task is written pack/task"),
        ("tasks: {p/a: {part: train}}", "with its capability and part"),
        ("tasks: {p/a: {capability: planing, part: train}}", "capability is 'planing'"),
        ("tasks: {p/a: {capability: planning, part: dev}}", "part is 'dev'"),
    ],
)
def test_a_file_that_is_no_split_says_what_is_wrong(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_suite(str(file))
    assert message in str(caught.value) and str(file) in str(caught.value)


def test_unknown_names_suggest_the_right_one():
    with pytest.raises(RecipeError, match="did you mean 'default'"):
        load_suite("defaults")
    with pytest.raises(RecipeError, match="did you mean 'symbench'"):
        load_suite("default").tasks("train", ["synbench"])


RECIPE = "output_dir: runs/x\nmodel: m\ntasks:\n  train: [{count: 1, %s}]\n"


def recipe(tmp_path, group):
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE % group)
    return load_recipe(file)


def test_a_recipe_names_a_part_of_a_suite_and_the_packs_follow(tmp_path):
    loaded = recipe(tmp_path, "suite: default, part: train, without: [symbench]")
    assert pack_names(loaded) == {"bbh", "reasoning_gym"}
    assert task_patterns(loaded.tasks.train[0]) == load_suite("default").tasks("train", ["symbench"])


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("split: rl", "name either tasks"),
        ("tasks: [bbh/*], suite: default, part: train", "name either tasks"),
        ("suite: default", "a suite needs its part"),
        ("suite: default, part: dev", "'train' or 'test'"),
        ("tasks: [bbh/*], part: train", "part and without select from a suite"),
        ("tasks: [bbh/*], without: [bbh/snarks]", "part and without select from a suite"),
        ("tasks: []", "at least 1 item"),
    ],
)
def test_a_group_that_contradicts_itself_is_refused(tmp_path, group, message):
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path, group)


def test_a_suite_resolves_to_the_tasks_of_the_packs(tmp_path):
    if "bbh" not in {entry.name for entry in entry_points(group="r1ci.task_packs")}:
        pytest.skip("bbh is not installed")
    group = TaskGroup(suite="default", part="test", without=["symbench", "reasoning_gym"], count=1)
    names = load_suite("default").tasks("test", ["symbench", "reasoning_gym"])
    assert [f"{pack.name}/{task.name}" for pack, task in resolve_tasks(group, load_packs(["bbh"]))] == names


def test_a_task_that_the_installed_pack_lacks_is_named_with_what_to_do(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("tasks:\n" + ONE.format("a", "train") + ONE.format("b", "train"))
    pack = TaskPack("p", [Asks()])
    with pytest.raises(RecipeError, match="names p/b, which the installed pack 'p' does not have") as caught:
        resolve_tasks(TaskGroup(suite=str(file), part="train", count=1), {"p": pack})
    assert "without: [p/b]" in str(caught.value)


class Asks(Task):
    name = "a"

    def generate(self, rng, difficulty):
        return Question("?", "!")

    def check(self, question, answer):
        return answer == "!"
