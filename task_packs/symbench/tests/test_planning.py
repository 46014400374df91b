"""Blocksworld, boxlift, boxnet, gridworld and game24: plans are judged by their constraints, one rule at a time."""

from __future__ import annotations

import json
import random

import pytest
from r1ci_tasks_symbench import r1ci_task_packs
from r1ci_tasks_symbench.published import question_of

from r1ci_plugins import Question
from r1ci_plugins.rewards.verifier import ask_task

PACK = r1ci_task_packs()[0]


def judged(task: str, params: dict, answer: str) -> bool:
    question = Question.from_json(question_of({"task": task, "params": params}).to_json())
    return ask_task(PACK[question.task.split("/")[1]], question, answer).correct


def questions(task: str, count: int = 40) -> list[Question]:
    levels = PACK[task].levels
    return [PACK[task].generate(random.Random(f"{task}/{i}"), i % levels) for i in range(count)]


# --- blocksworld --------------------------------------------------------------------------------------------------

BLOCKS = {
    "initial": {"stack1": [], "stack2": ["B", "A"], "stack3": []},
    "goal": {"stack1": [], "stack2": ["A", "B"]},
}
PLAN = ["Move A from stack2 to stack1", "Move B from stack2 to stack3", "Move A from stack1 to stack2"]
LAST = "Move B from stack3 to stack2"


@pytest.mark.parametrize(
    "answer",
    [
        "\n".join([*PLAN, LAST]),
        "\n".join([*PLAN, LAST]).replace("stack", ""),
        "\n".join([*PLAN, LAST]).replace("stack", "stack "),
        "\n".join(f"{n}. {move}." for n, move in enumerate([*PLAN, LAST], 1)),
        "\n".join([*PLAN, "move b from STACK3 to Stack2"]),
        "; ".join([*PLAN, LAST]),
        "\n".join([*PLAN, "Move A from stack2 to stack1", "Move A from stack1 to stack2", LAST]),
    ],
)
def test_blocks_moved_by_the_rules(answer: str) -> None:
    assert judged("blocksworld", BLOCKS, answer)


@pytest.mark.parametrize(
    "moves",
    [
        PLAN,
        [*PLAN, LAST, "Move B from stack2 to stack1"],
        ["Move B from stack2 to stack3", "Move A from stack2 to stack1", *PLAN[2:], LAST],
        [*PLAN, "Move B from stack3 to stack4"],
        [*PLAN, "Move B from table to stack2"],
        ["Move A from stack2 to stack2", *PLAN, LAST],
        ["Move A from stack1 to stack3", *PLAN, LAST],
        [*PLAN, LAST, "Done"],
        [*PLAN, LAST, "Move"],
        ["I will do this:", *PLAN, LAST],
    ],
)
def test_blocks_moved_against_the_rules(moves: list[str]) -> None:
    assert not judged("blocksworld", BLOCKS, "\n".join(moves))


def test_blocks_end_where_they_should() -> None:
    for question in questions("blocksworld"):
        for plan in (question.answer, PACK["blocksworld"].solve(question)):
            stacks = {name: list(blocks) for name, blocks in question.metadata["initial"].items()}
            for line in plan.split("\n"):
                _, block, _, source, _, target = line.split()
                assert stacks[source].pop() == block
                stacks[target].append(block)
            assert stacks == question.metadata["goal"]


# --- boxlift ------------------------------------------------------------------------------------------------------

BOXES = {"boxes": [10, 30, 20, 20], "lifters": [20, 15, 20], "max_steps": 2}


@pytest.mark.parametrize(
    "answer",
    [
        "Step 1: [(30, [0, 1]), (20, [2])]\nStep 2: [(20, [0]), (10, [1])]",
        "step 1: [[30, [1, 0]], [20, [2]]]; step 2: [[10, [1]], [20, [2]]]",
        "Step 1:[(30,[0,2]),(10,[1])]\nStep 2:[(20,[0]),(20,2)]",
        "Step 1: [(20, [0, 1]), (20, [2])]\nStep 2: [(30, [0, 1]), (10, [2])]",
    ],
)
def test_boxes_lifted_by_the_rules(answer: str) -> None:
    assert judged("boxlift", BOXES, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Step 1: [(30, [0, 1]), (20, [2])]\nStep 2: [(20, [0])]",
        "Step 1: [(30, [0, 1]), (20, [2])]\nStep 2: [(20, [0]), (20, [2]), (10, [1])]",
        "Step 1: [(30, [0, 1]), (20, [0])]\nStep 2: [(20, [0]), (10, [1])]",
        "Step 1: [(30, [0, 0]), (20, [2])]\nStep 2: [(20, [0]), (10, [1])]",
        "Step 1: [(30, [0]), (20, [2])]\nStep 2: [(20, [0]), (10, [1])]",
        "Step 1: [(30, [0, -2]), (20, [2])]\nStep 2: [(20, [0]), (10, [1])]",
        "Step 1: [(30, [0, 3]), (20, [2])]\nStep 2: [(20, [0]), (10, [1])]",
        "Step 1: [(30, [0, 1])]\nStep 2: [(20, [0]), (20, [2])]\nStep 3: [(10, [1])]",
        "Step 1: [(30, [0, 1]), (20, [2])]\nStep 1: [(20, [0]), (10, [1])]",
        "Step 1: [(30, []), (20, [2])]\nStep 2: [(20, [0]), (10, [1])]",
        "[(30, [0, 1]), (20, [2])]",
        "Step 1: [(30.0, [0, 1]), (20, [2])]\nStep 2: [(20, [0]), (10, [True])]",
    ],
)
def test_boxes_lifted_against_the_rules(answer: str) -> None:
    assert not judged("boxlift", BOXES, answer)


def test_the_step_bound_is_the_length_of_a_plan_that_the_checker_accepts() -> None:
    for question in questions("boxlift"):
        assert question.answer.count("Step") == question.metadata["max_steps"]
        assert ask_task(PACK["boxlift"], question, question.answer).correct
        lines = question.answer.split("\n")
        assert not ask_task(PACK["boxlift"], question, "\n".join(lines[:-1])).correct


# --- boxnet -------------------------------------------------------------------------------------------------------

GRID = {
    "rows": 2,
    "cols": 3,
    "initial": {"box1": "C1,1", "box2": "C1,2"},
    "goal": {"box1": "C1,2", "box2": "C1,3"},
}


@pytest.mark.parametrize(
    "states",
    [
        [("C1,1", "C1,2"), ("C1,2", "C1,3")],
        [("C1,1", "C1,2"), ("C1,2", "C1,2"), ("C1,2", "C1,3")],
        [("C1,1", "C1,2"), ("C1,1", "C1,2"), ("C2,1", "C1,3"), ("C1,1", "C1,3"), ("C1,2", "C1,3")],
        [("C1,1", "C1,2"), ("c1,2", "C1, 3")],
    ],
)
def test_boxes_moved_by_the_rules(states: list[tuple[str, str]]) -> None:
    plan = [{"box1": one, "box2": two} for one, two in states]
    assert judged("boxnet_v2", GRID, json.dumps(plan))
    assert judged("boxnet_v2", GRID, str(plan))


@pytest.mark.parametrize(
    "states",
    [
        [("C1,1", "C1,2")],
        [("C1,2", "C1,3")],
        [("C1,1", "C1,2"), ("C1,2", "C1,2")],
        [("C1,2", "C1,2"), ("C1,2", "C1,3")],
        [("C1,1", "C1,2"), ("C2,2", "C1,2"), ("C1,2", "C1,3")],
        [("C1,1", "C1,2"), ("C1,2", "C1,2"), ("C1,1", "C1,1"), ("C1,2", "C1,2"), ("C1,2", "C1,3")],
        [("C1,1", "C1,2"), ("C0,1", "C1,2"), ("C1,1", "C1,2"), ("C1,2", "C1,3")],
        [("C1,1", "C1,2"), ("goal", "C1,3")],
    ],
)
def test_boxes_moved_against_the_rules(states: list[tuple[str, str]]) -> None:
    assert not judged("boxnet_v2", GRID, json.dumps([{"box1": one, "box2": two} for one, two in states]))


def test_a_state_names_every_box() -> None:
    start, goal = GRID["initial"], GRID["goal"]
    assert judged("boxnet_v2", GRID, json.dumps([start, goal]))
    assert not judged("boxnet_v2", GRID, json.dumps([start, {"box1": "C1,2"}, goal]))
    assert not judged("boxnet_v2", GRID, json.dumps([start, {**goal, "box3": "C1,1"}, goal]))
    assert not judged("boxnet_v2", GRID, json.dumps([start, [goal]]))


SQUARES = {
    "state": {"0.5_0.5": ["box_red", "box_red", "target_blue"], "0.5_1.5": ["box_blue", "target_red", "target_red"]}
}
STEPS = [
    {"Agent[0.5, 0.5]": "move(box_red, square[0.5, 1.5])", "Agent[0.5, 1.5]": "move(box_blue, square[0.5, 0.5])"},
    {"Agent[0.5, 0.5]": "move(box_red, square[0.5, 1.5])", "Agent[0.5, 1.5]": "move(box_red, target_red)"},
    {"Agent[0.5, 0.5]": "move(box_blue, target_blue)", "Agent[0.5, 1.5]": "move(box_red, target_red)"},
]


def test_coloured_boxes_moved_by_the_rules() -> None:
    assert judged("boxnet1", SQUARES, json.dumps(STEPS))
    assert judged("boxnet1", SQUARES, str(STEPS).replace(", ", ","))


@pytest.mark.parametrize(
    "steps",
    [
        STEPS[:2],
        [STEPS[0], STEPS[2], STEPS[1]],
        [*STEPS, STEPS[2]],
        [{"Agent[0.5, 0.5]": "move(box_red, target_blue)"}, *STEPS],
        [{"Agent[0.5, 0.5]": "move(box_green, square[0.5, 1.5])"}, *STEPS],
        [{"Agent[0.5, 0.5]": "move(box_red, square[0.5, 2.5])"}, *STEPS],
        [{"Agent[0.5, 0.5]": "move(box_red, square[0.5, 0.5])"}, *STEPS],
        [{"Agent[2.5, 0.5]": "move(box_red, square[0.5, 0.5])"}, *STEPS],
        [{"Agent[0.5, 0.5]": "wait"}, *STEPS],
        # The box is in the square of the second agent only after the step.
        [
            {
                "Agent[0.5, 0.5]": "move(box_red, square[0.5, 1.5])",
                "Agent[0.5, 1.5]": "move(box_red, target_red)",
            },
            *STEPS[1:],
        ],
    ],
)
def test_coloured_boxes_moved_against_the_rules(steps: list[dict[str, str]]) -> None:
    assert not judged("boxnet1", SQUARES, json.dumps(steps))


# --- gridworld ----------------------------------------------------------------------------------------------------

WORLD = {"rows": 2, "cols": 3, "initial": "C1,1", "goals": ["C1,3", "C2,1"], "obstacles": ["C1,2"]}


@pytest.mark.parametrize(
    "answer",
    [
        '["C1,1", "C2,1", "C2,2", "C2,3", "C1,3"]',
        "['C1,1', 'C2,1', 'C2,2', 'C2,3', 'C1,3']",
        "C1,1; C2,1; C2,2; C2,3; C1,3",
        "(c1,1, c2,1, c2,2, c2,3, c1,3)",
        '["C1,1","C2,1","C1,1","C2,1","C2,2","C2,3","C1,3","C2,3"]',
    ],
)
def test_walks_by_the_rules(answer: str) -> None:
    assert judged("gridworld", WORLD, answer)


@pytest.mark.parametrize(
    "cells",
    [
        ["C1,1", "C1,2", "C1,3", "C2,3", "C2,2", "C2,1"],
        ["C2,1", "C2,2", "C2,3", "C1,3"],
        ["C1,1", "C2,1", "C2,2", "C2,3"],
        ["C1,1", "C2,2", "C2,3", "C1,3", "C2,3", "C2,2", "C2,1"],
        ["C1,1", "C1,1", "C2,1", "C2,2", "C2,3", "C1,3"],
        ["C1,1", "C2,1", "C3,1", "C2,1", "C2,2", "C2,3", "C1,3"],
        ["C1,1", "C2,1", "C2,2", "C2,3", "C1,3", "C1,4"],
        ["C1,1", "C2,1", "C2,2", "C2,3", "C1,3", "home"],
    ],
)
def test_walks_against_the_rules(cells: list[str]) -> None:
    assert not judged("gridworld", WORLD, json.dumps(cells))


def test_half_a_walk_is_no_walk() -> None:
    assert not judged("gridworld", WORLD, '["C1,1", "C2,1", "C2,2", "C2,3", "C1,3"')


# --- game24 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["8/(3-8/3)", "8 / (3 - 8 / 3) = 24", "8÷(3−8÷3)", "((8)/((3)-(8/3)))"])
def test_fractions_on_the_way_are_exact(answer: str) -> None:
    assert judged("game24", {"numbers": [3, 3, 8, 8]}, answer)


@pytest.mark.parametrize(
    "answer",
    ["8*3", "8/(3-8/3) = 25", "8*3+8-8", "88-3*3", "3*8*(8-8+1)", "24", "24 = 8/(3-8/3)", "8/(3-8/3)+0", "8/(8/3-3)"],
)
def test_other_numbers_or_other_values_are_wrong(answer: str) -> None:
    assert not judged("game24", {"numbers": [3, 3, 8, 8]}, answer)


def test_what_rounding_makes_24_is_not_24() -> None:
    # In floating point the small fraction would be lost.
    tiny = 10**17
    params = {"numbers": [24, 1, tiny], "target": 24}
    question = question_of({"task": "game24", "params": params, "solution": "24"})
    assert not ask_task(PACK["game24"], question, f"24 + 1 / {tiny}").correct


def test_solver_and_generator_agree_on_what_can_be_made() -> None:
    made = set()
    for numbers in [[1, 1, 1, 1], [1, 1, 1, 8], [3, 3, 8, 8], [1, 5, 5, 5], [13, 13, 13, 13], [1, 3, 4, 6]]:
        try:
            question_of({"task": "game24", "params": {"numbers": numbers}})
        except ValueError:
            continue
        made.add(tuple(numbers))
    assert made == {(1, 1, 1, 8), (3, 3, 8, 8), (1, 5, 5, 5), (1, 3, 4, 6)}
    for question in questions("game24", 20):
        assert ask_task(PACK["game24"], question, PACK["game24"].solve(question)).correct
