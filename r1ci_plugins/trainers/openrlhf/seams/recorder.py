"""What one process of the trainer knows beside OpenRLHF: the run's folder, the step, and the files it writes."""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from pathlib import Path
from typing import Any

from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.run_folder import RunFolder, append_line
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter

log = logging.getLogger("r1ci")

_MAX_FAULTS = 20


class Recorder:
    """The run's folder, the step, and the trajectory files. One per process."""

    def __init__(self) -> None:
        self.folder = RunFolder.of_this_process()
        self.recipe = load_recipe(self.folder.recipe)
        options = self.recipe.trajectories
        self.writers = {
            name: TrajectoryWriter(
                self.folder.trajectories(name), max_mb=options.max_mb, sample_rate=options.sample_rate
            )
            for name in ("train", "eval")
        }
        self.step = 0
        self.phase = "train"
        self.step_started = time.monotonic()
        self._faults: set[str] = set()

    def record(self, label: str) -> OutcomeSummary:
        """Write the trajectory that a rollout worker put into a label; return what the trainer keeps of it."""
        trajectory = dataclasses.replace(Trajectory.from_json(label), step=self.step)
        self.writers[self.phase].write([trajectory])
        outcome = OutcomeSummary.of(trajectory)
        if outcome.fault:
            self._announce(outcome.fault)
        return outcome

    def _announce(self, fault: str) -> None:
        """Print the first fault of each kind, at once: it may be the cause of all that follows."""
        kind = re.sub(r"\d+", "#", fault.partition("\n")[0])
        if kind not in self._faults and len(self._faults) < _MAX_FAULTS:
            self._faults.add(kind)
            print(f"r1ci: a sample is excluded, the first with this fault: {fault}", flush=True)

    def append(self, path: Path, values: dict[str, Any]) -> None:
        """Append a line to one of the run's files; a full disk is logged, it does not end the run."""
        try:
            append_line(path, values)
        except OSError as error:
            log.warning("cannot write %s: %s. Training goes on.", path, error)


_recorder: Recorder | None = None


def recorder() -> Recorder:
    """This process's recorder."""
    global _recorder
    if _recorder is None:
        _recorder = Recorder()
    return _recorder
