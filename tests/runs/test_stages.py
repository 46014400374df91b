from __future__ import annotations

from pathlib import Path

import pytest

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.runs.stages import load_stages

STAGED = """
output_dir: runs/staged
model: base-model
seed: 3
tasks:
  train: [{tasks: [demo/sum], count: 4}]
  eval: [{tasks: [demo/sum], count: 2}]
protocol: {max_code_calls: 2, deadline_s: 60}
trainer: {ds.zero_stage: 0}
stages:
  - {name: base, run: evaluate}
  - name: material
    run: synthesize
    protocol: {max_code_calls: 5}
    tasks: {train: [{tasks: [demo/sum], count: 90}]}
  - name: sft
    run: train_sft
    launcher: torchrun --nproc_per_node 8
    trainer: {train.max_epochs: 3}
  - {name: rl, run: train_ppo, seed: 9}
"""


@pytest.fixture
def stages(tmp_path):
    """Stages of a recipe, with replacements in its text."""

    def load(*overrides, without=(), **replacements):
        text = STAGED
        for old, new in replacements.items():
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "staged.yaml"
        file.write_text(text)
        return load_stages(file, overrides, without)

    return load


def test_a_stage_has_the_shared_keys_and_its_own_over_them(stages):
    base, material, sft, rl = stages()
    assert [(stage.name, stage.command) for stage in (base, material, sft, rl)] == [
        ("base", "evaluate"),
        ("material", "synthesize"),
        ("sft", "train_sft"),
        ("rl", "train_ppo"),
    ]
    assert material.recipe.protocol.max_code_calls == 5 and material.recipe.protocol.deadline_s == 60
    assert material.recipe.tasks.train[0].count == 90 and material.recipe.tasks.eval[0].count == 2
    assert (base.recipe.protocol.max_code_calls, rl.recipe.tasks.train[0].count) == (2, 4)
    assert (base.recipe.seed, rl.recipe.seed) == (3, 9)
    assert sft.recipe.flags() == {"ds.zero_stage": 0, "train.max_epochs": 3}
    assert sft.launcher == "torchrun --nproc_per_node 8"
    assert {stage.recipe.output_dir for stage in stages()} == {
        f"runs/staged/{s}" for s in ("base", "material", "sft", "rl")
    }


def test_each_stage_starts_from_what_the_ones_before_left(stages):
    base, material, sft, rl = stages()
    assert base.recipe.model == material.recipe.model == sft.recipe.model == "base-model"
    assert sft.recipe.sft.trajectories == "runs/staged/material/trajectories.jsonl.gz"
    assert Path(rl.recipe.model) == Path("runs/staged/sft/model")


def test_a_cold_start_is_the_same_recipe_without_its_warm_stages(stages):
    base, rl = stages("output_dir=runs/cold", without=["material", "sft"])
    assert rl.recipe.model == "base-model" and rl.recipe.output_dir == "runs/cold/rl"
    with pytest.raises(RecipeError, match="there is no stage 'stf'") as raised:
        stages(without=["stf"])
    assert "sft" in raised.value.fix
    with pytest.raises(RecipeError, match="no stage is left"):
        stages(without=["base", "material", "sft", "rl"])


def test_what_a_stage_names_itself_wins(stages):
    (*_, sft, rl) = stages("stages.sft.sft={trajectories: mine.jsonl}", "stages.rl.model=other")
    assert (sft.recipe.sft.trajectories, rl.recipe.model) == ("mine.jsonl", "other")


def test_overrides_are_for_all_stages_or_for_one(stages):
    loaded = stages("seed=5", "stages.sft.trainer.adam.lr=1e-5", "stages.rl.protocol.max_code_calls=1")
    assert {stage.recipe.seed for stage in loaded} == {5}
    assert float(loaded[2].recipe.flags()["adam.lr"]) == 1e-5
    assert [stage.recipe.protocol.max_code_calls for stage in loaded] == [2, 5, 2, 1]
    with pytest.raises(RecipeError, match="there is no stage 'rll'"):
        stages("stages.rll.seed=1")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("run: evaluate", "run: evalute", "run: 'evalute' is not a command"),
        ("{name: base, run: evaluate}", "{name: base}", "run: None is not a command"),
        ("name: sft", "name: ../sft", "needs a name of letters"),
        ("name: sft", "name: base", "two stages are named base"),
        ("name: rl, run: train_ppo", "name: rl, run: train_ppo, output_dir: x", "output_dir is the whole recipe's"),
        ("run: train_ppo", "run: train_ppo, launcher: torchrun", "launcher is a command that starts train_sft"),
        ("run: synthesize", "run: evaluate", "train_sft needs trajectories"),
        ("  train: [{tasks: [demo/sum], count: 4}]\n", "", "train_ppo needs questions"),
        ("  eval: [{tasks: [demo/sum], count: 2}]\n", "", "evaluate needs questions"),
        ("max_code_calls: 5", "max_code_cals: 5", "protocol.max_code_cals: there is no such key"),
    ],
)
def test_mistakes_are_named(stages, old, new, message):
    with pytest.raises(RecipeError, match=message) as raised:
        stages(**{old: new})
    assert raised.value.where and raised.value.fix


def test_a_wrong_key_of_a_stage_is_found_by_its_line(stages):
    with pytest.raises(RecipeError) as raised:
        stages(**{"max_code_calls: 5": "max_code_cals: 5"})
    assert "stage material, line 14" in raised.value.where and "max_code_calls" in raised.value.fix


@pytest.mark.parametrize("text", ["stages: []", "stages: {sft: 1}", "stages: [sft]", "stages: 7"])
def test_what_is_no_list_of_stages_is_refused(tmp_path, text):
    file = tmp_path / "r.yaml"
    file.write_text(f"output_dir: x\nmodel: m\n{text}\n")
    with pytest.raises(RecipeError, match="list of mappings"):
        load_stages(file)


def test_a_recipe_is_either_staged_or_not(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(STAGED)
    with pytest.raises(RecipeError, match="has stages") as raised:
        load_recipe(file)
    assert "r1ci run" in raised.value.fix
    file.write_text("output_dir: x\nmodel: m\n")
    with pytest.raises(RecipeError, match="has no stages"):
        load_stages(file)
