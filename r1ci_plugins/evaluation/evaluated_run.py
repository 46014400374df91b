"""Evaluations as they lie on the disk: of finished runs, of runs that still write, of staged runs, of one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from r1ci_plugins.errors import MachineProblem, TrajectoryFileError
from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.run_folder import RunFolder, read_lines
from r1ci_plugins.rollout.trajectory_file import read_records


@dataclass(frozen=True)
class EvaluatedRun:
    """One model at one time, evaluated.

    Attributes:
        name: For people; different for different runs of one command.
        outcomes: One per sample.
        notes: What to know about it: that it is not finished, that lines could not be read.
        run: Contents of its ``run.json``; empty without one.
    """

    name: str
    outcomes: Sequence[OutcomeSummary]
    notes: tuple[str, ...] = ()
    run: Mapping[str, Any] | None = None


def load_runs(paths: Sequence[Path]) -> list[EvaluatedRun]:
    """The evaluations of every path, with different names.

    Raises:
        MachineProblem: A path does not exist, or holds no evaluation.
    """
    found = [run for path in paths for run in load_path(path)]
    names = [one.name for one in found]
    return [
        one if names.count(one.name) == 1 else replace(one, name=f"{one.name} ({number})")
        for number, one in enumerate(found, 1)
    ]


def load_path(path: Path) -> list[EvaluatedRun]:
    """The evaluations of a run's folder, a staged run's, or a trajectory file, in order of time. Raises as above."""
    if path.is_file():
        return [_of_file(path, path.name.removesuffix(".gz").removesuffix(".jsonl"), ())]
    if not path.is_dir():
        raise MachineProblem(f"there is no {path}", fix="give the folder of a run, a staged run, or a trajectory file")
    name = path.resolve().name
    if own := _of_folder(path, name):
        return own[-1:]
    stages = [line.get("stage") for line in read_lines(path / "stages.jsonl")]
    folders = sorted(
        (folder for folder in path.iterdir() if folder.is_dir()),
        key=lambda folder: (stages.index(folder.name) if folder.name in stages else len(stages), folder.name),
    )
    found: list[EvaluatedRun] = []
    for folder in folders:
        of_stage = _of_folder(folder, folder.name)
        # The first evaluation of a later stage is of what the stage before has left, which is here already.
        found += of_stage[-1:] if found else of_stage
    if not found:
        raise MachineProblem(
            "there is no evaluation in this folder, and none in the folders below it",
            where=str(path),
            fix="make one with `r1ci evaluate`; training leaves one where the recipe has tasks.eval",
        )
    return found


def _of_folder(path: Path, name: str) -> list[EvaluatedRun]:
    """The first and the last evaluation of a run; of one that is not finished, what has ended so far."""
    folder = RunFolder(path)
    lines = [line for line in read_lines(folder.evaluations) if isinstance(line.get("outcomes"), list)]
    run = _run(folder.run)
    if not lines:
        file = folder.trajectories("eval")
        if not file.exists():
            return []
        unfinished = ("it is not finished: what has ended so far counts",)
        return [replace(_of_file(file, name, unfinished), run=run)]
    chosen = [lines[0], lines[-1]] if len(lines) > 1 else lines
    single = len(chosen) == 1
    return [
        EvaluatedRun(
            name if single else f"{name}, step {line.get('step', '?')}",
            _outcomes(name, line, folder.evaluations),
            run=run,
        )
        for line in chosen
    ]


def _outcomes(name: str, line: Mapping[str, Any], file: Path) -> Sequence[OutcomeSummary]:
    try:
        return Evaluation.from_line(name, line).outcomes
    except (TypeError, KeyError, AttributeError) as error:
        raise TrajectoryFileError(
            f"an outcome cannot be read: {error}", where=str(file), fix="use the release that wrote it"
        ) from error


def _of_file(file: Path, name: str, notes: tuple[str, ...]) -> EvaluatedRun:
    broken, outcomes = 0, []
    for record in read_records(file):
        if isinstance(record, TrajectoryFileError):
            broken += 1
        else:
            outcomes.append(OutcomeSummary.of(record))
    if broken:
        notes = (*notes, f"{broken} lines cannot be read and are left out")
    return EvaluatedRun(name, outcomes, notes)


def _run(file: Path) -> Mapping[str, Any] | None:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
