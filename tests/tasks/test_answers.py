from __future__ import annotations

import contextlib
import json
import re
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from r1ci_plugins.tasks import answers
from r1ci_plugins.tasks.answers import Unreadable

FORMS = {
    "tidy": answers.tidy,
    "integer": answers.integer,
    "number": answers.number,
    "word": answers.word,
    "items": answers.items,
    "integers": answers.integers,
    "numbers": answers.numbers,
    "rows": answers.rows,
    "structure": answers.structure,
    "choice": lambda text: answers.choice(text, ["A", "B"]),
    "expression": lambda text: answers.expression(text).value(),
}
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
AROUND = st.sampled_from(
    ["{}", " {}\n", "{}.", '"{}"', "'{}'", "`{}`", "**{}**", "${}$", "```\n{}\n```", "```json\n{}\n```"]
    + ["__{}__", "$${}$$", r"\({}\)", r"\[{}\]", r"\boxed{{}}", r"\text{{}}", r"\textbf{ {} }", r"\boxed{{}}."]
)
PLAIN = st.text(st.sampled_from("abcXYZ é-_"), min_size=1, max_size=8).map(str.strip).filter(bool)


def around(form: str, text: str) -> str:
    return form.replace("{}", text)


@given(st.integers(-(10**30), 10**30), AROUND, AROUND, st.booleans(), st.booleans())
def test_an_integer_is_read_however_it_is_dressed(n, outer, inner, grouped, wide):
    assume(outer != inner)  # the same quotes twice surround nothing
    assume(not (outer.endswith(".") and inner.endswith(".")))  # one period is punctuation, two are not
    text = f"{n:,}" if grouped else str(n)
    inner = "{}" if "`" in inner else inner  # a code block within quotes is neither
    text = around(outer, around(inner, text.translate(FULL_WIDTH) if wide else text))
    assert answers.integer(text) == answers.number(text) == n


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{4}\boxed{2}",
        r"\(4\) \(2\)",
        r"\boxed{42",
        r"\boxed 42",
        r"\frac{42}",
        r"__4__2__",
        r"\[42\)",
        r"\text{a} 42",
    ],
)
def test_what_is_not_around_the_whole_stays(text):
    with pytest.raises(Unreadable):
        answers.integer(text)


@given(st.fractions(-1000, 1000), st.decimals(-(10**9), 10**9, places=6), AROUND)
def test_numbers_are_exact(fraction, decimal, form):
    assert answers.number(around(form, str(fraction))) == fraction
    assert answers.number(around(form, f"{decimal:f}")) == Fraction(decimal)
    assert answers.number(around(form, f"{decimal:e}")) == Fraction(decimal)


@given(st.lists(st.integers(-999, 999), min_size=2), AROUND, st.sampled_from(["[{}]", "({})", "{}", "[ {} ]"]))
@pytest.mark.parametrize("separator", [", ", ",", " ", "\n", "; ", ",\n", " , "])
def test_a_flat_list_of_integers_has_many_writings(separator, numbers, form, brackets):
    text = around(form, around(brackets, separator.join(map(str, numbers))))
    assert answers.integers(text) == answers.numbers(text) == numbers


@given(st.lists(PLAIN, min_size=1))
def test_a_list_of_texts_comes_back_from_json_python_and_plain_commas(texts):
    assert answers.items(json.dumps(texts, ensure_ascii=False)) == texts
    assert answers.items(str(texts)) == texts
    assert answers.items(f"({', '.join(texts)},)") == texts
    assert answers.items("\n".join([*texts, "z"])) == [*texts, "z"]


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(st.integers(0, 99), min_size=n, max_size=n), min_size=2)))
def test_a_matrix_has_many_writings(matrix):
    wanted = [[str(cell) for cell in row] for row in matrix]
    lines = [" ".join(row) for row in wanted]
    for text in (
        *(json.dumps(matrix), str([tuple(row) for row in matrix]), str(matrix)[1:-1]),
        *("\n".join(map(str, matrix)), "[" + "\n ".join(f"[{line}]" for line in lines) + "]"),
        *("\n".join(lines), "\n".join(", ".join(row) for row in wanted)),
    ):
        assert answers.rows(text) == wanted, text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=12,
).filter(lambda value: isinstance(value, (list, dict)))


@given(JSON)
def test_a_structure_comes_back_from_json_and_from_python(value):
    assert answers.structure(json.dumps(value)) == value
    assert answers.structure(repr(value)) == value
    assert answers.structure(f"```json\n{json.dumps(value, indent=2)}\n```") == value


@given(JSON.filter(bool), st.integers(1, 8))
def test_half_a_structure_is_unreadable(value, cut):
    text = json.dumps(value)
    with pytest.raises(Unreadable):
        answers.structure(text[: -min(cut, len(text) - 1)])


@given(st.text(max_size=60) | st.text(st.sampled_from("[](){}'\"`,;:.\n\\ 19e/*-+$"), max_size=60))
@pytest.mark.parametrize("form", FORMS)
def test_any_text_is_read_or_unreadable(form, text):
    with contextlib.suppress(Unreadable):
        FORMS[form](text)


MEGABYTE = 10**6
HUGE = [
    "x" * MEGABYTE, "[" * 10_000, "[" * 10_000 + "]" * 10_000, "(" * 50_000 + ")" * 50_000, "{[(" * 30_000,
    "9" * 99_999, "-" * 99_999, "1," * 49_999, "[1]," * 24_000, "'a " * 33_000, '"' * 99_999, "\\" * 99_999,
    "\n" * 99_998 + "x", "a" + " " * 99_990 + "b", ",a" * 49_000, '{"a":' * 19_000, "((1)" * 24_000, "²" * 99_999,
    "１" * 99_999, "1+" * 49_999 + "1", "`" * 99_999, "[" + "9" * 10_000 + "]", "1e" + "9" * 1000, "1/" + "9" * 10_000,
]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("form", FORMS)
def test_huge_texts_end_and_evaluate_nothing(form):
    for text in HUGE:
        with contextlib.suppress(Unreadable):
            FORMS[form](text)


ODD = [
    "", " ", "\n", "word", "9**9**9", "nan", "NaN", "inf", "-Infinity", "1e999999", "50%", "3 apples", "[1, 2", "½",
    "3²", "<b>5</b>", "5<br>", "&#53;", '{"a": [1,', "1/0", "①", "٣", "x" * MEGABYTE, "9" * 10_000, "1..2",
    "__import__('os')", "1,,2", "1_000", "0x10", "1,23", "(1", "1)",
]  # fmt: skip


@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"tidy", "word", "items", "rows"}))
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_text_is_unreadable_in_every_strict_form(form, text):
    if (form, text) in {("integers", "1,23"), ("numbers", "1,23")}:
        assert FORMS[form](text) == [1, 23]  # within a list the comma separates
        return
    with pytest.raises(Unreadable):
        FORMS[form](text)


@pytest.mark.parametrize("form", ["items", "rows", "word"])
@pytest.mark.parametrize("text", ["", " \n", "x" * MEGABYTE], ids=["empty", "blank", "huge"])
def test_no_text_and_too_much_text_are_unreadable(form, text):
    with pytest.raises(Unreadable):
        FORMS[form](text)


@pytest.mark.parametrize("text", ["[[1, 2], [3, 4]]", "[1, [2]]", "a, , b", "[a, b", "a], b", "{a: 1}}"])
def test_a_list_of_lists_or_a_broken_one_is_no_flat_list(text):
    with pytest.raises(Unreadable):
        answers.items(text)


@pytest.mark.parametrize("text", ["1.0", "1e3", "3/4", "[3]", "3 4", "2+2"])
def test_what_is_no_integer(text):
    with pytest.raises(Unreadable):
        answers.integer(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("[]", []), ("( )", []), ("['']", [""]), ("'a, b', c", ["a, b", "c"]), ("New York, Rome", ["New York", "Rome"]),
     ('"New York" "Rome"', ["New York", "Rome"]), ("don't, can't", ["don't", "can't"]), ("(A), (B)", ["(A)", "(B)"])],
)  # fmt: skip
def test_items(text, wanted):
    assert answers.items(text) == wanted


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "[1] [2]", "[1] text", "[1, 2]]", "{1, 2}", "'a'", "5", "[NaN]"])
def test_what_is_no_structure(text):
    with pytest.raises(Unreadable):
        answers.structure(text)


@pytest.mark.parametrize("text", ["B", "b", "(B)", "b)", "[B].", "**(b)**", " B \n", "`B`", "（Ｂ）"])
def test_a_choice_by_its_letter(text):
    assert answers.choice(text, ["A", "B", "C"]) == "B"
    assert answers.choice(text, ["(A)", "(B)", "(C)"]) == "(B)"


@pytest.mark.parametrize("text", ["", "D", "A or B", "A, B", "(B) because", "()", "not A", "AB"])
def test_what_is_no_choice(text):
    with pytest.raises(Unreadable):
        answers.choice(text, ["A", "B", "C"])


@pytest.mark.parametrize(
    ("text", "plain"),
    [("5.", "5"), ("wait..", "wait.."), ('"a" and "b"', '"a" and "b"'), ("**a** and **b**", "**a** and **b**"),
     ("```python\n[1]\n```", "[1]"), ("“so”", "so"), ("−３", "-3"), ("`'x.'`", "x"), ("$\\pi$", "\\pi")],
)  # fmt: skip
def test_tidy(text, plain):
    assert answers.tidy(text) == plain


def test_a_word_is_one_line_whatever_its_case():
    assert answers.word(' "Grüße  AN\tAlle". ') == "grüsse an alle"
    with pytest.raises(Unreadable):
        answers.word("yes\nno")


EXPRESSIONS = st.recursive(
    st.integers(0, 99).map(str),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda one: f"-{one}")
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(EXPRESSIONS)
def test_an_expression_has_the_value_that_python_gives_it(text):
    exact = re.sub(r"\d+", r"Fraction(\g<0>)", text)
    try:
        wanted = eval(exact, {"Fraction": Fraction})
    except ZeroDivisionError:
        with pytest.raises(Unreadable):
            answers.expression(text).value()
        return
    read = answers.expression(text)
    assert read.value() == wanted
    assert read.numbers() == [Fraction(n) for n in re.findall(r"\d+", text)]
    assert read.operators() == re.findall(r"[-+*/]", text)


def test_an_expression_in_print():
    assert answers.expression("8 ÷ (3 − 8 ÷ 3)").value() == 24
    assert answers.expression("`2 × (1.5 + .5)`.").value() == 4


@pytest.mark.parametrize(
    "text", ["2**3", "2^3", "2(3)", "2 3", "1+", "x", "sin(1)", "()", "1 = 1", "+" * 5000 + "1" * 2000]
)
def test_what_is_no_expression(text):
    with pytest.raises(Unreadable):
        answers.expression(text)
