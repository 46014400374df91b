from __future__ import annotations

import pytest

from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.synthesis.synthesis_run import deciding_recipe

ENDPOINT = {"model": "m", "max_cost": 1.0, "temperature": 0.5}
RECIPE = {
    "output_dir": "runs/x",
    "model": "m",
    "tasks": {"train": [{"tasks": ["demo/a"], "count": 2}]},
    "synthesis": {"teacher": "endpoint", "endpoint": ENDPOINT},
}


def changed(section, values):
    return Recipe.model_validate(RECIPE | {section: values})


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("output_dir", "runs/y"),
        ("trainer", {"actor.adam.lr": 0.1}),
        ("rewards", {"correctness": {}}),
        ("tasks", RECIPE["tasks"] | {"eval": [{"tasks": ["demo/b"], "count": 1}]}),
        ("synthesis", RECIPE["synthesis"] | {"concurrency": 3}),
        ("synthesis", RECIPE["synthesis"] | {"endpoint": ENDPOINT | {"max_cost": 2.0, "requests_per_minute": 9}}),
    ],
)
def test_a_run_goes_on_when_a_key_changes_that_decides_no_trajectory(section, values):
    assert deciding_recipe(changed(section, values), 1000) == deciding_recipe(Recipe.model_validate(RECIPE), 1000)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("model", "n"),
        ("seed", 7),
        ("sandbox", {"limits": {"wall_s": 1.0}}),
        ("synthesis", RECIPE["synthesis"] | {"attempts": 3}),
        ("synthesis", RECIPE["synthesis"] | {"endpoint": ENDPOINT | {"temperature": 0.7}}),
    ],
)
def test_another_recipe_is_told_apart(section, values):
    assert deciding_recipe(changed(section, values), 1000) != deciding_recipe(Recipe.model_validate(RECIPE), 1000)


def test_the_context_decides_whichever_key_sets_it():
    recipe = Recipe.model_validate(RECIPE)
    assert deciding_recipe(recipe, 1000) != deciding_recipe(recipe, 900)
    assert deciding_recipe(changed("protocol", {"max_total_tokens": 900}), 900) == deciding_recipe(recipe, 900)
