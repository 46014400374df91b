"""What was made of one task, and its two files: trajectories, then statistics, each whole or absent.

A task with statistics is done; one without is made anew when the command runs again.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.synthesis.teacher import Usage

_COUNTERS = ("variants", "styles", "rejections")


@dataclass
class Statistics:
    """Counts over the orders of one task.

    Attributes:
        task: Qualified name.
        orders: Trajectories that were tried.
        kept: Those that are in the file.
        multi_turn: Of these, with two programs or more.
        code: Of these, with a program at all.
        failed_first: Of these, whose first program failed.
        tokens: Of these together, prompts and feedback included.
        variants: Of these by prompt variant.
        styles: Of these by style; of the first word where it has several.
        rejections: Why the others are not.
        usage: What the teacher took.
        seconds: Wall-clock time.
        complete: False when the budget ended it.
    """

    task: str
    orders: int = 0
    kept: int = 0
    multi_turn: int = 0
    code: int = 0
    failed_first: int = 0
    tokens: int = 0
    variants: Counter[str] = field(default_factory=Counter)
    styles: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)
    usage: Usage = Usage()
    seconds: float = 0.0
    complete: bool = True

    def count(self, trajectories: Sequence[Trajectory]) -> None:
        """Count what was kept."""
        for trajectory in trajectories:
            self.kept += 1
            self.multi_turn += is_multi_turn(trajectory)
            self.code += bool(trajectory.tool_calls)
            self.failed_first += bool(trajectory.tool_calls and trajectory.tool_calls[0].error)
            self.tokens += len(trajectory.token_ids)
            self.variants[trajectory.origin["variant"]] += 1
            self.styles[(trajectory.origin["style"] or "unnamed").split()[0]] += 1

    def __add__(self, other: Statistics) -> Statistics:
        mine, theirs = vars(self), vars(other)
        sums = {name: mine[name] + theirs[name] for name in mine if name not in ("task", "complete")}
        return Statistics(task=self.task, complete=self.complete and other.complete, **sums)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        counters = {name: dict(getattr(self, name)) for name in _COUNTERS}
        return {**vars(self), **counters, "usage": vars(self.usage)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Statistics:
        """Read back what ``to_dict`` gave."""
        counters = {name: Counter(values[name]) for name in _COUNTERS}
        return cls(**{**values, **counters, "usage": Usage(**values["usage"])})


def is_multi_turn(trajectory: Trajectory) -> bool:
    """Whether it ran two programs or more: it repaired, checked or changed its way."""
    return len(trajectory.tool_calls) >= 2


@dataclass(frozen=True)
class Part:
    """The files of one task in a folder."""

    folder: Path
    task: str

    @property
    def trajectories(self) -> Path:
        return self.folder / f"{self.task.replace('/', '--')}.jsonl.gz"

    @property
    def statistics(self) -> Path:
        return self.folder / f"{self.task.replace('/', '--')}.json"

    def read(self) -> Statistics | None:
        """Statistics of a task that is done, else None."""
        try:
            return Statistics.from_dict(json.loads(self.statistics.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, trajectories: Sequence[Trajectory], statistics: Statistics) -> None:
        """Write both files.

        Raises:
            MachineProblem: The disk is full, or something else keeps them from being written.
        """
        lines = "".join(trajectory.to_json() + "\n" for trajectory in trajectories)
        write_whole(self.trajectories, gzip.compress(lines.encode("utf-8", "surrogatepass"), 6, mtime=0))
        write_whole(self.statistics, json.dumps(statistics.to_dict(), indent=2).encode())


def write_whole(file: Path, content: bytes) -> None:
    """Write a file beside its place and rename it.

    Raises:
        MachineProblem: It cannot be written.
    """
    partial = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)  # half a file takes what room there is
        raise MachineProblem(
            f"{file.name} cannot be written: {error}",
            where=str(file.parent),
            fix="free some space and run the same command again; what is finished is kept",
        ) from error
