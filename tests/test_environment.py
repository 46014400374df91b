"""One way from a recipe to a run: what ``prepare`` finds, loads and refuses."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from r1ci_plugins.environment import Prepared, episode_budget, prepare
from r1ci_plugins.errors import MachineProblem, PluginError, RecipeError, TemplateError
from r1ci_plugins.questions.fitting import check_thinking
from r1ci_plugins.recipe import openrlhf_flags
from r1ci_plugins.recipe.schema import ProtocolConfig, Recipe
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED

needs_openrlhf = pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="needs OpenRLHF")


def recipe(**keys) -> Recipe:
    tasks = {"train": [{"tasks": ["reasoning_gym/gcd"], "count": 2}]}
    return Recipe.model_validate({"output_dir": "runs/none", "model": "some/model", "tasks": tasks} | keys)


def prepared(command="train_ppo", arguments=(), **keys) -> Prepared:
    return prepare(recipe(**keys), plugins=["r1ci"], command=command, arguments=arguments)


@needs_openrlhf
@pytest.mark.parametrize("command", ["train_ppo", "train_sft"])
def test_the_context_is_the_smallest_of_flag_recipe_and_default(command):
    default = openrlhf_flags.flags(command)["data.max_len"].default
    assert prepared(command).context == default
    assert prepared(command, protocol={"max_total_tokens": 900}).context == 900
    shorter = {"protocol": {"max_total_tokens": 900}, "trainer": {"data.max_len": 700}}
    assert prepared(command, **shorter).context == 700
    assert prepared(command, ["--data.max_len", "600"], **shorter).context == 600


@needs_openrlhf
@pytest.mark.parametrize("command", ["train_ppo", "train_sft"])
def test_the_context_known_without_openrlhf_is_openrlhfs_default(command):
    assert openrlhf_flags.flags(command)["data.max_len"].default == openrlhf_flags.MAX_LEN


def test_without_openrlhf_only_its_flags_are_unchecked(monkeypatch):
    def absent(command):
        raise MachineProblem("OpenRLHF is not installed")

    openrlhf_flags.flags.cache_clear()
    monkeypatch.setattr(openrlhf_flags, "find_cli", absent)
    try:
        found = prepared(trainer={"data.max_len": 500, "no.such.flag": 1})
        assert found.unchecked == "OpenRLHF is not installed" and list(found.packs) == ["reasoning_gym"]
        assert "trainer flags not checked: OpenRLHF is not installed" in found.findings()
        assert found.context == 500
        with pytest.raises(MachineProblem):
            found.flag("eval.temperature")
    finally:
        openrlhf_flags.flags.cache_clear()


@needs_openrlhf
def test_the_first_wrong_thing_is_named():
    with pytest.raises(RecipeError, match="no flag --no.such.flag"):
        prepared(trainer={"no.such.flag": 1})
    with pytest.raises(PluginError, match="not installed"):
        prepared(tasks={"train": [{"tasks": ["nowhere/gcd"], "count": 1}]})
    with pytest.raises(RecipeError, match="there is no reward term 'speed'"):
        prepared(rewards={"speed": {}}).environment()


def test_records_are_looked_at_without_packs_and_flags():
    gone = {"tasks": {"train": [{"tasks": ["uninstalled/task"], "count": 1}]}, "trainer": {"an.old.flag": 1}}
    found = prepared(None, **gone)
    assert not found.packs and not found.flags and found.loss_mask() is MASKED
    assert found.loss_mask("unmasked") is UNMASKED


def test_every_cap_of_an_episode_comes_from_the_recipe():
    protocol = ProtocolConfig(
        max_code_calls=1, max_turn_tokens=2, max_total_tokens=3, max_output_chars=4, deadline_s=5
    )
    assert list(vars(episode_budget(protocol, 100)).values()) == [1, 2, 100, 3, 4, 5]
    assert episode_budget(protocol, 100, 7).max_action_tokens == 7
    assert episode_budget(ProtocolConfig(), 100).max_total_tokens == 100


def test_thinking_that_a_template_cannot_carry_is_refused():
    drops = SimpleNamespace(keeps_thinking=False)
    check_thinking(recipe(), drops)
    with pytest.raises(TemplateError, match="drops <think>"):
        check_thinking(recipe(protocol={"earlier_thinking": "template"}), drops)
