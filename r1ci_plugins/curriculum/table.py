"""The table that a profile leaves: one row per question, Parquet, with what it was made from in its metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from r1ci_plugins.curriculum.potential import Evidence
from r1ci_plugins.errors import MachineProblem, TrajectoryFileError
from r1ci_plugins.rollout.whole_file import write_whole
from r1ci_plugins.tasks.task import Question

FORMAT = 1
_METADATA = b"r1ci_profile"
_FIX = "make it again with `r1ci curriculum profile`"


@dataclass(frozen=True)
class Origin:
    """What decides a profile's content.

    Attributes:
        model: The model that answered: a hub name, or a fingerprint of a folder's content.
        packs: By name, the hash of what decides the pack's questions.
        instructions: The head prompt.
        agents: Who answered.
        samples: Answers to each question from each agent.
        temperatures: Sampling temperatures, in turn.
        format: Version of the table.
    """

    model: str
    packs: Mapping[str, str]
    instructions: str
    agents: Sequence[str]
    samples: int
    temperatures: Sequence[float]
    format: int = FORMAT

    def to_json(self) -> str:
        """Serialise to one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Origin:
        """Read back what ``to_json`` wrote. Raises TypeError or ValueError if it is something else."""
        return cls(**json.loads(text))

    def differences(self, other: Origin) -> list[str]:
        """What differs, in words, ``other`` being what is wanted now."""
        mine, wanted = json.loads(self.to_json()), json.loads(other.to_json())
        found = [
            f"{name} was {mine[name]!r}, is now {wanted[name]!r}"
            for name in mine
            if name != "packs" and mine[name] != wanted[name]
        ]
        for pack, source in other.packs.items():
            if self.packs.get(pack) != source:
                found.append(f"pack {pack} is {'another version' if pack in self.packs else 'not in it'}")
        return found


@dataclass(frozen=True)
class Row:
    """One question.

    Attributes:
        question: ``Question.key``.
        task: Qualified task name.
        level: Difficulty; None if it was left to the task.
        fingerprint: Of the whole question, text and answer included.
        correct: Right answers.
        samples: Answers, excluded ones left out.
        excluded: Answers that an infrastructure fault ended.
        accuracy: ``Evidence.accuracy``; so are the next three.
        accuracy_error: Its standard deviation.
        potential: 4p(1 - p).
        potential_error: Its standard deviation.
    """

    question: str
    task: str
    level: int | None
    fingerprint: str
    correct: int
    samples: int
    excluded: int
    accuracy: float
    accuracy_error: float
    potential: float
    potential_error: float

    @classmethod
    def of(cls, question: Question, correct: int, samples: int, excluded: int) -> Row:
        """A question's row."""
        known = Evidence(correct, samples)
        return cls(
            question.key,
            question.task,
            question.difficulty,
            fingerprint(question),
            correct,
            samples,
            excluded,
            known.accuracy,
            known.accuracy_error,
            known.potential,
            known.potential_error,
        )

    @property
    def evidence(self) -> Evidence:
        """What the sampler wants to know."""
        return Evidence(self.correct, self.samples)


@dataclass(frozen=True)
class Table:
    """A profile's rows, and what it was made from."""

    origin: Origin
    rows: Sequence[Row]


def fingerprint(question: Question) -> str:
    """A short hash of a whole question."""
    return hashlib.sha256(question.to_json().encode("utf-8", "surrogatepass")).hexdigest()[:16]


def model_identity(model: str) -> str:
    """A hub name as it is; a folder by its content, so that it may move, and may not be trained further."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.name == "config.json":
            digest.update(file.read_bytes())
        elif file.suffix in (".safetensors", ".bin"):
            size = file.stat().st_size
            digest.update(f"{file.name} {size}".encode())
            with open(file, "rb") as weights:
                for part in range(8):  # any training changes weights everywhere
                    weights.seek(part * size // 8)
                    digest.update(weights.read(1 << 16))
    return f"folder {digest.hexdigest()[:16]}"


def write_table(path: Path, table: Table) -> None:
    """Write a table, whole or not at all.

    Raises:
        MachineProblem: pyarrow is not installed.
        OSError: The file cannot be written.
    """
    arrow, parquet = _pyarrow()
    kinds = {"question": arrow.string(), "task": arrow.string(), "level": arrow.int32(), "fingerprint": arrow.string()}
    kinds |= dict.fromkeys(("correct", "samples", "excluded"), arrow.int32())
    kinds |= dict.fromkeys(("accuracy", "accuracy_error", "potential", "potential_error"), arrow.float64())
    columns = arrow.schema(list(kinds.items()), metadata={_METADATA: table.origin.to_json()})
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pylist([asdict(row) for row in table.rows], schema=columns), sink)
    write_whole(path, sink.getvalue().to_pybytes())


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        TrajectoryFileError: It is missing, cut short, of another kind or of another version.
        MachineProblem: pyarrow is not installed.
    """
    _, parquet = _pyarrow()
    if not path.is_file():
        raise TrajectoryFileError("there is no such profile", where=str(path), fix=_FIX)
    try:
        read = parquet.read_table(path, memory_map=False)
        rows = [Row(**values) for values in read.to_pylist()]
        text = (read.schema.metadata or {})[_METADATA].decode()
        version = json.loads(text)["format"]
        if version == FORMAT:
            return Table(Origin.from_json(text), rows)
    except (OSError, ValueError, TypeError, KeyError) as error:  # pyarrow's own errors are ValueErrors or OSErrors
        raise TrajectoryFileError(f"the profile cannot be read: {error}", where=str(path), fix=_FIX) from error
    raise TrajectoryFileError(f"the profile has format {version}, not {FORMAT}", where=str(path), fix=_FIX)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MachineProblem(
            f"profiles are Parquet files, and pyarrow cannot be imported: {error}",
            fix="pip install 'r1ci-plugins[data]'",
        ) from error
    return pyarrow, pyarrow.parquet
