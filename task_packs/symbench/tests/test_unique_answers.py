"""2048, letters and number_multiply: the rules on boards, words and numbers small enough to see."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from r1ci_tasks_symbench import r1ci_task_packs
from r1ci_tasks_symbench.published import question_of

from r1ci_plugins import Question
from r1ci_plugins.rewards.verifier import ask_task

PACK = r1ci_task_packs()[0]


def judged(question: Question, answer: str) -> bool:
    question = Question.from_json(question.to_json())
    return ask_task(PACK[question.task.split("/")[1]], question, answer).correct


def tile(board: list[list[int]], start: tuple[int, int], moves: str) -> Question:
    params = {"grid": board, "moves": moves, "start_pos": start}
    return question_of({"task": "2048", "params": params, "solution": "?"})


@pytest.mark.parametrize(
    ("board", "start", "moves", "after"),
    [
        ([[2, 0], [0, 0]], (0, 0), "r", [[0, 2], [0, 0]]),
        ([[2, 0], [0, 0]], (0, 0), "lu", [[2, 0], [0, 0]]),
        ([[2, 2], [0, 0]], (0, 0), "r", [[0, 4], [0, 0]]),
        ([[2, 4], [0, 0]], (0, 0), "r", [[2, 4], [0, 0]]),
        ([[2, 2], [0, 4]], (0, 0), "rd", [[0, 0], [0, 8]]),
        ([[2, 4], [0, 0]], (0, 0), "rd", [[0, 4], [2, 0]]),
        ([[0, 16], [4, 2]], (0, 1), "dl", [[16, 0], [4, 2]]),
        ([[0, 2], [4, 0]], (0, 0), "rdlu", [[0, 2], [4, 0]]),  # nothing there to move
    ],
)
def test_one_tile_moves(board: list[list[int]], start: tuple[int, int], moves: str, after: list[list[int]]) -> None:
    question = tile(board, start, moves)
    assert judged(question, str(after))
    assert judged(question, "\n".join(", ".join(map(str, row)) for row in after))
    assert judged(question, "\n".join(" ".join(map(str, row)) for row in after))
    assert not judged(question, str([row[::-1] for row in after]))
    assert not judged(question, str(after[:1]))


@given(st.integers(2, 4), st.data())
def test_the_tiles_keep_their_sum(side: int, data: st.DataObject) -> None:
    cells = st.sampled_from([0, 2, 4, 8])
    board = data.draw(st.lists(st.lists(cells, min_size=side, max_size=side), min_size=side, max_size=side))
    start = data.draw(st.tuples(st.integers(0, side - 1), st.integers(0, side - 1)))
    question = tile(board, start, data.draw(st.text("udlr", max_size=8)))
    solved = PACK["2048"].solve(question)
    assert judged(question, solved)
    assert sum(int(n) for n in solved.replace("[", "").replace("]", "").split(",")) == sum(map(sum, board))


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Count: 3, Positions: [2, 4, 6]", True),
        ("count = 3, positions = (2, 4, 6)", True),
        ("Count: 3\nPositions: 2, 4, 6", True),
        ("{'count': 3, 'positions': [2, 4, 6]}", True),
        ("Count: 3, Positions: [1, 3, 5]", False),
        ("Count: 2, Positions: [2, 4, 6]", False),
        ("Count: 3, Positions: [2, 4]", False),
        ("Count: 3, Positions: [2, 4, 6, 6]", False),
        ("Count: 3, Positions: [6, 4, 2]", False),
        ("Count: 3", False),
        ("3, [2, 4, 6]", False),
        ("Count: 3, Positions: [2, 4, 6] or [1]", False),
    ],
)
def test_letters_and_their_positions(answer: str, right: bool) -> None:
    solution = {"count": 3, "positions": [2, 4, 6]}
    question = question_of({"task": "letters", "params": {"word": "banana", "letter": "a"}, "solution": solution})
    assert judged(question, answer) == right


def test_a_letter_that_does_not_occur() -> None:
    solution = {"count": 0, "positions": []}
    question = question_of({"task": "letters", "params": {"word": "banana", "letter": "x"}, "solution": solution})
    assert judged(question, "Count: 0, Positions: []")
    assert not judged(question, "Count: 0, Positions: [0]")


@given(st.lists(st.integers(-(10**20), 10**20), min_size=1, max_size=5))
def test_products_are_exact(values: list[int]) -> None:
    product = math.prod(values)
    question = question_of({"task": "number_multiply", "params": {"values": values}, "solution": product})
    assert judged(question, str(product))
    assert judged(question, f"{product:,}")
    assert judged(question, PACK["number_multiply"].solve(question))
    assert not judged(question, str(product + 1))
    assert not judged(question, f"{product}.0")
