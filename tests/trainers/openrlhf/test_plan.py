"""How a command line and a recipe become OpenRLHF's command line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe import openrlhf_flags
from r1ci_plugins.trainers.openrlhf.plan import free_disk_mb, make_plan

CRITIC = ["trainer.critic.num_gpus_per_node=1"]  # OpenRLHF's default is 8
RECIPE = Path(__file__).parents[3] / "recipes" / "cpu-smoke.yaml"
pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="needs OpenRLHF: run `make setup`"),
]


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setenv("R1CI_CPU_BACKEND", "1")

    def make(*rest, overrides=()):
        return make_plan(
            "train_ppo", ["r1ci"], str(RECIPE), [f"output_dir={tmp_path / 'run'}", *CRITIC, *overrides], rest
        )

    return make


def test_only_what_the_user_gives_comes_back():
    assert openrlhf_flags.read([], "train_ppo") == {}
    given = ["--train.colocate_all", "--actor.adam.betas", "0.9", "0.8", "--train.seed=3"]
    expected = {"train.colocate_all": True, "actor.adam.betas": [0.9, 0.8], "train.seed": 3}
    assert openrlhf_flags.read(given, "train_ppo") == expected


def test_an_unknown_flag_is_named_with_the_nearest():
    with pytest.raises(RecipeError, match="--train.sed=3.*") as caught:
        openrlhf_flags.read(["--train.sed=3"], "train_ppo")
    assert "did you mean 'train.seed'?" in str(caught.value)


def test_user_wins_over_set_over_recipe_over_plugin_over_backend(plan):
    assert plan().prepared.flags["train.max_epochs"] == 1 and plan().prepared.flags["train.seed"] == 7
    changed = ("trainer.train.max_epochs=3", "trainer.train.seed=5", "trainer.vllm.enforce_eager=false")
    overridden = plan(overrides=changed)
    assert (overridden.prepared.flags["train.max_epochs"], overridden.prepared.flags["train.seed"]) == (3, 5)
    assert "--vllm.enforce_eager" in plan().argv and "--vllm.enforce_eager" not in overridden.argv
    final = plan("--train.max_epochs", "4", overrides=changed)
    assert final.prepared.flags["train.max_epochs"] == 4 and final.argv.count("--train.max_epochs") == 1


def test_upstreams_parser_reads_back_what_was_planned(plan):
    made = plan("--actor.adam.lr", "5e-7", "--data.max_len=700")
    parsed = vars(openrlhf_flags.parser("train_ppo").parse_args(made.argv))
    for name, value in made.prepared.flags.items():
        if value is not None:
            assert parsed[name] == value, name


def test_free_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    assert free_disk_mb(tmp_path / "a" / "b") == pytest.approx(free_disk_mb(tmp_path), rel=0.1)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--algo.advantage.is_correction_level", "token", "--rollout.top_p", "0.9"], "log-probs"),
    ],
)
def test_silently_wrong_combinations_are_refused(plan, flags, expected):
    with pytest.raises(RecipeError, match=expected):
        plan(*flags)
    assert plan(*flags[:2]).prepared.flags  # each half alone is fine
    assert plan(*flags[2:]).prepared.flags
