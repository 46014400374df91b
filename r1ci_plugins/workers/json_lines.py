"""Worker processes that speak JSON lines: how one is started, asked and killed, and the worker's own side.

Each request has a number, and its replies carry it: a reply to something else (such as the second reply of a worker
that forked) is refused. Only the standard library is needed here, so that a task pack can use this module too.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class WorkerFault(Exception):
    """What a worker did wrong; the message says it after a subject, such as ``died``."""


class WorkerDied(WorkerFault):
    """The process ended."""


class WorkerSilent(WorkerFault):
    """No reply came in time."""


class OutOfTurn(WorkerFault):
    """What came is not a reply to the request."""


# --- the side that asks -------------------------------------------------------------------------------------------


def start_options(hash_seed: int) -> dict[str, Any]:
    """Keyword options to start a worker with, for ``subprocess`` and ``asyncio.subprocess`` alike."""
    return {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "env": {**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        "start_new_session": True,  # so that what the worker starts can be killed with it
    }


def kill_group(pid: int) -> None:
    """Kill a worker that was started with ``start_options``, and the processes that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def request_line(number: int, request: dict[str, Any]) -> bytes:
    """A request as the worker reads it."""
    return json.dumps({**request, "number": number}).encode() + b"\n"


def read_reply(line: bytes, number: int) -> dict[str, Any]:
    """The reply in a line.

    Raises:
        WorkerDied: The line is empty: the output has ended.
        OutOfTurn: It is not a reply to the request of that number.
    """
    if not line:
        raise WorkerDied("died")
    try:
        reply: dict[str, Any] = json.loads(line)
    except ValueError:  # the worker died in the middle of the line
        reply = {}
    if reply.pop("number", None) != number:
        raise OutOfTurn("replied out of turn")
    return reply


class Worker:
    """A worker process, used by one thread at a time. Any failure of ``send`` or ``receive`` kills it.

    ``arguments`` are Python's: ``["-m", MODULE]``, or a script and its arguments.
    """

    def __init__(self, arguments: Sequence[str], hash_seed: int) -> None:
        self._process = subprocess.Popen([sys.executable, "-P", *arguments], **start_options(hash_seed))
        self._buffer = b""
        self._number = 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        if self._process.returncode is not None:
            return False
        # Not poll(): the dead process keeps its id until kill() has ended its group.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def send(self, request: dict[str, Any]) -> None:
        """Send a request; WorkerDied if nobody reads it. Replies to earlier ones are refused from now on."""
        assert self._process.stdin is not None
        self._number += 1
        try:
            self._process.stdin.write(request_line(self._number, request))
            self._process.stdin.flush()
        except (OSError, ValueError):
            self.kill()
            raise WorkerDied("died") from None
        except BaseException:  # interrupted: half a request may be in the pipe
            self.kill()
            raise

    def receive(self, deadline_s: float) -> dict[str, Any]:
        """The next reply to the latest request.

        Raises:
            OutOfTurn: It is a reply to something else.
            WorkerDied: The process ended.
            WorkerSilent: There was none within ``deadline_s`` seconds.
        """
        try:
            return read_reply(self._line(deadline_s), self._number)
        except (OSError, ValueError):  # another thread has killed it
            raise WorkerDied("died") from None
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill the process and what it has started."""
        if self._process.returncode is None:
            kill_group(self._process.pid)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _line(self, deadline_s: float) -> bytes:
        assert self._process.stdout is not None
        output, end = self._process.stdout.fileno(), time.monotonic() + deadline_s
        while b"\n" not in self._buffer:
            if not select.select([output], [], [], max(0.0, end - time.monotonic()))[0]:
                raise WorkerSilent(f"was silent for {deadline_s:.0f} s")
            chunk = os.read(output, 1 << 16)
            if not chunk:
                return b""
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


# --- the side that works ------------------------------------------------------------------------------------------


class Channel:
    """The worker's end: iterate over it for requests, and ``reply`` to the latest one.

    Standard input and output are taken away from the rest of the process: reading finds nothing, and what is printed
    goes to standard error, so that it cannot be taken for a reply.

    Args:
        default: ``json.dumps``'s: makes something that JSON knows of a value that it does not.
    """

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        self._requests = os.fdopen(os.dup(0), encoding="utf-8")
        self._replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
        self._default = default
        self._number = 0
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self._requests:
            request = json.loads(line)
            self._number = request.pop("number")
            yield request

    def reply(self, **values: Any) -> None:
        """Send one reply; a request may have several. TypeError if JSON cannot carry the values: nothing is sent."""
        line = json.dumps({**values, "number": self._number}, default=self._default)
        self._replies.write(line + "\n")
        self._replies.flush()


def die_with_parent() -> None:
    """Have Linux kill this process as soon as the thread that started it ends, so that no worker is orphaned."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
