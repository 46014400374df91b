import pytest
from r1ci_tasks_symbench.new_operator import NewOperator, published

from r1ci_plugins.tasks.answers import Unreadable

TASK = NewOperator()


def record(expression, solution, definitions):
    text = f"Let a and b be numbers.\nCalculate {expression}.\nReturn the value."
    return {
        "question": text,
        "solution": solution,
        "params": {"solution": solution, "operator_definitions": definitions},
    }


def test_the_whole_expression_is_evaluated():
    # Upstream's references to such expressions stop after a part: here 2#4 = 16.
    question = published(record("(1#2)@3#4", 16.0, {"#": "2*a*b", "@": "a+3*b"}))
    assert TASK.check(question, "104")  # (1#2) = 4; 4@3 = 13; 13#4 = 104
    assert not TASK.check(question, question.answer)


def test_the_side_of_an_operand_matters():
    question = published(record("(6~3)~2", 0.0, {"~": "a - b*b"}))
    assert TASK.check(question, "-7")
    assert not TASK.check(question, "5")


@pytest.mark.parametrize(
    "answer", ["7/3", "14/6", "2.3333", "2.3333333333333335", "[2.333333]", "[7/3]", " 2.33333. "]
)
def test_exact_and_rounded_values_are_right(answer):
    assert TASK.check(published(record("1#3", 2.3333333333333335, {"#": "(a + 2*b)/b"})), f"{answer}")


@pytest.mark.parametrize(
    "answer", ["2.33", "2.3334", "2.3332", "2.33334", "3/7", "2", "7", "-7/3", "2.3333333333333"[:-1] + "4"]
)
def test_other_values_are_wrong(answer):
    assert not TASK.check(published(record("1#3", 2.3333333333333335, {"#": "(a + 2*b)/b"})), answer)


@pytest.mark.parametrize("answer", ["7 / 3 = 2.3333", "2.3333 or 7/3", "(1 + 6)/3", "[7, 3]"])
def test_other_forms_are_unreadable(answer):
    with pytest.raises(Unreadable):
        TASK.check(published(record("1#3", 7 / 3, {"#": "(a + 2*b)/b"})), answer)


@pytest.mark.parametrize("expression", ["(1#2", "1#", "#1", "1#2)", "1%2", "", "1/0"])
def test_malformed_expressions_are_refused(expression):
    with pytest.raises(ValueError):
        published(record(expression, 1.0, {"#": "a*b"}))


def test_division_by_zero_is_refused():
    with pytest.raises(ValueError, match="zero"):
        published(record("1#1", 1.0, {"#": "a/(a - b)"}))
