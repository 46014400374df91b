import random

import pytest
from r1ci_tasks_symbench.logic_puzzle import LogicPuzzle, published

TASK = LogicPuzzle()


def question(grid, kind, solution):
    params = {"grid": grid, "constraints": {"type": kind}, "solution": solution}
    return published({"question": None, "params": params})


SUMS = question([[1, 2, 3], [4, 1, 2], [2, 5, 1]], "sum_le_6", [[0, 2], [0, 0], [1, 0], [1, 2]])
PRODUCTS = question([[-1, 4, -2], [5, -3, 6], [-4, 7, -6]], "product_gt_0", [[0, 0], [0, 2], [2, 0], [2, 2], [1, 0]])


@pytest.mark.parametrize(
    "answer", ["0 2, 0 0, 1 0, 1 2", "1 2, 1 0, 0 2, 0 0", "[[0,2],[0,1],[2,2],[1,0]]", "(0,2) (0,1) (2,2) (1,0)"]
)
def test_every_choice_within_the_bound_is_right(answer):
    assert TASK.check(SUMS, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "0 2, 0 0, 1 0, 1 0",  # a cell twice
        "0 2, 0 0, 1 0, 1 1",  # a number twice
        "0 0, 1 0, 1 2, 2 1",  # without the top right cell
        "0 2, 0 1, 0 0, 2 1",  # a column sum of 7
        "0 2, 0 0, 1 0",
        "0 2, 0 0, 1 0, 1 2, 0 1",
        "0 2, 0 0, 1 0, 1 3",  # off the grid
        "0 -1, 0 0, 1 0, 1 2",
        "0 2, -3 0, 1 0, 1 2",
    ],
)
def test_breaking_one_rule_is_wrong(answer):
    assert not TASK.check(SUMS, answer)


def test_products_by_row_and_column_are_positive():
    assert TASK.check(PRODUCTS, PRODUCTS.answer)
    assert not TASK.check(PRODUCTS, "0 0, 0 2, 2 0, 2 2, 1 1")  # -3 alone in its row
    assert not TASK.check(PRODUCTS, "0 2, 0 1, 1 2, 2 1, 1 0")  # a row with -2 and 4


def test_a_reference_that_breaks_the_rule_is_wrong():
    broken = question([[1, 2], [3, 4]], "sum_le_4", [[0, 1], [1, 1], [0, 0]])
    assert not TASK.check(broken, broken.answer)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="median_le_4"):
        question([[1, 2], [3, 4]], "median_le_4", [[0, 1]])


@pytest.mark.parametrize("level", range(TASK.levels))
def test_negative_numbers_are_needed_where_products_are_bounded(level):
    for seed in range(10):
        q = TASK.generate(random.Random(seed), level)
        assert TASK.check(q, TASK.solve(q) or "")
        if q.metadata["kind"] == "product_gt":
            positive = {value for row in q.metadata["grid"] for value in row if value > 0}
            assert len(positive) < q.metadata["count"]
