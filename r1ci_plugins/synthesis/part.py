"""What was made of one task, and its two files: trajectories, then statistics, each whole or absent.

A task with statistics is done; one without is made again when the command runs again.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.whole_file import write_whole
from r1ci_plugins.synthesis.teacher import Usage


@dataclass
class Statistics:
    """Counts over the attempts of one task.

    Attributes:
        task: Qualified name.
        attempts: Attempts that were made.
        kept: Trajectories that are in the file.
        multi_turn: Kept trajectories with two programs or more.
        code: Kept trajectories with at least one program.
        failed_first: Kept trajectories whose first program failed.
        tokens: Tokens of these together, prompts and feedback included.
        variants: Number of these by prompt variant.
        styles: Number of these by style; by its first word where it has several.
        rejections: Why the other attempts are not kept.
        usage: What the teacher took.
        seconds: Wall-clock time.
        complete: False when the budget was spent before the task was done.
    """

    task: str
    attempts: int = 0
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
            programs = trajectory.tool_calls
            self.kept += 1
            self.tokens += len(trajectory.token_ids)
            self.variants[trajectory.origin["variant"]] += 1
            self.styles[(trajectory.origin["style"] or "unnamed").split()[0]] += 1
            if is_multi_turn(trajectory):
                self.multi_turn += 1
            if programs:
                self.code += 1
            if programs and programs[0].error:
                self.failed_first += 1

    def __add__(self, other: Self) -> Self:
        mine, theirs = vars(self), vars(other)
        sums = {name: mine[name] + theirs[name] for name in mine if name not in ("task", "complete")}
        return type(self)(task=self.task, complete=self.complete and other.complete, **sums)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values. Attempts are called ``orders`` on disk, where finished parts of 0.1 have that name."""
        values = {**vars(self), "usage": vars(self.usage)}
        values["orders"] = values.pop("attempts")
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read back what ``to_dict`` gave."""
        fields = {**values, "attempts": values["orders"], "usage": Usage(**values["usage"])}
        del fields["orders"]
        for name in ("variants", "styles", "rejections"):
            fields[name] = Counter(fields[name])
        return cls(**fields)


def is_multi_turn(trajectory: Trajectory) -> bool:
    """Whether it ran two programs or more: to repair, to check, or to try another way."""
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

        Raises MachineProblem if they cannot be written, because the disk is full or for another reason.
        """
        lines = "".join(trajectory.to_json() + "\n" for trajectory in trajectories)
        with writing(self.folder):
            compressed = gzip.compress(lines.encode("utf-8", "surrogatepass"), 6, mtime=0)
            write_whole(self.trajectories, compressed, survive_power_loss=True)
            done = json.dumps(statistics.to_dict(), indent=2)
            write_whole(self.statistics, done.encode(), survive_power_loss=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say how to go on when something in a synthesis's folder cannot be written.

    Raises:
        MachineProblem: For an OSError.
    """
    try:
        yield
    except OSError as error:
        raise MachineProblem(
            f"trajectories cannot be written: {error}",
            where=str(folder),
            fix="free some space and run the same command again; what is finished is kept",
        ) from error
