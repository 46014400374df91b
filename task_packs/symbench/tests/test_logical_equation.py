import pytest
from r1ci_tasks_symbench.logical_equation import LogicalEquation, published

from r1ci_plugins.tasks.answers import Unreadable

TASK = LogicalEquation()


def question(values, constraints, solution):
    lines = "\n".join(f"{i}. {line}" for i, line in enumerate(constraints, 1))
    text = f"There are letters, each representing one of the numbers {values}. The rules are:\n{lines}\n\nAnswer."
    return published({"question": text, "solution": solution, "params": {"name": "sample"}})


def test_every_solution_is_right():
    q = question("1, 2, 3, 4", ["A + B = 5", "C > D"], [1, 4, 3, 2])
    for right in ("[1, 4, 3, 2]", "4 1 3 2", "(2, 3, 4, 1)", "3.0, 2.0, 4.0, 1.0"):
        assert TASK.check(q, right), right
    for wrong in ("[1, 4, 2, 3]", "[1, 3, 4, 2]", "[1, 4, 3]", "[1, 4, 3, 3]", "[1, 4, 3, 2, 2]", "[0, 5, 3, 2]"):
        assert not TASK.check(q, wrong), wrong
    assert TASK.check(q, TASK.solve(q) or "")


@pytest.mark.parametrize(
    ("line", "right", "wrong"),
    [
        ("A + B = 29", "[24, 5]", "[29, 0]"),
        ("A - B = -19", "[5, 24]", "[24, 5]"),
        ("A = 4.8B", "[24, 5]", "[5, 24]"),
        ("B > A", "[5, 24]", "[24, 5]"),
    ],
)
def test_published_constraints_are_read(line, right, wrong):
    q = question("5, 24", [line], [24, 5])
    assert TASK.check(q, right)
    assert not TASK.check(q, wrong)


def test_what_is_no_constraint_is_refused():
    with pytest.raises(ValueError, match="A is prime"):
        question("5, 24", ["A is prime"], [5, 24])


def test_names_of_letters_are_not_part_of_the_answer():
    with pytest.raises(Unreadable):
        TASK.check(question("5, 24", ["B > A"], [5, 24]), "A = 5, B = 24")
