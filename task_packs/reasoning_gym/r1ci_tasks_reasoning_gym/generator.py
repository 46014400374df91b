"""Asks the child process (``worker.py``) for questions; starts it on the first one and again if it dies."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r1ci_plugins.errors import TaskError

DEADLINE_S = 180.0
"""Seconds for one question, the child's start included. The slowest level offered takes a few."""


class Generator:
    """A child process with a fixed hash seed. Safe to share between threads, not between processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def ask(self, name: str, level: int | None, seed: int, keys: Sequence[str]) -> dict[str, Any]:
        """One question: ``question``, ``answer`` and those of the metadata ``keys`` that it has.

        Raises:
            TaskError: If the library cannot make it, or takes longer than ``DEADLINE_S``.
        """
        request = json.dumps({"name": name, "level": level, "seed": seed, "keys": list(keys)})
        where = f"reasoning_gym/{name}, upstream level {level}, seed {seed}"
        with self._lock:
            # A child that dies between questions is replaced; one that dies of the question dies twice.
            line = self._exchange(request, where) or self._exchange(request, where)
        reply = json.loads(line) if line else {"error": "the generating process died twice; its output is above"}
        if "error" in reply:
            raise TaskError(
                f"reasoning-gym could not make a question: {reply['error']}",
                where=where,
                fix="check that reasoning-gym==0.1.25 is installed, or leave the task out of the recipe",
            )
        return reply

    def _exchange(self, request: str, where: str) -> str:
        """The reply to one request; empty if the child died."""
        if self._child is None or self._child.poll() is not None:
            worker = Path(__file__).with_name("worker.py")
            self._child = subprocess.Popen(
                [sys.executable, "-P", str(worker), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=os.environ | {"PYTHONHASHSEED": "0"},
            )
        child = self._child
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(request + "\n")
            child.stdin.flush()
            # Nothing is buffered here: each request has one line of reply, read to its end below.
            if not select.select([child.stdout], [], [], DEADLINE_S)[0]:
                self.close()
                raise TaskError(
                    f"reasoning-gym took more than {DEADLINE_S:.0f} s for one question",
                    where=where,
                    fix="choose another difficulty",
                )
            line = child.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            line = ""
        except BaseException:  # interrupted: a late reply would be taken for that to the next request
            self.close()
            raise
        if not line.endswith("\n"):
            self.close()
            return ""
        return line

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()
            child.communicate()


_generators: dict[int, Generator] = {}


def generator() -> Generator:
    """This process's generator: after a fork, the child process of the parent is not ours to talk to."""
    return _generators.setdefault(os.getpid(), Generator())
