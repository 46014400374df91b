"""Asks the worker process (``worker.py``) for questions; starts it for the first one, and again if it dies."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r1ci_plugins.errors import TaskError
from r1ci_plugins.workers.json_lines import Worker, WorkerFault, WorkerSilent

DEADLINE_S = 180.0
"""Seconds for one question, the worker's start included. The slowest level offered takes a few."""


class Generator:
    """A worker process with a fixed hash seed. Threads may share it, processes may not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None

    def ask(self, name: str, level: int | None, seed: int, keys: Sequence[str]) -> dict[str, Any]:
        """One question: ``question``, ``answer`` and those of the metadata ``keys`` that it has.

        Raises:
            TaskError: If the library cannot make it, or takes longer than ``DEADLINE_S``.
        """
        request = {"name": name, "level": level, "seed": seed, "keys": list(keys)}
        where = f"reasoning_gym/{name}, upstream level {level}, seed {seed}"
        with self._lock:
            # A worker that dies between questions is replaced; one that dies of the question dies twice.
            reply = self._exchange(request, where) or self._exchange(request, where)
        if reply is None:
            reply = {"error": "the generating process died twice; its output is above"}
        if "error" in reply:
            raise TaskError(
                f"reasoning-gym could not make a question: {reply['error']}",
                where=where,
                fix="check that reasoning-gym==0.1.25 is installed, or leave the task out of the recipe",
            )
        return reply

    def _exchange(self, request: dict[str, Any], where: str) -> dict[str, Any] | None:
        """The reply to one request; None if the worker died."""
        if self._worker is None or not self._worker.alive:
            self.close()
            self._worker = Worker([str(Path(__file__).with_name("worker.py")), str(os.getpid())], hash_seed=0)
        try:
            self._worker.send(request)
            return self._worker.receive(DEADLINE_S)
        except WorkerSilent:
            raise TaskError(
                f"reasoning-gym took more than {DEADLINE_S:.0f} s for one question",
                where=where,
                fix="choose another difficulty",
            ) from None
        except WorkerFault:
            return None

    def close(self) -> None:
        """End the worker, if there is one."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


_generators: dict[int, Generator] = {}


def generator() -> Generator:
    """This process's generator: after a fork, the parent's worker must not be used."""
    return _generators.setdefault(os.getpid(), Generator())
