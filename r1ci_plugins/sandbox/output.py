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
    """A pipe. The host keeps the first and the last bytes, ``keep`` in all, and counts the rest: bounded memory.

    ``on_flood`` is called once, when ``HARD_OUTPUT_FACTOR`` times as many have come; ``flooded`` says so. ``inner_fd``
    is the write end, for the program. ``token`` and eight hexadecimal digits are a mark: so many bytes went to the
    other stream at this place. Marks are neither kept nor counted; ``marks`` has them as pairs of an offset in this
    stream and a number of bytes.
    """

    def __init__(self, keep: int, on_flood: Callable[[], None] | None, token: bytes = b"") -> None:
        self._keep, self._on_flood, self._token = keep, on_flood, token
        self._head, self._tail = bytearray(), bytearray()
        self._head_size = keep - keep // 2
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
        return max(0, self._total - self._keep)

    def between(self, begin: int, end: int) -> bytes:
        """The kept bytes from one offset to another, with a note in the place of those that were not kept."""
        first_of_tail = self._total - len(self._tail)
        note = b""
        if self.dropped and begin <= self._head_size < end:
            note = b"\n... [%d bytes were not kept] ...\n" % self.dropped
        return b"".join(
            [self._head[begin:end], note, self._tail[max(0, begin - first_of_tail) : max(0, end - first_of_tail)]]
        )

    def text(self) -> str:
        """The kept bytes as text, with a note in the place of the others."""
        return self.between(0, self.end).decode("utf-8", "replace")

    @property
    def end(self) -> int:
        """The offset behind the last byte."""
        return self._total

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
        self._cut_tail()

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
        self._total += len(data)
        room = self._head_size - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._keep:  # not each time, which would move the whole tail for every line
            self._cut_tail()

    def _cut_tail(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._keep // 2)]

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

    What a program's own processes wrote to stderr without the interpreter comes last.
    """
    pieces: list[bytes] = []
    out_at = err_at = 0
    for offset, count in stdout.marks:
        pieces += [stdout.between(out_at, offset), stderr.between(err_at, err_at + count)]
        out_at, err_at = max(out_at, offset), err_at + count
    return b"".join([*pieces, stdout.between(out_at, stdout.end), stderr.between(err_at, stderr.end)])
