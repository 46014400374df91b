"""A staged recipe at work: each stage a process of its own, finished stages kept, interrupted ones taken up.

::

    <output_dir>/
      <stage>.yaml      each stage's own recipe, everything filled in: it can be repeated by hand
      <stage>/          what the stage leaves (see ``run_folder``; for synthesize, its data set)
      stages.jsonl      a line for each finished stage
      comparison.txt    accuracy at each time, with paired differences
      progress.png      the same as a picture, beside the reward curve
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

from r1ci_plugins.environment import Prepared, prepare
from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.recipe.loading import dump
from r1ci_plugins.rollout.run_folder import RunFolder, append_line, read_lines, writing
from r1ci_plugins.runs.stages import TRAINING, Stage


class State(StrEnum):
    """How far a stage is."""

    TO_DO = "to do"
    BEGUN = "begun"
    DONE = "done"


@dataclass(frozen=True)
class StagedRun:
    """The stages of one recipe, in order, and the folder they share (absolute). Plugins are names for ``--plugin``."""

    path: Path
    stages: Sequence[Stage]
    plugins: Sequence[str]

    @classmethod
    def of(cls, stages: Sequence[Stage], plugins: Sequence[str]) -> StagedRun:
        """The run of some stages, which share a folder."""
        return cls(stages[0].folder.parent.absolute(), stages, plugins)

    def check(self, cpu: bool | None = None) -> dict[str, Prepared]:
        """Check all that the stages' recipes name.

        Args:
            cpu: Whether the run has no CUDA device; None means as this machine has it.

        Returns:
            The prepared recipe of each stage.

        Raises:
            R1CIError: At the first thing that is wrong.
        """
        prepared = {}
        for stage in self.stages:
            prepared[stage.name] = prepare(stage.recipe, plugins=self.plugins, command=stage.flags_of, cpu=cpu)
            prepared[stage.name].findings()
        return prepared

    def base_model(self, stage: Stage) -> str:
        """The model that a stage's model comes from by way of the stages before it."""
        model = stage.recipe.model
        for earlier in reversed(self.stages[: self.stages.index(stage)]):
            if earlier.command in TRAINING and model == str(RunFolder(earlier.folder).model):
                model = earlier.recipe.model
        return model

    def recipe(self, stage: Stage) -> Path:
        """The stage's own recipe."""
        return self.path / f"{stage.name}.yaml"

    def seconds(self) -> dict[str, float]:
        """How long each finished stage took."""
        return {line["stage"]: line["seconds"] for line in read_lines(self.path / "stages.jsonl")}

    def states(self) -> dict[str, State]:
        """How far each stage is.

        Raises RecipeError if a finished stage was made by another recipe, or one before it is not finished.
        """
        done, states = self.seconds(), dict[str, State]()
        missing = None
        for stage in self.stages:
            begun = _has_begun(stage)
            states[stage.name] = State.TO_DO if not begun else State.DONE if stage.name in done else State.BEGUN
            if states[stage.name] is not State.DONE:
                missing = missing or stage.name
                continue
            if missing:
                raise RecipeError(
                    f"stage {stage.name} is finished, but {missing} before it is not",
                    where=str(self.path),
                    fix=f"delete {stage.folder} too, so that it is made again from what {missing} will leave, or give "
                    "another folder with --set output_dir=...",
                )
            if changed := self._changed(stage):
                raise RecipeError(
                    f"stage {stage.name} was finished with another recipe: {changed}",
                    where=str(self.recipe(stage)),
                    fix=f"delete {stage.folder} and those after it to make them again, or give another folder with "
                    "--set output_dir=...",
                )
        return states

    def _changed(self, stage: Stage) -> str:
        """The first line in which a stage's recipe differs from the one it was run with."""
        try:
            old = self.recipe(stage).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            return f"its recipe cannot be read ({error})"
        pairs = zip([*old, ""], [*dump(stage.recipe).splitlines(), ""], strict=False)
        return next((f"{a.strip()!r}, now {b.strip()!r}" for a, b in pairs if a != b), "")

    def command(self, stage: Stage) -> list[str]:
        """The stage's command line, as a person would type it."""
        plugins = [word for name in self.plugins for word in ("--plugin", name)]
        file = self.recipe(stage)
        recipe = ["--recipe", os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)]
        match stage.command:
            case "synthesize":
                return ["r1ci", "synthesize", *plugins, *recipe, "--out", str(stage.folder)]
            case "profile":
                return ["r1ci", "curriculum", "profile", *plugins, *recipe]
            case "evaluate":
                return ["r1ci", "evaluate", *plugins, *recipe]
        script = f"openrlhf.cli.{stage.command}"
        if stage.launcher:  # launchers want a path
            script = shutil.which(script, path=_environment()["PATH"]) or script
        resumed = ["--ckpt.load_enable"] if _has_checkpoint(RunFolder(stage.folder)) else []
        return [*shlex.split(stage.launcher), script, *plugins, *recipe, *resumed]

    def run(self, stage: Stage, lock: int) -> None:
        """Run one stage to its end; its output goes to ours.

        Raises:
            MachineProblem: It ended with another status than 0.
            KeyboardInterrupt: Ctrl-C; the stage has ended then.
        """
        started = time.monotonic()
        if _has_begun(stage) and stage.command in TRAINING and not _has_checkpoint(RunFolder(stage.folder)):
            numbered = (stage.folder.with_name(f"{stage.name}.interrupted-{number}") for number in count(1))
            aside = next(path for path in numbered if not path.exists())
            os.rename(stage.folder, aside)
            print(f"r1ci: {stage.name} has no checkpoint to go on from and starts again; what was there is in {aside}")
        command = self.command(stage)
        with writing(self.path):
            self.recipe(stage).write_text(dump(stage.recipe), encoding="utf-8")
        print(f"r1ci: {shlex.join(command)}", flush=True)
        # The lock stays with the child: while a stage works on, nobody starts it a second time.
        process = subprocess.Popen(command, env=_environment(), pass_fds=[lock])
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()  # the terminal has told it too
            raise
        if status:
            raise MachineProblem(
                f"stage {stage.name} ended with status {status}; its own messages are above",
                where=shlex.join(command),
                fix="mend what it names and give the same command again: finished stages are kept",
            )
        line = {"stage": stage.name, "seconds": round(time.monotonic() - started, 1)}
        with writing(self.path):
            append_line(self.path / "stages.jsonl", line)

    def evaluations(self) -> list[Evaluation]:
        """Accuracy at each time: before any training, and after each stage that trains.

        The trainer evaluates before its first step too, so that a stage ``train_ppo`` also tells what the one before
        it has left; of two evaluations at the same time the later one counts.
        """
        found: dict[str, Evaluation] = {}
        now = "base"
        for stage in self.stages:
            lines = list(read_lines(RunFolder(stage.folder).evaluations))
            if lines and lines[0]["step"] == 0:
                found[now] = Evaluation.from_line(now, lines[0])
            if stage.command in TRAINING:
                now = f"after {stage.name}"
            if lines and lines[-1]["step"] > 0:
                found[now] = Evaluation.from_line(now, lines[-1])
        return list(found.values())


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold a staged run's folder; gives the lock's file descriptor.

    Raises MachineProblem if another process holds it, or the folder cannot be made.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineProblem(
                "another `r1ci run` works in this folder, or a stage that it has started",
                where=str(path),
                fix="wait for it, stop it, or choose another folder with --set output_dir=...",
            ) from None
        yield lock
    finally:
        os.close(lock)


def _environment() -> Mapping[str, str]:
    """Ours, with the commands of this Python's environment first."""
    own = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([own, os.environ.get("PATH", "")])}


def _has_begun(stage: Stage) -> bool:
    return stage.folder.is_dir() and any(stage.folder.iterdir())


def _has_checkpoint(folder: RunFolder) -> bool:
    """Whether DeepSpeed has finished one: it writes ``latest`` last (train_ppo in the folder ``_actor``)."""
    return folder.run.exists() and any((folder.checkpoints / name / "latest").exists() for name in ("", "_actor"))
