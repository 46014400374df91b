"""The recipes of the package, by ``r1ci:NAME``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import r1ci_plugins
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe.library import described, find, shipped
from r1ci_plugins.recipe.loading import load_recipe, read_recipe
from r1ci_plugins.runs.stages import load_stages, recipes_of

ROOT = Path(__file__).parents[2]


def test_every_recipe_of_the_repository_has_a_name():
    assert set(shipped()) == {file.stem for file in (ROOT / "recipes").glob("*.yaml")}


def test_a_name_stands_for_the_file_wherever_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe("r1ci:qwen2.5-7b-grpo") == load_recipe(ROOT / "recipes" / "qwen2.5-7b-grpo.yaml")
    assert load_recipe(Path("r1ci:cpu-smoke"), ["seed=9"]).seed == 9
    assert [stage.name for stage in load_stages("r1ci:qwen2.5-3b")] == ["synthesis", "sft", "rl"]
    assert [name for name, _, _ in recipes_of("r1ci:qwen2.5-3b")] == ["synthesis", "sft", "rl"]


def test_a_misspelt_name_suggests_the_right_one():
    with pytest.raises(RecipeError, match="did you mean 'cpu-smoke'.*r1ci recipe list"):
        read_recipe("r1ci:cpu-smok")


def test_a_path_stays_a_path():
    assert find("some/recipe.yaml") == Path("some/recipe.yaml")


def test_every_recipe_says_what_it_is_and_how_to_run_it():
    for one in described():
        assert one.about and len(one.about) < 130, one
        assert f"r1ci:{one.name}" in one.command and "recipes/" not in one.command, one


def test_the_recipes_inside_an_installed_package_are_found(tmp_path):
    """As a wheel installs them: inside the package, with nothing beside it."""
    shutil.copytree(
        Path(r1ci_plugins.__file__).parent, tmp_path / "r1ci_plugins", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "recipes", tmp_path / "r1ci_plugins" / "recipes", dirs_exist_ok=True)
    code = "from r1ci_plugins.recipe.library import find; print(find('r1ci:cpu-smoke'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(tmp_path / "r1ci_plugins" / "recipes" / "cpu-smoke.yaml"), done.stderr
