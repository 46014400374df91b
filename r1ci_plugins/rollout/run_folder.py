"""A run's folder: what every run leaves behind, and where.

::

    <output_dir>/
      recipe.yaml            the resolved recipe, which repeats the run
      run.json               plugins, packs, versions, seed and the exact OpenRLHF command line
      prompts/               train.jsonl and eval.jsonl, as OpenRLHF reads them
      trajectories/          train.jsonl.gz and eval.jsonl.gz, one judged trajectory per line
      curriculum.json        with a curriculum: what the profile knows of each training question
      curriculum.jsonl       and a line per step: its stage, and how many questions that has
      advantages.jsonl       one line per training trajectory: what the trainer made of its reward
      metrics.jsonl          one line per training step
      evaluations.jsonl      one line per evaluation, with the outcome of every sample
      tensorboard/           as OpenRLHF writes it
      checkpoints/           DeepSpeed checkpoints to resume from
      model/                 the trained model, a Hugging Face folder
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from r1ci_plugins.errors import MachineProblem

log = logging.getLogger(__name__)

VARIABLE = "R1CI_RUN"
"""Environment variable by which worker processes find their run's folder."""


@dataclass
class RunFolder:
    """Paths inside one run's folder, and its small JSON files."""

    path: Path

    def __post_init__(self) -> None:
        self.recipe = self.path / "recipe.yaml"
        self.run = self.path / "run.json"
        self.metrics = self.path / "metrics.jsonl"
        self.evaluations = self.path / "evaluations.jsonl"
        self.curriculum = self.path / "curriculum.json"
        self.curriculum_steps = self.path / "curriculum.jsonl"
        self.advantages = self.path / "advantages.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    @classmethod
    def of_this_process(cls) -> Self:
        """The run that this process works for.

        Raises MachineProblem if the process was not started by our launcher.
        """
        path = os.environ.get(VARIABLE)
        if not path:
            raise MachineProblem(
                "this process does not belong to an r1ci run",
                where=f"environment variable {VARIABLE}",
                fix="start the trainer with `openrlhf.cli.train_ppo --plugin r1ci --recipe FILE`",
            )
        return cls(Path(path))

    def prompts(self, name: str) -> Path:
        """OpenRLHF's prompt file: ``train`` or ``eval``."""
        return self.path / "prompts" / f"{name}.jsonl"

    def trajectories(self, name: str) -> Path:
        """The trajectory file: ``train`` or ``eval``."""
        return self.path / "trajectories" / f"{name}.jsonl.gz"

    def read_run(self) -> dict[str, Any]:
        """Contents of ``run.json``. Raises MachineProblem if it is missing or broken."""
        try:
            values: dict[str, Any] = json.loads(self.run.read_text(encoding="utf-8"))
            return values
        except (OSError, ValueError) as error:
            raise MachineProblem(
                f"the run's settings cannot be read: {error}",
                where=str(self.run),
                fix="on several machines, output_dir must be on a file system that all of them share",
            ) from error


@contextmanager
def writing(
    path: Path,
    what: str = "the run's folder",
    fix: str = "free some space, or choose another folder with --set output_dir=...",
) -> Iterator[None]:
    """Say what to do when something cannot be written.

    Args:
        path: Where.
        what: What it is, for the message.
        fix: What the reader can do.

    Raises:
        MachineProblem: For an OSError: the disk is full, the folder is read-only.
    """
    try:
        yield
    except OSError as error:
        raise MachineProblem(
            f"{what} cannot be written: {error.strerror or error}",
            where=str(error.filename or path),
            fix=fix,
        ) from error


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Append one JSON object as a line, in one system call: a killed process spoils at most its own line.

    Raises OSError if the disk is full or the folder is gone.
    """
    data = (json.dumps(values) + "\n").encode()
    with open(path, "a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            data = b"\n" + data
        if file.write(data) != len(data):
            file.truncate(size)
            raise OSError(f"short write to {path}")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file; none if it does not exist. A line that was cut short is skipped and logged."""
    if path.exists():
        with open(path, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield json.loads(line)
                except ValueError:
                    log.warning("%s, line %d was cut short; it is skipped", path, number)
