"""Trajectories as gzip-compressed JSON lines, readable at any moment.

Each write appends one complete gzip member in a single system call, so ``zcat`` reads everything written so far. A
killed process leaves at most one torn member, which the reader reports and skips. A resumed run appends after it: the
reader finds the next whole member, where ``zcat`` would stop.
"""

import gzip
import logging
import os
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.rollout.trajectory import Trajectory

log = logging.getLogger(__name__)

_MAGIC = b"\x1f\x8b\x08"  # how a gzip member starts
_PIECE = 1 << 16


@dataclass
class TrajectoryWriter:
    """Appends trajectories to one file. On a full disk it does not raise, but counts what it could not keep.

    Attributes:
        path: The file, ``*.jsonl.gz``; created with its folder.
        max_mb: Compressed size that the file must not exceed, MiB.
        sample_rate: Share of trajectories that is kept, drawn at random.
        lost: Trajectories that were not written because of the cap or a write error.
    """

    path: Path
    _: KW_ONLY
    max_mb: float
    sample_rate: float
    lost: int = field(default=0, init=False)
    _random: random.Random = field(default_factory=lambda: random.Random(0), init=False)
    _warned: bool = field(default=False, init=False)

    def write(self, trajectories: Sequence[Trajectory]) -> None:
        """Append trajectories; all of them are in the file when this returns, or counted as lost."""
        kept = [t for t in trajectories if self.sample_rate >= 1 or self._random.random() < self.sample_rate]
        if not kept:
            return
        member = gzip.compress("".join(t.to_json() + "\n" for t in kept).encode("utf-8", "surrogatepass"), 6)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab", buffering=0) as file:
                size = file.tell()
                if size + len(member) > self.max_mb * (1 << 20):
                    self._lose(len(kept), f"its size cap of {self.max_mb:g} MiB is reached (trajectories.max_mb)")
                    return
                if file.write(member) != len(member):
                    file.truncate(size)  # a torn member would hide everything after it
                    raise OSError("short write")
        except OSError as error:
            self._lose(len(kept), str(error))

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        if not self._warned:
            self._warned = True
            log.warning("trajectories are no longer written to %s: %s. Training goes on.", self.path, why)


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """Yield every trajectory of a file, compressed or plain JSON lines.

    A member torn by a killed process is skipped with a warning.

    Raises TrajectoryFileError if the file is missing, or a line is not a trajectory (its number is named).
    """
    for record in read_records(path):
        if isinstance(record, TrajectoryFileError):
            raise record
        yield record


def read_records(path: Path) -> Iterator[Trajectory | TrajectoryFileError]:
    """As ``read_trajectories``, but yield an error for a line that is not a trajectory, and go on after it."""
    for number, line in enumerate(_lines(path), 1):
        try:
            yield Trajectory.from_json(line.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            yield TrajectoryFileError(f"not a trajectory record: {error}", where=f"{path}, line {number}")
        except TrajectoryFileError as error:
            yield TrajectoryFileError(error.what, where=f"{path}, line {number}", fix=error.fix)


def count_lines(path: Path) -> int:
    """Number of records, for a progress bar; much faster than reading them. Raises as ``read_trajectories``."""
    return sum(1 for _ in _lines(path))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            compressed = file.read(1) == _MAGIC[:1]
            file.seek(0)
            yield from chain.from_iterable(map(bytes.splitlines, _members(file, path))) if compressed else file
    except OSError as error:
        raise TrajectoryFileError(f"cannot read trajectories: {error}", where=str(path)) from error


def _members(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Contents of every whole gzip member, in order."""
    position, size = 0, file.seek(0, os.SEEK_END)
    while position < size:
        file.seek(position)
        member, content = zlib.decompressobj(wbits=31), []
        try:
            while not member.eof and (piece := file.read(_PIECE)):
                content.append(member.decompress(piece))
        except zlib.error:
            pass
        if member.eof:
            position = file.tell() - len(member.unused_data)
            yield b"".join(content)
        else:
            after = _find_member(file, position + 1)
            log.warning("%s: a write of %d bytes at %d was cut short; it is skipped", path, after - position, position)
            position = after


def _find_member(file: BinaryIO, position: int) -> int:
    """Offset of the first member that starts at a position or later, or the file's length."""
    file.seek(position)
    seen = b""
    while piece := file.read(_PIECE):
        seen = seen[-len(_MAGIC) + 1 :] + piece
        if (found := seen.find(_MAGIC)) != -1:
            return file.tell() - len(seen) + found
    return file.tell()
