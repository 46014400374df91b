"""The published data of BIG-Bench-Hard (MIT): a folder of the official JSON files, or the hub. Bad items are left out.

The official files are ``<task>.json``: ``{"examples": [{"input": ..., "target": ...}, ...]}``. A data set on the hub
has one configuration per task, split ``test``, columns ``input`` and ``target``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from r1ci_plugins.errors import MissingData
from r1ci_plugins.tasks.answers import Unreadable
from r1ci_tasks_bbh.forms import LETTER, Form
from r1ci_tasks_bbh.problem import LETTERS, Problem, options_of

VARIABLE = "R1CI_BBH"
HUB = "lukaemon/bbh"

logger = logging.getLogger(__name__)


class BadItem(NamedTuple):
    """A published item that is left out: its position in the data, and why."""

    position: int
    fault: str


def fault(problem: Problem, form: Form) -> str | None:
    """Why no answer to a problem can be judged, or None if one can.

    The rules find the known bad items: 163 of movie_recommendation, 99 and 144 of ruin_names, which were cut into
    options at the commas of a name, and 86 and 88 of snarks, with two equal options and with one. ``sift`` adds the
    rule that needs all items.
    """
    if not problem.input.strip():
        return "the input is empty"
    if not problem.target.strip():
        return "the target is empty"
    if form is LETTER:
        options = options_of(problem.input)
        if len(options) < 2:
            return "there are fewer than two options"
        if "".join(options) != LETTERS[: len(options)] or "" in options.values():
            return "an option is missing"
        if len(set(options.values())) < len(options):
            return "an option appears twice"
    try:
        form.read(problem.target, problem.input)
    except Unreadable:
        return f"the target {problem.target!r} is not among the possible answers"
    return None


def sift(problems: Sequence[Problem], form: Form) -> tuple[list[Problem], list[BadItem]]:
    """Separate the items that can be judged from those that cannot."""
    faults = [fault(problem, form) for problem in problems]
    targets: dict[str, set[str]] = {}
    for problem, reason in zip(problems, faults, strict=True):
        if reason is None:
            targets.setdefault(problem.input, set()).add(problem.target)
    good, bad = [], []
    for position, (problem, reason) in enumerate(zip(problems, faults, strict=True)):
        if reason is None and len(targets[problem.input]) > 1:
            reason = "the same input has another target elsewhere"
        if reason is None:
            good.append(problem)
        else:
            bad.append(BadItem(position, reason))
    return good, bad


@cache
def load(source: str, task: str, form: Form) -> Sequence[Problem]:
    """The good items of one task. Each bad one is logged once.

    Args:
        source: A folder of official JSON files, or the name of a data set on the hub.
        task: Name of the task.
        form: Its form of answer.

    Raises:
        MissingData: The data is not there or not in the official format.
    """
    good, bad = sift(_folder(Path(source), task) if _is_path(source) else _hub(source, task), form)
    for item in bad:
        logger.info("%s, %s: item %d is left out: %s", source, task, item.position, item.fault)
    if not good:
        raise MissingData("no usable item in the data", where=f"{source}, {task}", fix=_fix())
    return good


def _is_path(source: str) -> bool:
    return source.startswith((".", "/", "~")) or source.count("/") != 1 or Path(source).is_dir()


def _folder(folder: Path, task: str) -> list[Problem]:
    path = folder.expanduser() / f"{task}.json"
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))["examples"]
        return [Problem(str(example["input"]), str(example["target"])) for example in examples]
    except OSError as error:
        raise MissingData(f"the official data is not there: {error}", where=str(path), fix=_fix()) from error
    except (ValueError, KeyError, TypeError) as error:
        raise MissingData(
            f'not an official file, {{"examples": [{{"input", "target"}}]}}: {type(error).__name__}: {error}',
            where=str(path),
            fix=_fix(),
        ) from error


def _hub(name: str, task: str) -> list[Problem]:
    where = f"{name}, configuration {task}"
    try:
        import datasets
    except ImportError as error:
        raise MissingData(
            "reading the hub needs the package datasets", where=where, fix="pip install 'r1ci-tasks-bbh[data]'"
        ) from error
    try:
        try:
            rows = datasets.load_dataset(name, task, split="test")
        except RuntimeError:
            # Scripts that make a data set, as the default one was made, do not run any more. The hub converts them.
            files = {"test": f"{task}/test/*.parquet"}
            rows = datasets.load_dataset(name, data_files=files, revision="refs/convert/parquet", split="test")
        return [Problem(str(row["input"]), str(row["target"])) for row in rows]
    except Exception as error:  # Whatever the hub client raises: no network, no such data set, other columns.
        raise MissingData(
            f"the data set cannot be read: {type(error).__name__}: {error}", where=where, fix=_fix()
        ) from error


def _fix() -> str:
    return (
        f"set {VARIABLE} to a folder of official JSON files (<task>.json) or to a data set on the hub such as {HUB}, "
        f"or unset {VARIABLE} for questions made here"
    )
