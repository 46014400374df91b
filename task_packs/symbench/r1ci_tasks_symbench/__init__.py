"""The task pack ``symbench``: 33 symbolic tasks, one module each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from r1ci_plugins import Task, TaskPack, hookimpl

MODULES = (
    "blocksworld",
    "boxlift",
    "boxnet_v2",
    "combinatorial_calculation",
    "constrained_linear_arrangement",
    "cryptanalysis",
    "eight_queens",
    "game24",
    "gridworld",
    "gsm_hard",
    "letter_logic_diagram",
    "letters",
    "light_puzzles",
    "logic_puzzle",
    "logical_equation",
    "mahjong_pattern",
    "math_counting_and_probability",
    "math_geometry",
    "matrix_transformation",
    "new_operator",
    "number_multiply",
    "pattern_recognition",
    "permutations_and_combinations",
    "pooling",
    "reversi",
    "standard_sudoku",
    "statistical_counting",
    "string_deletion_and_modification",
    "string_insertion",
    "string_splitting",
    "string_synthesis",
    "synthesis_decomposition",
    "tile_moves",
)
"""One module per task, named like the task; ``2048`` is not an identifier, so its module is ``tile_moves``."""


def _task(module_name: str) -> Task:
    """The one Task that a module defines."""
    module = import_module(f"{__name__}.{module_name}")
    (task,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__
    )
    return task()


@hookimpl
def r1ci_task_packs() -> Sequence[TaskPack]:
    """The one pack of this distribution."""
    return [TaskPack("symbench", [_task(name) for name in MODULES])]
