"""What YAML 1.1 would make of a recipe's values, and what we make of them."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.recipe.strict_yaml import dump, parse, scalar

SURPRISES = (
    "01000", "010", "-07", "+010", "12:30", "1:2:3", "2024_10_01", "1_000", "1_0.5", "0x1F", "0b101", "0o17",
    "09", "2024-10-01", "2024-10-01 10:00:00", "on", "Off", "yes", "NO", "y", "=", "1e", "0.1.2", "--1", "1.2e", "._1",
)  # fmt: skip
NUMBERS = {"0": 0, "-3": -3, "+4": 4, "1.0e6": 1e6, "1.0e+3": 1000.0, ".5": 0.5, "1.": 1.0, "1000": 1000}


@pytest.mark.parametrize("text", SURPRISES)
def test_what_only_some_take_for_a_number_a_date_or_a_boolean_is_text(text):
    assert parse(f"a: {text}", "")[0] == {"a": text}
    assert parse(f"{text}: 1", "")[0] == {text: 1}


@pytest.mark.parametrize(("text", "value"), NUMBERS.items())
def test_what_everybody_takes_for_a_number_is_one(text, value):
    found = parse(text, "")[0]
    assert found == value and type(found) is type(value)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
    | st.from_regex(r"[-+]?[0-9_.:xobeE]{1,8}", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=8,
))  # fmt: skip
def test_what_is_dumped_is_the_same_to_us_and_to_any_other_reader(value):
    assert parse(dump({"a": value}), "")[0] == {"a": value}
    assert yaml.safe_load(dump({"a": value})) == {"a": value}


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=12))
def test_a_scalar_is_read_back_alone_and_in_a_list(text):
    assert parse(f"a: {scalar(text)}", "")[0] == {"a": text}
    assert parse(f"[{scalar(text)}, b]", "")[0] == [text, "b"]


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("a: *", "the text ends", "double quotes"),
        ("a: [*]", "not valid YAML", "double quotes"),
        ("a: !x", "tag", "double quotes"),
        ("a: @b", "cannot start", "double quotes"),
        ("a: b: c", "mapping values", "colon"),
        ("a:\n\t- b", "cannot start", "not with tabs"),
        ("a: 1\n---\nb: 2", "another document", "one recipe"),
        ('a: "\\q"', "escape", "single quotes"),
        ("a: 1\na: 2", "appears twice", "keep one"),
    ],
)
def test_what_is_no_yaml_says_how_to_write_it(text, what, fix):
    with pytest.raises(RecipeError) as caught:
        parse(text, "recipe.yaml")
    assert what in caught.value.what and fix in (caught.value.fix or "") and "line" in (caught.value.where or "")


def test_a_surprise_in_a_recipe_is_an_error_that_shows_it(tmp_path):
    (tmp_path / "r.yaml").write_text("output_dir: 2024_10_01\nmodel: x\nseed: 01000\n")
    with pytest.raises(RecipeError, match="seed: .*integer.*'01000'"):
        load_recipe(tmp_path / "r.yaml")
    (tmp_path / "r.yaml").write_text("output_dir: 2024_10_01\nmodel: x\n")
    assert load_recipe(tmp_path / "r.yaml").output_dir == "2024_10_01"
    with pytest.raises(RecipeError, match="'12:30'"):
        load_recipe(tmp_path / "r.yaml", ["protocol.deadline_s=12:30"])
