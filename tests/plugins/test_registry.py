from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from r1ci_plugins.errors import PluginError, RecipeError
from r1ci_plugins.plugins.packs import load_packs, pack_versions
from r1ci_plugins.plugins.registry import KINDS, installed, load_plugins

HEAD = "from r1ci_plugins import Question, Task, TaskPack, hookimpl\n"
TERM = HEAD + "@hookimpl\ndef r1ci_reward_terms():\n    return {'length': lambda *, weight=1.0: weight}\n"
PACK = (
    HEAD
    + """
class Doubling(Task):
    name = "doubling"
    def generate(self, rng, difficulty):
        return Question(text="What is twice 2?", answer="4")
    def check(self, question, answer):
        return answer == "4"

@hookimpl
def r1ci_task_packs():
    return [TaskPack("demo", [Doubling()])]
"""
)
PACKS = "r1ci.task_packs"
OBSERVER = HEAD + "seen = []\n@hookimpl\ndef r1ci_trajectory_finished(trajectory): seen.append(trajectory)\n"


@pytest.fixture
def announce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Install a distribution of one module, for real: a dist-info folder and a file on ``sys.path``.

    Returns the search path, so that a test sees its own distributions and no others.
    """
    monkeypatch.syspath_prepend(str(tmp_path))
    modules: list[str] = []

    def install(
        distribution: str, source: str, *, name: str, group: str = "r1ci.plugins", version: str = "1.2.3"
    ) -> list[str]:
        module = distribution.replace("-", "_")
        modules.append(module)
        (tmp_path / f"{module}.py").write_text(dedent(source))
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        return [str(tmp_path)]

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def test_a_plugin_registers_through_its_entry_point(announce):
    path = announce("acme-rewards", TERM, name="acme")
    plugins = load_plugins(["acme"], path=path)
    assert list(plugins.reward_terms) == ["length"]
    assert plugins.make("reward_terms", "length", {"weight": 0.5}) == 0.5
    (origin,) = plugins.versions
    assert (origin.kind, origin.name, origin.distribution, origin.version) == (
        "plugin",
        "acme",
        "acme-rewards",
        "1.2.3",
    )


def test_only_named_plugins_are_imported(announce):
    path = announce("acme-rewards", TERM, name="acme")
    announce("bomb", "raise RuntimeError('imported')", name="bomb")
    assert load_plugins(["acme"], path=path).reward_terms
    assert not load_plugins([], path=path).reward_terms


def test_an_unknown_plugin_suggests_the_nearest_and_lists_the_installed(announce):
    path = announce("acme-rewards", TERM, name="acme")
    with pytest.raises(PluginError, match="there is no plugin 'acne'") as caught:
        load_plugins(["acne"], path=path)
    assert "did you mean 'acme'?" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise OSError('libfoo.so is missing')", "OSError: libfoo.so is missing"),
        ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        (HEAD + "@hookimpl\ndef r1ci_reward_term(): return {}", "did you mean 'r1ci_reward_terms'?"),
        (HEAD + "@hookimpl\ndef r1ci_reward_terms(recipes): return {}", "recipes"),
        (HEAD + "def r1ci_reward_terms(): return {}", "without the mark @r1ci_plugins.hookimpl"),
        ("", "it would do nothing"),
        (HEAD + "@hookimpl\ndef r1ci_reward_terms(): return 1 / 0", "ZeroDivisionError"),
        (HEAD + "@hookimpl\ndef r1ci_reward_terms(): pass", "returned None, not a mapping"),
        (HEAD + "@hookimpl\ndef r1ci_reward_terms(): return {'length': 3}", "not a mapping of names to callables"),
        (HEAD + "@hookimpl\ndef r1ci_task_packs(): return ['demo']", "not a list of TaskPack"),
    ],
)
def test_a_broken_plugin_is_named_with_distribution_version_and_cause(announce, source, expected):
    path = announce("acme-rewards", source, name="acme", version="9.8")
    with pytest.raises(PluginError) as caught:
        load_plugins(["acme"], path=path)
    message = str(caught.value)
    assert "'acme'" in message and "acme-rewards 9.8" in message and expected in message
    (listed,) = installed(path=path)
    assert expected in listed.error and not listed.registers


def test_one_name_announced_by_two_distributions_is_refused(announce):
    announce("acme-rewards", TERM, name="acme")
    path = announce("other", TERM, name="acme")
    with pytest.raises(PluginError, match="announced 2 times") as caught:
        load_plugins(["acme"], path=path)
    assert "acme-rewards 1.2.3" in str(caught.value) and "other 1.2.3" in str(caught.value)
    assert all("announced 2 times" in one.error for one in installed(path=path))


def test_one_plugin_named_twice_is_refused(announce):
    path = announce("acme-rewards", TERM, name="acme")
    with pytest.raises(PluginError, match="named twice"):
        load_plugins(["acme", "acme"], path=path)


def test_two_plugins_that_register_one_name_are_refused(announce):
    announce("acme-rewards", TERM, name="acme")
    path = announce("other", TERM, name="other")
    with pytest.raises(PluginError, match="two plugins register the reward term 'length'"):
        load_plugins(["acme", "other"], path=path)


def test_make_checks_names_and_options(announce):
    source = HEAD + (
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Length:\n    limit: int\n    weight: float = 1.0\n    words: tuple[str, ...] = ()\n"
        "    def __post_init__(self):\n        if self.limit < 0: raise ValueError('limit is negative')\n"
        "@hookimpl\ndef r1ci_reward_terms(): return {'length': Length}\n"
    )
    plugins = load_plugins(["acme"], path=announce("acme-rewards", source, name="acme"))
    made = plugins.make("reward_terms", "length", {"limit": 3, "weight": "1e-2", "words": ["a", "b"]})
    assert (made.limit, made.weight, made.words) == (3, 0.01, ("a", "b"))
    for name, options, expected in [
        ("lenght", {}, "did you mean 'length'?"),
        ("length", {}, "needs the option 'limit'"),
        ("length", {"limit": 3, "wieght": 1.0}, "did you mean 'weight'?"),
        ("length", {"limit": "many"}, "the option 'limit'"),
        ("length", {"limit": True}, "got true"),
        ("length", {"limit": -1}, "limit is negative"),
    ]:
        with pytest.raises(RecipeError) as caught:
            plugins.make("reward_terms", name, options)
        assert expected in str(caught.value) and "rewards" in str(caught.value)


def test_packs_are_loaded_by_name_or_all(announce):
    path = announce("r1ci-tasks-demo", PACK, name="demo", group=PACKS)
    assert [task.name for task in load_packs(path=path)["demo"].tasks] == ["doubling"]
    assert list(load_packs(["demo"], path=path)) == ["demo"] and load_packs([], path=path) == {}
    assert [str(o) for o in pack_versions(["demo"], path=path)] == ["task pack 'demo' of r1ci-tasks-demo 1.2.3"]
    assert installed(path=path)[0].registers == ("1 tasks",)


def test_a_missing_pack_says_what_to_install(announce):
    path = announce("r1ci-tasks-demo", PACK, name="demo", group=PACKS)
    with pytest.raises(PluginError, match="pip install r1ci-tasks-reasoning-gym"):
        load_packs(["reasoning_gym"], path=path)


def test_a_pack_has_its_entry_points_name(announce):
    path = announce("r1ci-tasks-demo", PACK, name="other", group=PACKS)
    with pytest.raises(PluginError, match="registers the task packs \\['demo'\\]"):
        load_packs(["other"], path=path)


def test_packs_of_plugins_count_and_may_not_clash(announce):
    path = announce("acme-tasks", PACK, name="acme")
    plugins = load_plugins(["acme"], path=path)
    assert list(load_packs(["demo"], own=plugins.packs, path=path)) == ["demo"]
    announce("r1ci-tasks-demo", PACK, name="demo", group=PACKS)
    with pytest.raises(PluginError, match="a plugin registers the task pack 'demo', and one of that name"):
        load_packs(own=plugins.packs, path=path)


def test_trainer_arguments_are_merged_and_conflicts_refused(announce):
    source = HEAD + "@hookimpl\ndef r1ci_trainer_arguments(recipe, command): return {command: recipe, 'a': {value}}\n"
    announce("one", source.replace("{value}", "1"), name="one")
    path = announce("two", source.replace("{value}", "2"), name="two")
    assert load_plugins(["one"], path=path).trainer_arguments(7, "sft") == {"sft": 7, "a": 1}
    with pytest.raises(PluginError, match="two plugins set the trainer flag 'a': 1 and 2"):
        load_plugins(["one", "two"], path=path).trainer_arguments(7, "sft")


def test_an_observer_sees_trajectories_and_its_exception_is_logged(announce, caplog):
    path = announce("bad", HEAD + "@hookimpl\ndef r1ci_trajectory_finished(): raise ValueError('oops')\n", name="bad")
    announce("good", OBSERVER, name="good")
    plugins = load_plugins(["bad", "good"], path=path)
    with caplog.at_level(logging.ERROR):
        plugins.notify("trajectory")
    import good

    assert good.seen == ["trajectory"]
    assert "'bad' of bad 1.2.3" in caplog.text and "oops" in caplog.text


def test_the_built_in_behaviour_is_a_plugin_like_any_other():
    plugins = load_plugins(["r1ci"])
    assert all(getattr(plugins, kind) for kind in KINDS)
    assert {"correctness", "format", "efficiency"} <= set(plugins.reward_terms)
    assert {"masked", "unmasked"} <= set(plugins.loss_masks)


MADE = """
class Made:
    def __init__(self, **values): vars(self).update(values)
class Box(Made):
    isolation = "mine"
    async def start(self): pass
    async def run(self, code, limits): pass
    async def close(self): pass
class Lazy(Box):
    def run(self, code, limits): pass
"""


@pytest.mark.parametrize(
    ("kind", "factory", "expected"),
    [
        ("reward_terms", "lambda trajectory: 0.1", "it is the reward term itself"),
        ("reward_terms", "lambda t: 0.1", "it is the reward term itself"),
        ("reward_terms", "lambda: None", "the factory returns no value"),
        ("reward_terms", "lambda: 0.5", "cannot be called with (trajectory)"),
        ("reward_terms", "lambda: lambda: 0.5", "does not take (trajectory)"),
        ("loss_masks", "lambda trajectory: []", "it is the loss mask itself"),
        ("loss_masks", "lambda: []", "cannot be called with (trajectory)"),
        ("verifiers", "lambda task, question, answer: 1", "it is the verifier itself"),
        ("verifiers", "lambda: lambda question, answer: 1", "does not take (task, question, answer)"),
        ("answer_formats", "lambda: Made(parse=lambda text: 0, instructions='x')", "has no `stop`"),
        ("answer_formats", "lambda: Made(stop='end', parse=len, instructions='x')", "has no `stop`"),
        ("answer_formats", "lambda: Made(stop=(), parse=len)", "has no text `instructions`"),
        ("answer_formats", "lambda: Made(stop=(), instructions='x')", "has no method `parse(text)`"),
        ("sandboxes", "lambda concurrency, python: Box(close=None)", "has no method `close`"),
        ("sandboxes", "lambda concurrency, python: Box(isolation=None)", "has no text `isolation`"),
        ("sandboxes", "lambda concurrency, python: Lazy()", "has a `run` that is not async"),
    ],
)
def test_what_a_run_could_not_use_is_found_when_it_is_put_together(announce, kind, factory, expected):
    source = f"{HEAD}{MADE}@hookimpl\ndef r1ci_{kind}(): return {{'mine': {factory}}}"
    plugins = load_plugins(["acme"], path=announce("acme-plugins", source, name="acme", version="9.8"))
    options = {"concurrency": None, "python": None} if kind == "sandboxes" else {}
    with pytest.raises(PluginError) as caught:
        plugins.build(kind, "mine", options)
    assert expected in caught.value.what and "acme-plugins 9.8" in (caught.value.where or "")
    assert "'mine' of the plugin 'acme'" in caught.value.what and caught.value.fix


def test_all_that_is_built_in_passes_the_same_checks():
    plugins = load_plugins(["r1ci"])
    for kind in ("answer_formats", "verifiers", "reward_terms", "loss_masks"):
        for name in getattr(plugins, kind):
            plugins.build(kind, name, {"weight": 0.05} if name == "auxiliary" else {})
    for name in plugins.sandboxes:
        plugins.build("sandboxes", name, {"concurrency": 1, "python": None})


@pytest.mark.parametrize(
    ("group", "load"),
    [
        ("r1ci.task_pack", load_packs),
        ("r1ci.plugins", load_packs),
        ("r1ci_plugins", load_plugins),
        ("r1ci.task_packs", load_plugins),
    ],
)
def test_a_typo_in_the_group_is_named_in_place_of_a_download(announce, group, load):
    path = announce("acme-tasks", "", name="acme", group=group)
    with pytest.raises(PluginError, match=re.escape(f"group {group!r}")) as caught:
        load(["acme"], path=path)
    assert "pip install" not in str(caught.value) and "entry-points" in str(caught.value)


def test_the_recipe_settles_what_two_plugins_differ_about(announce):
    source = HEAD + "@hookimpl\ndef r1ci_trainer_arguments(): return {{'train.seed': {}}}"
    announce("one", source.format(1), name="one")
    plugins = load_plugins(["one", "two"], path=announce("two", source.format(2), name="two"))
    with pytest.raises(PluginError, match="decide it in the recipe"):
        plugins.trainer_arguments(None, "train_ppo")
    assert "train.seed" in plugins.trainer_arguments(None, "train_ppo", decided=["train.seed"])
