"""Replies that were paid for, on disk: a run that was cut short never pays for a reply twice.

A file's name is the hash of the whole request, so any change of it (model, messages, sampling, attempt) is another
file.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.rollout.whole_file import write_whole

MARGIN = 32 << 20
"""Bytes that must be free before anything is paid for."""


@dataclass(frozen=True)
class ReplyCache:
    """A folder of replies."""

    folder: Path

    def read(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The reply to a request; None if there is none, or none that can be read."""
        try:
            values = json.loads(self._file(request).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return values if isinstance(values, dict) else None

    def write(self, request: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
        """Keep a reply.

        Raises:
            MachineProblem: It cannot be written; nothing more should be paid for.
        """
        try:
            write_whole(self._file(request), json.dumps(reply).encode(), survive_power_loss=True)
        except OSError as error:
            raise self._problem(str(error)) from error

    def require_room(self) -> None:
        """Check that a reply could be kept, before it is paid for.

        Raises MachineProblem if the disk is full, or the folder cannot be created.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise self._problem(str(error)) from error
        if free < MARGIN:
            raise self._problem(f"only {free >> 20} MiB are free")

    def _file(self, request: Mapping[str, Any]) -> Path:
        name = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.json"

    def _problem(self, why: str) -> MachineProblem:
        return MachineProblem(
            f"the teacher's replies cannot be kept: {why}; no more are asked for, so nothing paid for is lost",
            where=str(self.folder),
            fix="free some space, or set R1CI_CACHE to a folder with room, and run the same command again",
        )
