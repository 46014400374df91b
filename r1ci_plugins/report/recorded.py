"""Recorded trajectories, and what lies beside them: the recipe that made them and the advantages of training."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from r1ci_plugins.errors import RecipeError, TrajectoryFileError
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.rollout.run_folder import RunFolder, read_lines
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.trajectory_file import read_records


def recorded_recipe(file: Path) -> Recipe | None:
    """The recipe of the run or the synthesis that wrote a file; None if it is no longer in its folder.

    Raises:
        RecipeError: It cannot be read.
    """
    run, build = file.absolute().parent.parent / "recipe.yaml", file.absolute().parent / "build.json"
    if run.exists():
        return load_recipe(run)
    if not build.exists():
        return None
    try:
        return Recipe.model_validate(yaml.safe_load(json.loads(build.read_text(encoding="utf-8"))["recipe"]))
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise RecipeError(
            f"the recipe recorded with the file cannot be read: {error}",
            where=str(build),
            fix="name the recipe with --recipe",
        ) from error


def recorded_advantage(file: Path, trajectory: Trajectory) -> dict[str, float] | None:
    """What the trainer made of a trajectory's reward; None unless the run that recorded it has trained on it."""
    lines = read_lines(RunFolder(file.absolute().parent.parent).advantages)
    return next((line for line in lines if line.get("trajectory") == trajectory.fingerprint), None)


def find_trajectory(file: Path, number: int | None, key: str | None) -> Trajectory:
    """One trajectory of a file.

    Args:
        file: The trajectory file.
        number: Its line, from 1; None means the first, unless a key is given.
        key: The question's key, or its beginning.

    Raises:
        TrajectoryFileError: There is none, or its line is broken.
    """
    wanted = (number or 1) if key is None else None
    line = 0
    for line, record in enumerate(read_records(file), 1):
        if isinstance(record, TrajectoryFileError):
            if line == wanted:
                raise record
        elif line == wanted or (key is not None and record.question.key.startswith(key)):
            return record
    missing = f"line {wanted}" if key is None else f"trajectory of a question {key!r}"
    raise TrajectoryFileError(f"there is no {missing} among {line} lines", where=str(file))
