"""The questions that SymBench published, as our questions: read upstream's folders and check answers with our tasks.

Upstream's repositories (CodeSteer-v1.0, Code-as-Symbolic-Planner) keep the data of all tasks in ``dataset_gather/``,
in several layouts; ``_LAYOUTS`` is the table of them. Each file becomes *records*, which the ``published`` function of
a task's module turns into a Question. JSON lines of such records are read as well.

    for question in questions("CodeSteer-v1.0"):  # a clone, its dataset_gather/, or one task's folder in there
        ...
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from r1ci_plugins import Question
from r1ci_plugins.errors import TaskError
from r1ci_tasks_symbench import MODULES

Record = dict[str, Any]
"""``task``, ``question`` (text, or None where upstream builds it in code), ``solution`` (or None), ``params``."""

_RENAMED = {
    "2048": "tile_moves",
    "blocksworld_large": "blocksworld",
    "boxlift_large": "boxlift",
    "boxnet1": "boxnet_v2",
}
"""Upstream's names of tasks whose module has another name."""


def module_of(task: str) -> str:
    """The name of the module that a task, as upstream names it, is in."""
    return _RENAMED.get(task, task)


def question_of(record: Mapping[str, Any]) -> Question:
    """One record as a Question of the pack, ``record["task"]`` naming its task.

    Raises:
        ValueError: If there is no such task, or the record is not one of its records.
    """
    name = str(record.get("task"))
    if module_of(name) not in MODULES:
        raise ValueError(f"SymBench has no task {name!r}")
    module = import_module(f"r1ci_tasks_symbench.{module_of(name)}")
    try:
        question: Question = module.published({"question": None, "solution": None, "params": {}, **record})
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not a record of {name}: {type(error).__name__}: {error}") from error
    return replace(question, task=f"symbench/{'2048' if module_of(name) == 'tile_moves' else module_of(name)}")


def questions(source: str | Path, tasks: Iterable[str] | None = None) -> Iterator[Question]:
    """All published questions below a folder, in the order of their paths, numbered within each task.

    Args:
        source: A clone of an upstream repository, the folder of one task or a folder that holds such folders, a
            JSON-lines file of records or a folder of such files; or the name ``owner/name`` of a data set on the
            Hugging Face hub with one of these layouts.
        tasks: Names of the tasks to keep; empty means all.

    Raises:
        TaskError: If there is nothing to read there, or something cannot be read.
    """
    root = _root(source)
    wanted = None if tasks is None else {module_of(task) for task in tasks}
    numbers: dict[str, int] = {}
    for path, task, read in _files(root):
        if wanted is not None and task is not None and module_of(task) not in wanted:
            continue
        try:
            for record in read(path):
                if wanted is None or module_of(str(record.get("task", task))) in wanted:
                    question = question_of({"task": task, **record})
                    numbers[question.task] = number = numbers.get(question.task, -1) + 1
                    yield replace(question, index=number)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise TaskError(
                f"published data cannot be read: {error}",
                where=str(path),
                fix="get an unchanged copy of upstream's data, or remove the file",
            ) from error
    if not numbers:
        raise TaskError(
            "no published SymBench questions found" + (f" for {', '.join(sorted(wanted))}" if wanted else ""),
            where=str(root),
            fix="name a clone of github.com/yongchao98/CodeSteer-v1.0 or Code-as-Symbolic-Planner, a folder in its "
            "dataset_gather/, or JSON lines with task, question, solution, params",
        )


def holds(root: Path, task: str) -> bool:
    """Whether a local file or folder has published questions of a task in one of upstream's layouts."""
    return any(module_of(name) == module_of(task) for _, name, _ in _files(root) if name is not None)


def _root(source: str | Path) -> Path:
    root = Path(source).expanduser()
    if root.exists():
        return root
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise TaskError("there is no such file or folder", where=str(source), fix="check the path")
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(str(source), repo_type="dataset"))
    except Exception as error:  # the hub's client raises errors of several libraries
        raise TaskError(
            f"neither a local path nor a data set that can be fetched: {type(error).__name__}: {str(error)[:300]}",
            where=str(source),
            fix="check the name and the network (HF_HUB_OFFLINE forbids it), `pip install r1ci-tasks-symbench[data]`, "
            "or give the path of a local copy",
        ) from error


class _Layout(NamedTuple):
    folder: str  # pattern of the folder's name in dataset_gather/
    files: str  # pattern of the files below it
    task: str
    read: Callable[[Path], Iterable[Record]]


def _files(root: Path) -> Iterator[tuple[Path, str | None, Callable[[Path], Iterable[Record]]]]:
    """Every file to read, with its task (None where the records name it) and its reader."""
    if root.is_file():
        yield root, "gsm_hard" if root.match(_GSM) else None, _gsm if root.match(_GSM) else _json_lines
        return
    base = root / "dataset_gather" if (root / "dataset_gather").is_dir() else root
    for layout in _LAYOUTS:
        folders = [base] if base.match(layout.folder) else sorted(base.glob(layout.folder), key=_natural)
        for path in sorted((path for folder in folders for path in folder.glob(layout.files)), key=_natural):
            yield path, layout.task, layout.read
    for path in sorted(base.glob("*.jsonl"), key=_natural):
        if path.match(_GSM):
            yield path, "gsm_hard", _gsm
        else:
            yield path, None, _json_lines


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order by the numbers in names, not by their digits."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path)) if part]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> Iterator[Record]:
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _sample(
    path: Path, solution: Callable[[Any, str], Any] = lambda stored, question: stored["solution"]
) -> list[Record]:
    """``sample_N/``: ``question.txt``; ``solution.json`` with the answer and what the question is made of."""
    stored = _json(path)
    question = (path.parent / "question.txt").read_text(encoding="utf-8")
    params = stored if isinstance(stored, dict) else {"name": path.parent.name}
    return [{"question": question, "solution": solution(stored, question), "params": params}]


def _stored_as(key: str) -> Callable[[Path], list[Record]]:
    return partial(_sample, solution=lambda stored, question: stored[key])


def _remaining_counts(stored: Any, question: str) -> list[str]:
    """The counts that the question asks for, from the stored ones of A, B, C, X and Y."""
    return [n for kind, n in zip("ABCXY", stored["solution"]["answer"], strict=True) if f"_{kind}" in question]


def _blocks(path: Path) -> list[Record]:
    """Two sections, start and goal, of lines ``stack1: A B``, blocks from the bottom to the top."""
    states: list[dict[str, list[str]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        name, colon, blocks = line.partition(":")
        if name.strip() in ("Initial State", "Goal State"):
            states.append({})
        elif colon:
            states[-1][name.strip()] = blocks.split()
    initial, goal = states
    return [{"params": {"initial": initial, "goal": goal}}]


def _whole(path: Path) -> list[Record]:
    """The file is what the question is made of."""
    return [{"params": _json(path)}]


def _squares(path: Path) -> list[Record]:
    return [{"params": {"state": _json(path)}}]


def _box_states(path: Path) -> list[Record]:
    """The file with number i repeats all samples before it; its last one is new."""
    sample = _json(path)[-1]
    grid = sample["grid"]
    places = {"initial": sample["initial_state"], "goal": sample["goal_locations"]}
    return [{"params": {"rows": grid["rows"], "cols": grid["cols"], "boxes": sample["boxes"], **places}}]


def _gridworld(path: Path) -> list[Record]:
    sample = _json(path)
    places = {"initial": sample["initial_robot"], "goals": sample["goals"], "obstacles": sample["obstacles"]}
    return [{"params": {"rows": sample["grid"]["rows"], "cols": sample["grid"]["cols"], **places}}]


def _letters(path: Path) -> list[Record]:
    """The file is the word; the letter is the first part of the folder's name, ``a_1_0``."""
    word, letter = _json(path), path.parent.name.split("_")[0]
    positions = [index for index, character in enumerate(word, 1) if character == letter]
    return [
        {"params": {"word": word, "letter": letter}, "solution": {"count": len(positions), "positions": positions}}
    ]


def _factors(path: Path) -> list[Record]:
    values = ast.literal_eval(path.read_text(encoding="utf-8"))
    question = (path.parent / "input_prompt_1.txt").read_text(encoding="utf-8")
    solution = int((path.parent / "target_answer.txt").read_text(encoding="utf-8"))
    return [{"question": question, "solution": solution, "params": {"values": values}}]


def _game24(path: Path) -> Iterator[Record]:
    """A table with the columns ``Puzzles`` and perhaps ``Solutions``; the folder's name is what to make."""
    with open(path, encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            numbers = [int(number) for number in row["Puzzles"].split()]
            yield {"params": {"numbers": numbers, "target": int(path.parent.name)}, "solution": row.get("Solutions")}


def _gsm(path: Path) -> Iterator[Record]:
    for row in _json_lines(path):
        yield {"question": row["input"], "solution": row["target"]} if "input" in row else row


def _math(path: Path) -> list[Record]:
    row = _json(path)
    return [{"question": row["problem"], "solution": row["solution"], "params": {"level": row.get("level")}}]


_GSM = "gsmhard*.jsonl"
_SAMPLE = "**/solution.json"

_LAYOUTS = (
    _Layout("2048_dataset*", _SAMPLE, "2048", _sample),
    _Layout("Blocksworld_dataset*", "*/blocksworld_task.txt", "blocksworld", _blocks),
    _Layout("BoxLift_dataset*", "*/*/BoxLift.json", "boxlift", _whole),
    _Layout("BoxNet1_dataset*", "*/*/pg_state*.json", "boxnet1", _squares),
    _Layout("BoxNet1_v2_dataset*", "question_samples_*.json", "boxnet_v2", _box_states),
    _Layout("GridWorld1_dataset*", "gridworld_sample_*.json", "gridworld", _gridworld),
    _Layout("Letters", "*/*/test_words.json", "letters", _letters),
    _Layout("MATH", "**/geometry/*.json", "math_geometry", _math),
    _Layout("MATH", "**/counting_and_probability/*.json", "math_counting_and_probability", _math),
    _Layout("combinatorial_calculation*", _SAMPLE, "combinatorial_calculation", _sample),
    _Layout("constrained_linear_arrangement*", _SAMPLE, "constrained_linear_arrangement", _sample),
    _Layout("cryptanalysis*", _SAMPLE, "cryptanalysis", _stored_as("answer")),
    _Layout("eight_queens_dataset*", _SAMPLE, "eight_queens", _sample),
    _Layout("game24_dataset", "*/*.csv", "game24", _game24),
    _Layout("letter_logic_diagram*", _SAMPLE, "letter_logic_diagram", _sample),
    _Layout("light_puzzles_dataset*", _SAMPLE, "light_puzzles", _sample),
    _Layout("logic_puzzle_dataset*", _SAMPLE, "logic_puzzle", _sample),
    _Layout("logical_equation*", _SAMPLE, "logical_equation", partial(_sample, solution=lambda stored, _: stored)),
    _Layout("mahjong_pattern_dataset*", _SAMPLE, "mahjong_pattern", _sample),
    _Layout("matrix_transformation_dataset*", _SAMPLE, "matrix_transformation", _stored_as("formatted_solution")),
    _Layout("new_operator_dataset*", _SAMPLE, "new_operator", _sample),
    _Layout("number_multiply*", "**/input_value_list.txt", "number_multiply", _factors),
    _Layout(
        "pattern_recognition*",
        _SAMPLE,
        "pattern_recognition",
        partial(_sample, solution=lambda stored, _: [stored["row"], stored["column"]]),
    ),
    _Layout(
        "permutations_and_combinations*", _SAMPLE, "permutations_and_combinations", _stored_as("correct_solution")
    ),
    _Layout("pooling_dataset*", _SAMPLE, "pooling", _sample),
    _Layout("reversi_dataset*", _SAMPLE, "reversi", _sample),
    _Layout("standard_sudoku*", _SAMPLE, "standard_sudoku", _sample),
    _Layout("statistical_counting_dataset*", _SAMPLE, "statistical_counting", _sample),
    _Layout(
        "string_deletion_and_modification*", _SAMPLE, "string_deletion_and_modification", _stored_as("final_string")
    ),
    _Layout("string_insertion*", _SAMPLE, "string_insertion", _stored_as("modified_string")),
    _Layout("string_splitting*", _SAMPLE, "string_splitting", _stored_as("expected_answer")),
    _Layout("string_synthesis*", _SAMPLE, "string_synthesis", _stored_as("final_counts")),
    _Layout(
        "synthesis_decomposition_dataset*",
        _SAMPLE,
        "synthesis_decomposition",
        partial(_sample, solution=_remaining_counts),
    ),
)
