from __future__ import annotations

import pytest
from typer.testing import CliRunner

from r1ci_plugins.cli.evaluate import _open
from r1ci_plugins.cli.main import app
from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.rollout.run_folder import RunFolder


def test_a_recipe_without_held_out_questions_is_refused(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("output_dir: x\nmodel: m\n")
    result = CliRunner().invoke(app, ["evaluate", "--recipe", str(file)])
    assert isinstance(result.exception, RecipeError) and "no held-out questions" in str(result.exception)


def test_a_folder_holds_one_evaluation_and_no_other_run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    _open(folder, "model: a\n", ["r1ci"])
    _open(folder, "model: a\n", ["r1ci"])  # the same one goes on
    for recipe, plugins in (("model: b\n", ["r1ci"]), ("model: a\n", ["r1ci", "mine"])):
        with pytest.raises(RecipeError, match="holds another run"):
            _open(folder, recipe, plugins)
    folder.recipe.unlink()
    with pytest.raises(RecipeError, match="holds another run"):
        _open(folder, "model: a\n", ["r1ci"])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineProblem, match="cannot be written") as raised:
        _open(RunFolder(tmp_path / "file" / "run"), "model: a\n", ["r1ci"])
    assert "output_dir" in raised.value.fix
