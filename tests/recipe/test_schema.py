from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.questions.splits import SHARES
from r1ci_plugins.recipe import openrlhf_flags
from r1ci_plugins.recipe.loading import dump, load_recipe, read_recipe
from r1ci_plugins.recipe.schema import Recipe, Split
from r1ci_plugins.runs.stages import json_schema, load_stages
from r1ci_plugins.sandbox.contract import Limits

MINIMAL = """\
output_dir: runs/x
model: models/x
tasks:
  train:
    - {tasks: [demo/add], count: 3}
"""
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Recipe]:
    def load(text: str = "", *overrides: str) -> Recipe:
        (tmp_path / "recipe.yaml").write_text(MINIMAL + text)
        return load_recipe(tmp_path / "recipe.yaml", overrides)

    return load


def test_defaults_are_the_papers(load):
    recipe = load()
    assert recipe.protocol.max_code_calls == 8
    assert set(recipe.rewards) == {"correctness", "format", "efficiency"}
    assert recipe.mask.code_outputs == "masked"
    assert recipe.tasks.train[0].split == "rl"
    assert recipe.sandbox.contract_limits() == Limits()


def test_every_split_can_be_named():
    assert set(get_args(Split)) == set(SHARES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seeed: 1", ["seeed: there is no such key", "did you mean 'seed'?", "line 6"]),
        ("protocol:\n  max_code_cals: 1", ["protocol.max_code_cals", "did you mean 'max_code_calls'?", "line 7"]),
        ("sandbox: {limits: {wall: 1}}", ["sandbox.limits.wall", "wall_s"]),
        ("max_turn_tokens: 5", ["did you mean 'protocol.max_turn_tokens'?"]),
        ("actor.adam.lr: 1.0", ["flags go under trainer:"]),
        ("actor: {adam.lr: 1.0}", ["flags go under trainer:"]),
        ("seed: seven", ["seed: should be a valid integer, got the text 'seven'"]),
        ("seed: true", ["seed", "integer", "got true"]),
        ("seed: 1.5", ["seed", "integer", "got 1.5"]),
        ("seed: 1\nseed: 2", ["'seed' appears twice", "lines 6 and 7"]),
        ("protocol: {deadline_s: -1}", ["protocol.deadline_s", "greater than 0", "got -1"]),
        ("protocol: {deadline_s: .nan}", ["protocol.deadline_s", "finite"]),
        ("protocol: {max_code_calls: yes}", ["protocol.max_code_calls", "the text 'yes'"]),
        ("protocol: 3", ["protocol", "mapping", "got 3"]),
        ("rewards: {}", ["rewards", "at least 1"]),
        ("rewards: [correctness]", ["rewards", "mapping", "got a list"]),
        ("trajectories: {sample_rate: 2}", ["sample_rate", "less than or equal to 1"]),
        ("trainer: {actor: {adam.lr: 1}, actor.adam.lr: 2}", ["trainer.actor.adam.lr is given twice"]),
        ("trainer: {--actor.adam.lr: 1}", ["write it without dashes"]),
        ("trainer: {a: [[1]]}", ["trainer.a", "cannot be the value of a flag"]),
        ("a: &a [*a]", ["contains itself"]),
        ("model: [unclosed", ["not valid YAML", "line"]),
        ("seed: 1\n\tmodel: x", ["not valid YAML"]),
    ],
)
def test_a_wrong_recipe_says_what_where_and_how_to_fix_it(load, text, expected):
    with pytest.raises(RecipeError) as caught:
        load(text)
    assert all(part in str(caught.value) for part in expected), str(caught.value)
    assert "recipe.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment", b"- a list", b"text", b"\xff\xfe\x00", b"a: 1\n---\nb: 2"]
)
def test_a_file_that_is_no_recipe(tmp_path, content):
    (tmp_path / "recipe.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=r"recipe\.yaml"):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    (tmp_path / "cpu-demo.yaml").touch()
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "cpu-dmo.yaml")
    assert "cpu-demo.yaml" in str(caught.value)
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path)


def test_train_and_eval_may_not_share_a_split(load, tmp_path):
    text = "tasks: {train: [{tasks: [a/b], count: 1}], eval: [{tasks: [a/b], count: 1, split: rl}]}"
    (tmp_path / "leak.yaml").write_text(f"output_dir: x\nmodel: x\n{text}\n")
    with pytest.raises(RecipeError, match="not be held out"):
        load_recipe(tmp_path / "leak.yaml")


def test_overrides(load):
    recipe = load(
        "trainer: {actor: {adam: {lr: 1e-6}}, rollout.batch_size: 8}\n",
        "trainer.actor.adam.lr=5e-7",
        "trainer.rollout={batch_size: 4}",
        "protocol.deadline_s=1e2",
        "tasks.train.0.count=9",
        "rewards.efficiency.free_calls=4",
        "sandbox.limits.wall_s=5",
        "mask.code_outputs=unmasked",
        "tasks.eval=[{tasks: [demo/add], count: 2}]",
    )
    assert recipe.flags() == {"actor.adam.lr": "5e-7", "rollout.batch_size": 4}
    assert (recipe.protocol.deadline_s, recipe.tasks.train[0].count, recipe.sandbox.limits.wall_s) == (100.0, 9, 5.0)
    assert recipe.rewards == {"correctness": {}, "format": {}, "efficiency": {"free_calls": 4}}
    assert recipe.mask.code_outputs == "unmasked" and recipe.tasks.eval[0].split == "test"


@pytest.mark.parametrize(
    "override",
    ["seed", "=1", "seed.x=1", "tasks.train.7.count=1", "tasks.train.x.count=1", "sed=1", "protocol..x=1", "seed=[",
     "trainer.=1", "trainer.a=[[1]]", "trainer=3", "protocol.deadline=3"],
)  # fmt: skip
def test_a_wrong_override_is_named(load, override):
    with pytest.raises(RecipeError) as caught:
        load("", override)
    assert f"--set {override}" in str(caught.value)


def test_flags_keep_text_as_written(load):
    recipe = load(
        "trainer: {algo: {level: off}, lr: 1e-6, name: 2026-01-01, bare: true, gone: false, none: , many: [1, 2]}"
    )
    assert recipe.flags() == {
        "algo.level": "off", "lr": "1e-6", "name": "2026-01-01", "bare": True, "gone": False, "none": None,
        "many": [1, 2],
    }  # fmt: skip


_NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
_MODELS = st.text(min_size=1, max_size=30).filter(lambda text: not {"~", "$"} & {*text})
_VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**63), model=_MODELS, wall=st.floats(1e-9, 1e9),
    rewards=st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=3), min_size=1, max_size=3),
    trainer=st.dictionaries(_NAMES, st.one_of(_VALUES, st.lists(st.integers() | st.text(max_size=9), max_size=3))),
)  # fmt: skip
def test_what_is_dumped_loads_back_equal(tmp_path_factory, seed, model, wall, rewards, trainer):
    recipe = Recipe.model_validate(
        {"output_dir": "x", "model": model, "seed": seed, "tasks": {"train": [{"tasks": ["a/b"], "count": 1}]},
         "sandbox": {"limits": {"wall_s": wall}}, "rewards": rewards, "trainer": trainer}
    )  # fmt: skip
    file = tmp_path_factory.mktemp("dump") / "recipe.yaml"
    file.write_text(dump(recipe), encoding="utf-8")
    assert load_recipe(file) == recipe


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_recipe_or_a_recipe_error(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("any") / "recipe.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(RecipeError):
        load_recipe(file)


def test_the_json_schema_describes_every_key_and_accepts_the_recipes():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    sections = [schema, *schema["$defs"].values()]
    fields = {name: field for section in sections for name, field in section["properties"].items()}
    assert all(field.get("description") or "$ref" in field for field in fields.values())
    assert all(section["description"] for section in sections)
    for path in RECIPES:
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**yaml.safe_load(MINIMAL), "sed": 1}, schema)
    for stage in ({"name": "a"}, {"name": "a", "run": "trian"}, {"name": "a", "run": "train_ppo", "sed": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**yaml.safe_load(MINIMAL), "stages": [stage]}, schema)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_checked_in_recipes_parse_and_say_how_to_run_them(path):
    staged, how_to = "stages" in read_recipe(path)[0], path.read_text().split("\noutput_dir")[0]
    assert (f"r1ci run recipes/{path.name}" if staged else f"--recipe recipes/{path.name}") in how_to
    recipes = (
        [(stage.recipe, f"/{stage.name}") for stage in load_stages(path)] if staged else [(load_recipe(path), "")]
    )
    for recipe, folder in recipes:
        assert recipe.output_dir == f"runs/{path.stem}{folder}"


@pytest.mark.stack
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_checked_in_recipes_use_flags_that_openrlhf_has(path):
    if "stages" in read_recipe(path)[0]:
        for stage in load_stages(path):
            openrlhf_flags.check(stage.recipe.flags(), stage.flags_of)
        return
    recipe = load_recipe(path)
    openrlhf_flags.check(recipe.flags(), "train_sft" if recipe.sft else "train_ppo")
