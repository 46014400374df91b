"""Published questions: references are accepted, corrupted ones are not, upstream's folders are read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from r1ci_tasks_symbench import r1ci_task_packs
from r1ci_tasks_symbench.published import question_of, questions

from r1ci_plugins import Question, Task
from r1ci_plugins.errors import TaskError
from r1ci_plugins.pack_checks.likeness import alike
from r1ci_plugins.pack_checks.rules.wrong import CORRUPTIONS
from r1ci_plugins.rewards.verifier import ask_task

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "symbench"
FILES = sorted(SAMPLES.glob("*.jsonl"))
PACK = r1ci_task_packs()[0]

needs_samples = pytest.mark.skipif(not FILES, reason="the published samples are not here")
every_file = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


def task_of(question: Question) -> Task:
    return PACK[question.task.split("/")[1]]


def right(question: Question, answer: str) -> bool:
    question = Question.from_json(question.to_json())
    return ask_task(task_of(question), question, answer).correct


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@needs_samples
@every_file
def test_the_checkers_agree_with_what_is_known_of_the_references(path: Path) -> None:
    for record in records(path):
        question = question_of(record)
        assert question.text.strip()
        assert right(question, question.answer) == (record["reference_ok"] is not False), record["source_path"]


@needs_samples
@every_file
def test_stored_references_are_accepted_as_they_are_stored(path: Path) -> None:
    for record in records(path):
        if record["reference_ok"]:
            solution = record["solution"]
            assert right(question_of(record), solution if isinstance(solution, str) else json.dumps(solution))


@needs_samples
@every_file
def test_corrupted_references_are_rejected(path: Path) -> None:
    rng = random.Random(path.stem)
    accepted, tried = [], 0
    for record in records(path):
        question = question_of(record)
        for kind, corrupt in CORRUPTIONS.items():
            corrupted = corrupt(question.answer, rng)
            if corrupted is not None and not alike(corrupted, question.answer):
                tried += 1
                if right(question, corrupted):
                    accepted.append((kind, corrupted))
        for nonsense in ("", "[]", "None", "0.5.5", "[[[", question.text, json.dumps({"answer": question.answer})):
            assert not right(question, nonsense)
    # Where several answers are valid, a changed one may be another of them; tests of the tasks look at those.
    assert not accepted if task_of(question).unique else len(accepted) < tried / 4, accepted


@needs_samples
def test_a_folder_of_records_is_read_whole() -> None:
    found = list(questions(SAMPLES))
    assert len(found) == sum(len(records(path)) for path in FILES)
    assert {question.task for question in found} == {f"symbench/{task.name}" for task in PACK.tasks}
    twenty_four = [question.index for question in questions(SAMPLES, ["game24"])]
    assert twenty_four == list(range(len(records(SAMPLES / "game24.jsonl"))))


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def sample_2048(root: Path) -> None:
    write(root / "2048_dataset/sample_0/question.txt", "Move it.")
    stored = {"grid": [[2, 2], [0, 0]], "moves": "r", "start_pos": [0, 0], "solution": "0, 4\n0, 0", "complexity": 1}
    write(root / "2048_dataset/sample_0/solution.json", stored)


def rotation(root: Path) -> None:
    write(root / "matrix_transformation_dataset/sample_3/question.txt", "Turn it.")
    stored = {"matrix": [["A", "B"], ["C", "D"]], "solution": [["C", "A"], ["D", "B"]], "complexity": 1}
    write(root / "matrix_transformation_dataset/sample_3/solution.json", {**stored, "formatted_solution": "C,A,D,B"})


def blocks(root: Path) -> None:
    text = "Initial State:\nstack1: \nstack2: B A\nstack3: \n\nGoal State:\nstack1: \nstack2: A B\n"
    write(root / "Blocksworld_dataset/2_3_2_0/blocksworld_task.txt", text)


def lifters(root: Path) -> None:
    write(root / "BoxLift_dataset/BoxLift_3_2/BoxLift0/BoxLift.json", {"boxes": [9, 5, 4], "lifters": [5, 4]})


def coloured_boxes(root: Path) -> None:
    state = {"0.5_0.5": ["box_red", "target_blue"], "0.5_1.5": ["box_blue", "target_red"]}
    write(root / "BoxNet1_dataset/env_pg_state_1_2/pg_state0/pg_state0.json", state)


def numbered_boxes(root: Path) -> None:
    grid = {"rows": 2, "cols": 2, "cells": [], "adjacency": {}}
    old = {"grid": grid, "boxes": ["box1"], "initial_state": {"box1": "C1,1"}, "goal_locations": {"box1": "C1,2"}}
    new = {**old, "goal_locations": {"box1": "C2,2"}}
    write(root / "BoxNet1_v2_dataset/question_samples_2_2_1.json", [old, new])


def robot(root: Path) -> None:
    places = {"obstacles": ["C1,2"], "goals": ["C2,2"], "initial_robot": "C1,1"}
    write(root / "GridWorld1_dataset/gridworld_sample_2x2_1.json", {"grid": {"rows": 2, "cols": 2}, **places})


def word(root: Path) -> None:
    write(root / "Letters/Letters_dataset_min_length_5_max_length_10/a_2_0/test_words.json", '"banal"')


def factors(root: Path) -> None:
    folder = root / "number_multiply/digit_1_2/sample_0"
    write(folder / "input_prompt_1.txt", "What is the result of -9*43?")
    write(folder / "input_value_list.txt", "[-9, 43]")
    write(folder / "target_answer.txt", "-387")


def puzzles(root: Path) -> None:
    write(root / "game24_dataset/24/24.csv", "Rank,Puzzles,AMT (s)\n1,1 1 4 6,4.4\n")
    write(root / "game24_dataset/24/24_2_number.csv", "Rank,Puzzles,Solutions\n1,332 356,(356-332)\n")


def word_problem(root: Path) -> None:
    write(root / "gsmhardv2.jsonl", json.dumps({"input": "How many?", "code": "", "target": 1234567.0}) + "\n")


def geometry(root: Path) -> None:
    problem = {
        "problem": "How long?",
        "level": "Level 3",
        "type": "Geometry",
        "solution": r"It is $\boxed{2\sqrt{3}}$.",
    }
    write(root / "MATH/train/geometry/7.json", problem)


LAYOUTS: dict[Callable[[Path], None], tuple[str, list[str]]] = {
    sample_2048: ("2048", ["[[0, 4], [0, 0]]"]),
    rotation: ("matrix_transformation", ["C, A, D, B"]),
    blocks: ("blocksworld", ["Move A from 2 to 1\nMove B from 2 to 3\nMove A from 1 to 2\nMove B from 3 to 2"]),
    lifters: ("boxlift", ["Step 1: [(9, [0, 1])]\nStep 2: [(5, [0]), (4, [1])]"]),
    coloured_boxes: (
        "boxnet_v2",
        [
            '[{"Agent[0.5, 0.5]": "move(box_red, square[0.5, 1.5])", "Agent[0.5, 1.5]": "move(box_blue, '
            'square[0.5, 0.5])"}, {"Agent[0.5, 0.5]": "move(box_blue, target_blue)", "Agent[0.5, 1.5]": '
            '"move(box_red, target_red)"}]'
        ],
    ),
    numbered_boxes: ("boxnet_v2", ['[{"box1": "C1,1"}, {"box1": "C2,1"}, {"box1": "C2,2"}]']),
    robot: ("gridworld", ['["C1,1", "C2,1", "C2,2"]']),
    word: ("letters", ["Count: 2, Positions: [2, 4]"]),
    factors: ("number_multiply", ["-387"]),
    puzzles: ("game24", ["1 * 1 * 4 * 6", "356 - 332"]),
    word_problem: ("gsm_hard", ["1,234,567.00"]),
    geometry: ("math_geometry", [r"\sqrt{12}"]),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("below", ["dataset_gather", ""])
def test_upstreams_folders_are_read(layout: Callable[[Path], None], below: str, tmp_path: Path) -> None:
    layout(tmp_path / below)
    task, expected = LAYOUTS[layout]
    found = list(questions(tmp_path))
    assert [question.task for question in found] == [f"symbench/{task}"] * len(expected)
    for question, answer in zip(found, expected, strict=True):
        assert right(question, question.answer)
        assert right(question, answer)


def test_the_folder_of_one_task_is_enough(tmp_path: Path) -> None:
    sample_2048(tmp_path)
    assert [question.text for question in questions(tmp_path / "2048_dataset")] == ["Move it."]


def test_samples_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        write(tmp_path / f"number_multiply/digit_1/sample_{number}/input_prompt_1.txt", f"{number} * 2?")
        write(tmp_path / f"number_multiply/digit_1/sample_{number}/input_value_list.txt", f"[{number}, 2]")
        write(tmp_path / f"number_multiply/digit_1/sample_{number}/target_answer.txt", f"{2 * number}")
    assert [(q.index, q.answer) for q in questions(tmp_path)] == [(0, "2"), (1, "18"), (2, "20")]


def test_a_plan_of_upstreams_own_start_is_found_where_nothing_has_to_be_moved() -> None:
    state = {"stack1": ["A"], "stack2": ["B"], "stack3": []}
    question = question_of({"task": "blocksworld", "params": {"initial": state, "goal": state}})
    assert question.answer
    assert right(question, question.answer)


@pytest.mark.parametrize(
    "record",
    [
        {"task": "no_such_task"},
        {},
        {"task": "game24"},
        {"task": "game24", "params": {"numbers": [1, 1, 1, 1]}},
        {"task": "game24", "params": {"numbers": "abc"}},
        {"task": "number_multiply", "params": {"values": ["x"]}, "solution": 1},
        {"task": "2048", "params": {"grid": [[1, 2, 3]], "moves": "u", "start_pos": [0, 0]}, "solution": ""},
        {"task": "2048", "params": {"grid": [[2, 2], [0, 0]], "moves": "x", "start_pos": [0, 0]}, "solution": ""},
        {"task": "blocksworld", "params": {"initial": {"stack1": ["A"]}, "goal": {"stack1": ["B"]}}},
        {"task": "boxlift", "params": {"boxes": [10], "lifters": [1]}},
        {"task": "boxnet1", "params": {"state": {"0.5_0.5": ["box_red"]}}},
        {"task": "boxnet_v2", "params": {"rows": 1, "cols": 2, "initial": {"a": "C1,1"}, "goal": {"b": "C1,1"}}},
        {"task": "gridworld", "params": {"rows": 2, "cols": 2, "initial": "here", "goals": [], "obstacles": []}},
        {"task": "gsm_hard", "question": "How many?", "solution": "many"},
        {"task": "math_geometry", "question": "How long?", "solution": ""},
    ],
)
def test_what_is_no_record_is_named(record: dict) -> None:
    with pytest.raises(ValueError, match=record.get("task", "no task")):
        question_of(record)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    sample_2048(tmp_path)
    (tmp_path / "2048_dataset/sample_0/solution.json").write_text("{")
    with pytest.raises(TaskError, match="sample_0/solution.json"):
        list(questions(tmp_path))


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no published SymBench questions found"):
        list(questions(tmp_path))
    with pytest.raises(TaskError, match="no such file or folder"):
        list(questions(tmp_path / "nowhere"))


def test_a_hub_name_reads_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample_2048(tmp_path)
    asked = []

    def snapshot(name: str, repo_type: str) -> str:
        asked.append((name, repo_type))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert len(list(questions("somebody/symbench"))) == 1
    assert asked == [("somebody/symbench", "dataset")]


def test_a_hub_that_cannot_be_reached_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(name: str, repo_type: str) -> str:
        raise ConnectionError("offline")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    with pytest.raises(TaskError, match="HF_HUB_OFFLINE"):
        list(questions("somebody/symbench"))
