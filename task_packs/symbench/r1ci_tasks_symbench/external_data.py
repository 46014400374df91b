"""Questions of data sets that we may not ship, from a path or from the Hugging Face hub.

An environment variable names the source (``R1CI_GSM_HARD``, ``R1CI_MATH``): a clone of upstream's repository or its
folder of the data, a file or folder that ``datasets`` reads (JSON lines, CSV, Parquet, ``save_to_disk``), or the name
of a data set on the hub, such as ``reasoning-machines/gsm-hard`` and ``EleutherAI/hendrycks_math``. Without the
variable the tasks ask questions of our own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from r1ci_plugins import Question
from r1ci_plugins.errors import MissingData
from r1ci_tasks_symbench import published

_TEXT = ("problem", "question", "input")
_ANSWER = ("answer", "target", "solution")
_SUBJECT = ("type", "subject")
_FORMATS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


def questions(
    variable: str, task: str, make: Callable[[Mapping[str, Any]], Question], subject: str = ""
) -> Sequence[Question] | None:
    """The questions of the source that an environment variable names; None if it is not set. Read once in a process.

    Args:
        variable: The environment variable.
        task: SymBench's name of the task.
        make: The task's ``published``.
        subject: Only rows of this one, where rows name a subject; also the configuration on the hub, if it has that.

    Raises:
        MissingData: If the source is not there, cannot be read or has no questions of the task.
    """
    source = os.environ.get(variable)
    return _loaded(source, variable, task, make, subject) if source else None


@cache
def _loaded(
    source: str, variable: str, task: str, make: Callable[[Mapping[str, Any]], Question], subject: str
) -> Sequence[Question]:
    where = f"{variable}={source}"
    try:
        path = Path(source).expanduser()
        if path.exists() and published.holds(path, task):
            found = list(published.questions(path, [task]))
        else:
            found = [make(record) for record in _records(_rows(path, source, subject), subject)]
    except Exception as error:  # datasets and the hub's client raise errors of several libraries
        raise MissingData(
            f"the questions of {task} cannot be read: {type(error).__name__}: {str(error)[:300]}",
            where=where,
            fix="check the name and the network, name a local copy, `pip install r1ci-tasks-symbench[data]`; or unset "
            f"{variable} to be asked questions of our own",
        ) from error
    if not found:
        raise MissingData(
            f"no questions of {task} in there",
            where=where,
            fix=f"name data with the columns {' or '.join(_TEXT)} and {' or '.join(_ANSWER)}",
        )
    return list({question.text: question for question in found}.values())


def _rows(path: Path, source: str, subject: str) -> Iterator[Mapping[str, Any]]:
    import datasets

    if path.is_dir() and ((path / "state.json").exists() or (path / "dataset_dict.json").exists()):
        loaded = datasets.load_from_disk(str(path))
    elif path.is_file():
        loaded = datasets.load_dataset(_FORMATS[path.suffix], data_files=str(path))
    elif path.exists():
        loaded = datasets.load_dataset(str(path))
    else:
        configurations = datasets.get_dataset_config_names(source)
        loaded = datasets.load_dataset(source, subject if subject in configurations else None)
    for rows in loaded.values() if isinstance(loaded, dict) else [loaded]:
        yield from rows


def _records(rows: Iterable[Mapping[str, Any]], subject: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        named = _first(row, _SUBJECT)
        if not subject or named is None or _words(named) == subject:
            params = {"level": row.get("level")}
            yield {"question": _first(row, _TEXT), "solution": _first(row, _ANSWER), "params": params}


def _words(subject: Any) -> str:
    """``Counting & Probability`` as MATH names its folder."""
    return str(subject).lower().replace("&", "and").replace(" ", "_")


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)
