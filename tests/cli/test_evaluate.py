from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1ci_plugins.cli.main import app
from r1ci_plugins.environment import Prepared, prepare
from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.evaluation.held_out import open_evaluation
from r1ci_plugins.recipe.schema import Recipe


def prepared(folder: Path, model: str = "a") -> Prepared:
    tasks = {"eval": [{"tasks": ["reasoning_gym/gcd"], "count": 1}]}
    recipe = Recipe.model_validate({"output_dir": str(folder), "model": model, "tasks": tasks})
    return prepare(recipe, plugins=["r1ci"], command="train_ppo")


def test_a_recipe_without_held_out_questions_is_refused(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("output_dir: x\nmodel: m\n")
    result = CliRunner().invoke(app, ["evaluate", "--recipe", str(file)])
    assert isinstance(result.exception, RecipeError) and "no held-out questions" in str(result.exception)


def test_a_folder_holds_one_evaluation_and_no_other_run(tmp_path):
    one = prepared(tmp_path / "run")
    open_evaluation(one)
    folder = open_evaluation(one).folder  # the same one goes on
    for other in (prepared(tmp_path / "run", model="b"), replace(one, plugin_names=("r1ci", "mine"))):
        with pytest.raises(RecipeError, match="holds another run"):
            open_evaluation(other)
    folder.recipe.unlink()
    with pytest.raises(RecipeError, match="holds another run"):
        open_evaluation(one)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineProblem, match="cannot be written") as raised:
        open_evaluation(prepared(tmp_path / "file" / "run"))
    assert "output_dir" in raised.value.fix
