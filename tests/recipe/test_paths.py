"""Every key that takes a path reads it as a shell does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe.loading import dump_for_record, load_recipe

KEYS = (
    "output_dir", "model", "sft.trajectories", "sandbox.python", "synthesis.local.model", "tasks.train.0.suite",
    "trainer.ckpt.path", "trainer.ckpt.output_dir", "trainer.logger.tensorboard_dir", "trainer.eval.dataset",
    "trainer.actor.model_name_or_path", "trainer.critic.model_name_or_path", "trainer.train.agent_func_path",
)  # fmt: skip


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("SCRATCH", "/scratch/ann")
    monkeypatch.delenv("NOWHERE", raising=False)
    file = tmp_path / "r.yaml"
    file.write_text("output_dir: x\nmodel: y\ntasks: {train: [{suite: default, part: train, count: 1}]}\n")
    return file


def value(recipe, key):
    if key.startswith("trainer."):
        return recipe.flags()[key.removeprefix("trainer.")]
    found = recipe.model_dump()
    for part in key.split("."):
        found = found[int(part) if part.isdecimal() else part]
    return found


@pytest.mark.parametrize("key", KEYS)
def test_home_and_variables_are_replaced(key, recipe):
    for text, expected in {
        "~/runs/a": "/home/ann/runs/a", "$HOME/a": "/home/ann/a", "${SCRATCH}/b c": "/scratch/ann/b c", "a/~b": "a/~b"
    }.items():  # fmt: skip
        assert value(load_recipe(recipe, [f"{key}={text}"]), key) == expected


@pytest.mark.parametrize("key", KEYS)
def test_a_variable_that_is_not_set_is_an_error(key, recipe):
    with pytest.raises(RecipeError, match="NOWHERE.*is not set"):
        load_recipe(recipe, [f"{key}=$NOWHERE/x"])
    with pytest.raises(RecipeError, match="no user of that name"):
        load_recipe(recipe, [f"{key}=~nobody-of-this-name/x"])


def test_a_recorded_recipe_names_what_is_here_by_its_whole_path(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    found = load_recipe(recipe, ["model=model", "sft.trajectories=none.jsonl"])
    recorded = yaml.safe_load(dump_for_record(found))
    assert recorded["model"] == str(Path("model").absolute()) and recorded["sft"]["trajectories"] == "none.jsonl"
    hub = load_recipe(recipe, ["model=Qwen/Qwen2.5-3B-Instruct"])
    assert yaml.safe_load(dump_for_record(hub))["model"] == "Qwen/Qwen2.5-3B-Instruct"
