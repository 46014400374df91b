"""What a program writes: pipes that are always drained, bounds on what is kept, and the order of the two streams."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable

HARD_OUTPUT_FACTOR = 16  # times the bytes kept: then the program is stopped
_CHUNK = 1 << 17
_COUNT = re.compile(rb"[0-9a-f]{8}")  # int() would take signs too, and bytes would be repeated


class Capture:
    """A pipe. The host keeps the first ``keep`` bytes and counts the rest, so that its memory is bounded.

    ``on_flood`` is called once, when ``HARD_OUTPUT_FACTOR`` times as many have come; ``flooded`` says so. ``inner_fd``
    is the write end, for the program. ``token`` and eight hexadecimal digits are a mark: so many bytes went to the
    other stream at this place. Marks are neither kept nor counted; ``marks`` has them as pairs of an offset in this
    stream and a number of bytes.
    """

    def __init__(self, keep: int, on_flood: Callable[[], None] | None, token: bytes = b"") -> None:
        self._keep, self._on_flood, self._token = keep, on_flood, token
        self.kept = bytearray()
        self.marks: list[tuple[int, int]] = []
        self._unread = b""  # might be the beginning of a mark
        self._total = self._received = 0  # without marks, and with them: they too must not come without end
        self.flooded = False
        self._outer_fd, self.inner_fd = os.pipe()
        os.set_blocking(self._outer_fd, False)
        self._inner_open, self._watching, self._ended = True, False, False

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *error: object) -> None:
        self.close_inner()
        self._unwatch()
        os.close(self._outer_fd)

    @property
    def dropped(self) -> int:
        """Bytes that came and were not kept."""
        return self._total - len(self.kept)

    def text(self) -> str:
        """The kept bytes as text."""
        return self.kept.decode("utf-8", "replace")

    def close_inner(self) -> None:
        """Close the host's copy of the write end; the pipe then ends with its last writer."""
        if self._inner_open:
            self._inner_open = False
            os.close(self.inner_fd)

    def watch(self) -> None:
        """Drain the pipe from now on, whenever something comes."""
        if not self._watching and not self._ended:
            self._watching = True
            asyncio.get_running_loop().add_reader(self._outer_fd, self.read)

    def finish(self) -> None:
        """Read what is left. All writers are gone, so this ends."""
        self._unwatch()
        while self.read():
            pass
        self._take(self._unread)
        self._unread = b""

    def read(self) -> bool:
        """Read once; False at the end, or if nothing is there now."""
        try:
            chunk = os.read(self._outer_fd, _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._ended = True
            self._unwatch()
            return False
        self._take(self._strip(self._unread + chunk) if self._token else chunk)
        self._received += len(chunk)
        if self._on_flood and not self.flooded and self._received > HARD_OUTPUT_FACTOR * self._keep:
            self.flooded = True
            self._on_flood()
        return True

    def _take(self, data: bytes) -> None:
        self.kept += data[: self._keep - len(self.kept)]
        self._total += len(data)

    def _strip(self, data: bytes) -> bytes:
        """Note the marks in the data and return what is before the last incomplete one, which waits for more."""
        plain, position, size = [], 0, len(self._token) + 8
        before = self._total
        while (found := data.find(self._token, position)) != -1:
            mark = data[found : found + size]
            if len(mark) < size:
                break
            plain.append(data[position:found])
            before += found - position
            position = found + size
            if _COUNT.fullmatch(mark[-8:]):
                self.marks.append((before, int(mark[-8:], 16)))
            else:  # a program that plays with the token
                plain.append(mark)
                before += size
        rest = data[position:]
        cut = next((n for n in range(min(size - 1, len(rest)), 0, -1) if rest[-n:].startswith(self._token[:n])), 0)
        self._unread = rest[len(rest) - cut :]
        return b"".join([*plain, rest[: len(rest) - cut]])

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            asyncio.get_running_loop().remove_reader(self._outer_fd)


def in_order(stdout: Capture, stderr: Capture) -> bytes:
    """Both streams in one, as a terminal would show them.

    What a program's own processes wrote to stderr without the interpreter comes last, as does what was written after
    stdout's kept bytes.
    """
    pieces: list[bytes] = []
    out_at = err_at = 0
    for offset, count in stdout.marks:
        pieces += [bytes(stdout.kept[out_at:offset]), bytes(stderr.kept[err_at : err_at + count])]
        out_at, err_at = max(out_at, offset), err_at + count
    return b"".join([*pieces, stdout.kept[out_at:], stderr.kept[err_at:]])
