"""No key is written anywhere: recipes name the variable of the environment that holds it."""

from __future__ import annotations

import pytest

from r1ci_plugins.environment import prepare
from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.recipe import secrets
from r1ci_plugins.recipe.loading import dump_for_record, load_recipe

KEY = "0123456789abcdef-very-secret"
PLACES = (
    "trainer.logger.wandb.key", "sandbox.options.api_key", "verifier.options.password", "rewards.judge.auth_token",
    "protocol.answer_format_options.secret", "synthesis.endpoint.api_key_variable",
)  # fmt: skip


@pytest.mark.parametrize("key", PLACES)
def test_a_key_in_a_recipe_is_refused_and_not_repeated(key):
    with pytest.raises(RecipeError) as caught:
        load_recipe("r1ci:synthesize-endpoint", [f"{key}={KEY}"])
    if key.startswith("synthesis"):  # its name does not tell that it is a secret; the text shows the override
        assert "never the key itself" in caught.value.what and KEY not in caught.value.what
        return
    assert "export" in str(caught.value) and key in str(caught.value) and KEY not in str(caught.value)


def test_a_password_in_an_address_is_refused():
    with pytest.raises(RecipeError, match="holds no user and password"):
        load_recipe("r1ci:synthesize-endpoint", ["synthesis.endpoint.base_url=https://me:pass@host/v1"])


def test_a_reference_is_kept_as_it_is_and_taken_from_the_environment_at_last(monkeypatch):
    recipe = load_recipe("r1ci:cpu-smoke", ["trainer.logger.wandb.key=$WANDB_API_KEY"])
    assert "$WANDB_API_KEY" in dump_for_record(recipe)
    monkeypatch.setenv("MY_KEY", KEY)
    assert secrets.resolved({"api_key": "${MY_KEY}", "token": "$MY_KEY"}) == {"api_key": KEY, "token": "$MY_KEY"}
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(MachineProblem, match="export MY_KEY"):
        secrets.resolved({"api_key": "$MY_KEY"})


@pytest.mark.parametrize("typed", [["--logger.wandb.key", KEY], [f"--logger.wandb.key={KEY}"]])
def test_a_typed_wandb_key_goes_to_the_environment(typed, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "another")
    assert KEY not in " ".join(secrets.to_environment(["--train.seed", "1", *typed]))
    assert secrets.os.environ["WANDB_API_KEY"] == KEY


def test_a_command_line_is_written_down_without_secrets():
    shown = secrets.redacted_arguments(
        [
            "run",
            "--set",
            f"trainer.logger.wandb.key={KEY}",
            "--logger.wandb.key",
            KEY,
            f"--api_key={KEY}",
            "--seed",
            "1",
        ]
    )
    assert KEY not in " ".join(shown) and shown[-2:] == ["--seed", "1"]


@pytest.mark.stack
def test_no_key_in_the_plan_of_a_run(monkeypatch, tmp_path):
    from r1ci_plugins.trainers.openrlhf.plan import make_plan

    monkeypatch.setenv("R1CI_CPU_BACKEND", "1")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    rest = secrets.to_environment(["--logger.wandb.key", KEY])
    overrides = [f"output_dir={tmp_path}/out", "tasks.eval=[]"]
    plan = make_plan("train_ppo", ["r1ci"], "r1ci:cpu-smoke", overrides, rest)
    assert KEY not in plan.describe() + plan.run_json() + " ".join(plan.argv)
    assert "--logger.wandb.key" in plan.argv
    assert prepare(plan.prepared.recipe, plugins=["r1ci"], command="train_ppo").recipe == plan.prepared.recipe
