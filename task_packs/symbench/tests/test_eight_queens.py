import pytest
from r1ci_tasks_symbench.eight_queens import EightQueens, published

TASK = EightQueens()

SOLUTION = [[0, 0], [1, 4], [2, 7], [3, 5], [4, 2], [5, 6], [6, 1], [7, 3]]


def question(board):
    return published({"question": None, "params": {"initial_board": board, "solution": SOLUTION}})


EMPTY = question(["00000000"] * 8)
PLACED = question(["00000000", "00001000", "X0000000", *["00000000"] * 5])


def test_every_placement_that_fits_is_right():
    assert TASK.check(EMPTY, EMPTY.answer)
    assert TASK.check(EMPTY, "[(0, 7), (1, 3), (2, 0), (3, 2), (4, 5), (5, 1), (6, 6), (7, 4)]")
    assert TASK.check(PLACED, PLACED.answer)
    assert TASK.check(PLACED, str(SOLUTION[::-1]))


@pytest.mark.parametrize(
    "answer",
    [
        "0 0, 1 4, 2 7, 3 5, 4 2, 5 6, 6 1, 8 3",  # off the board
        "0 0, 1 4, 2 7, 3 5, 4 2, 5 6, 6 1, -1 3",
        "0 8, 1 4, 2 7, 3 5, 4 2, 5 6, 6 1, 7 3",
        "0 -8, 1 4, 2 7, 3 5, 4 2, 5 6, 6 1, 7 3",
        "0 0, 1 4, 2 7, 3 5, 4 2, 5 6, 6 1",  # too few
        "0 0, 1 4, 2 7, 3 5, 4 2, 5 6, 6 1, 6 1",  # the same cell twice
        "0 0, 1 4, 2 7, 3 5, 4 2, 5 6, 6 1, 7 3, 7 3",
        "0 0, 1 1, 2 2, 3 3, 4 4, 5 5, 6 6, 7 7",  # a diagonal
        "0 0, 1 4, 2 7, 3 5, 4 2, 5 6, 6 3, 7 1",
    ],
)
def test_other_placements_are_wrong(answer):
    assert not TASK.check(EMPTY, answer)


def test_queens_on_the_board_stay_and_blocked_cells_stay_free():
    assert not TASK.check(PLACED, "0 7, 1 3, 2 0, 3 2, 4 5, 5 1, 6 6, 7 4")
    blocked = question(["X0000000", *["00000000"] * 7])
    assert not TASK.check(blocked, blocked.answer)


def test_published_boards_of_other_sizes():
    q = published({"question": None, "params": {"initial_board": ["0000"] * 4, "solution": [[0, 1]]}})
    assert TASK.check(q, "0 1, 1 3, 2 0, 3 2")
    assert TASK.solve(q) == "0 1, 1 3, 2 0, 3 2"
    with pytest.raises(ValueError, match="square"):
        published({"question": None, "params": {"initial_board": ["0000"] * 3, "solution": []}})
