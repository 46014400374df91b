import pytest
from r1ci_tasks_symbench.matrix_transformation import MatrixTransformation, published

TASK = MatrixTransformation()


def question(*rows):
    rotated = zip(*reversed([row.split() for row in rows]), strict=True)
    answer = ",".join(entry for row in rotated for entry in row)
    return published({"question": None, "solution": answer, "params": {"matrix": [row.split() for row in rows]}})


@pytest.mark.parametrize(
    "answer",
    [
        "D,A,E,B,F,C",
        "[D, A, E, B, F, C]",
        "[['D','A'],['E','B'],['F','C']]",
        "**D,A,E,B,F,C**",
        "D,A,E,B,F,C.",
        "d a\ne b\nf c",
    ],
)
def test_the_rotated_rows_are_read_in_any_form(answer):
    assert TASK.check(question("A B C", "D E F"), answer)


@pytest.mark.parametrize(
    "answer", ["C,F,B,E,A,D", "A,D,B,E,C,F", "A,B,C,D,E,F", "D,A,E,B,F", "D,A,E,B,F,C,C", "DAEBFC"]
)
def test_other_turns_are_wrong(answer):
    assert not TASK.check(question("A B C", "D E F"), answer)


@pytest.mark.parametrize("rows", [("$ *", "$ $"), ("* ^", "* *"), ("# $", "$ %"), ("# .", "& !")])
def test_entries_that_look_like_markup_are_entries(rows):
    q = question(*rows)
    assert TASK.check(q, q.answer)
    assert TASK.check(q, f"`{q.answer}`")
    assert not TASK.check(q, ",".join(reversed(q.answer.split(","))))
