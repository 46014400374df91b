import pytest
from r1ci_tasks_symbench.letter_logic_diagram import LETTERS, LetterLogicDiagram, published

TASK = LetterLogicDiagram()

CYCLIC = [[LETTERS[(r + c) % 7] for c in range(7)] for r in range(7)]
FROM_THE_END = [["gfedcba"[(r + c) % 7] for c in range(7)] for r in range(7)]


def question(given):
    grid = [[CYCLIC[r][c] if (r, c) in given else None for c in range(7)] for r in range(7)]
    return published({"question": None, "params": {"grid": grid, "solution": CYCLIC}})


def lines(square):
    return "\n".join(",".join(row) for row in square)


def test_every_completion_is_right():
    q = question({(0, 3)})  # d, which both squares have there
    assert TASK.check(q, lines(CYCLIC))
    assert TASK.check(q, lines(FROM_THE_END))
    assert TASK.check(q, str(FROM_THE_END))
    assert TASK.check(q, lines(FROM_THE_END).replace(",", " ").upper())
    assert TASK.check(q, TASK.solve(q) or "")


def test_given_letters_stay():
    assert not TASK.check(question({(0, 0)}), lines(FROM_THE_END))


@pytest.mark.parametrize(
    "square",
    [
        [[LETTERS[(c - r) % 7] for c in range(7)] for r in range(7)],  # Latin, but all letters on the anti-diagonal
        [[*"abcdef"[: 6 - r], "g", *"abcdef"[6 - r :]] for r in range(7)],  # only the rows are right
        CYCLIC[:6],
        [*CYCLIC[:6], CYCLIC[6][:6]],
        [*CYCLIC[:6], CYCLIC[5]],
        [["g" if r + c == 6 else "a" for c in range(7)] for r in range(7)],
        [[*CYCLIC[0][:5], "g", "f"], *CYCLIC[1:]],
        [*CYCLIC, CYCLIC[0]],
    ],
)
def test_other_squares_are_wrong(square):
    assert not TASK.check(question(set()), lines(square))


def test_a_grid_that_cannot_be_filled_has_no_solution():
    q = question(set())
    q.metadata["grid"][0][6], q.metadata["grid"][6][0] = "a", "b"
    assert TASK.solve(q) is None
