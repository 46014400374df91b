"""The host's side of one jail: start it, run one job at a time in it, end it.

A slot never repairs itself. If its zygote dies, says nothing or something unexpected, that is an InfrastructureFault.
The slot can only be closed then, and the pool starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import secrets
import signal
import socket
import subprocess
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.sandbox import canary, seccomp
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.sandbox.jail import Jail
from r1ci_plugins.sandbox.output import Capture, in_order
from r1ci_plugins.sandbox.user_lease import UserLease

JAILED = {
    f"r1ci_plugins.sandbox.jailed.{name}": Path(__file__).with_name("jailed").joinpath(f"{name}.py").read_text()
    for name in ("shelf", "memory", "scratch", "program", "zygote")
}
# Makes modules of these texts in the jail, in this order: the first wants to see what Python has loaded by itself.
LOADER = """
def load(texts):
    import sys
    for name, text in texts.items():
        sys.modules[name] = type(sys)(name)
        exec(compile(text, name, "exec"), sys.modules[name].__dict__)
    return sys.modules[name].serve
"""

START_S = 60.0  # a slot starts in 0.3 to 4 s; only a stuck machine takes this long
GRACE_S = 5.0  # for the zygote's report after the program's deadline
STOP_S = 5.0  # for a jail to end by itself after the host hangs up
# The output of a program that ends sooner is read at its end, without watching its pipes. A program that writes more
# than a pipe holds has to wait this long, once.
DRAIN_AFTER_S = 0.010
DIAGNOSTIC_BYTES = 4096
TICK_S = 0.02  # the clock that stamps files goes on in ticks of up to 10 ms


@dataclass(frozen=True)
class Report:
    """What a zygote reports about a job that has ended: times and exit code as in ``ExecutionResult``.

    ``reason`` is ``exit``, ``deadline``, ``memory`` or ``stopped``, ``out_of_memory`` whether a MemoryError ended it.
    """

    wall_s: float
    cpu_s: float
    exit_code: int
    reason: str
    out_of_memory: bool

    @classmethod
    def parse(cls, line: str) -> Report:
        """Read a ``done`` message; any other is an InfrastructureFault."""
        words = line.split()
        if len(words) != 6 or words[0] != "done":
            raise InfrastructureFault(f"the sandbox broke down while a program ran: {line or 'its jail died'}")
        _, wall, cpu, status, reason, mark = words
        return cls(float(wall), float(cpu), os.waitstatus_to_exitcode(int(status)), reason, mark == "m")

    def status(self, limits: Limits, flooded: bool) -> ExecutionStatus:
        """How the program ended, in the terms of the contract."""
        if flooded:
            return ExecutionStatus.OUTPUT
        cpu_spent = self.exit_code == -signal.SIGKILL and self.cpu_s >= cpu_limit(limits)
        if self.reason == "deadline" or self.exit_code == -signal.SIGXCPU or cpu_spent:
            return ExecutionStatus.TIMEOUT
        if self.reason == "memory" or (self.out_of_memory and self.exit_code != 0):
            return ExecutionStatus.MEMORY
        return ExecutionStatus.OK if self.exit_code == 0 else ExecutionStatus.ERROR


def cpu_limit(limits: Limits) -> int:
    """CPU seconds, rounded up, since the kernel takes whole ones."""
    return math.ceil(limits.wall_s if limits.cpu_s is None else limits.cpu_s)


class Slot:
    """One jail with its zygote, which imports the libraries in advance.

    ``user`` is released at the end; without one, programs run as the zygote's user. ``show_last`` prints the value of
    a program's last expression.
    """

    def __init__(self, jail: Jail, libraries: Sequence[str], user: UserLease | None, show_last: bool) -> None:
        self._jail, self._libraries, self._user, self._show_last = jail, libraries, user, show_last
        self._process: subprocess.Popen[bytes] | None = None
        self._reply: asyncio.Future[str] | None = None
        self._hung_up = self._closed = False
        self._order = f"\0{secrets.token_hex(16)}".encode()
        self.jobs = 0
        self.worn = False  # whether its zygote had to end a program
        self.imported: tuple[str, ...] = ()
        self.memory_bytes = 0

    async def start(self) -> None:
        """Start the jail and wait until its zygote is ready.

        Raises:
            InfrastructureFault: It did not start or does not isolate. The message holds what the jail wrote.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._spawn()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended; what it wrote follows
                self._send(self._text())
            message = await self._next(START_S)
        except OSError as error:
            raise InfrastructureFault(f"{self._jail.isolation} could not be started: {error}") from error
        kind, _, rest = message.partition(" ")
        if kind != "ready":
            await self.close()
            if kind == "refused":
                what = f"{self._jail.isolation} does not isolate: {rest}"
            else:
                what = f"{self._jail.isolation} did not start Python: "
                what += message or f"it ended with status {self._process and self._process.returncode}"
            raise InfrastructureFault(what, where=self._messages.text().strip()[-DIAGNOSTIC_BYTES:] or None)
        memory, *imported = rest.split()
        self.memory_bytes, self.imported = int(memory), tuple(imported)

    async def run(self, code: str, limits: Limits, queue_s: float, attempts: int = 1) -> ExecutionResult:
        """Run one program as ``Sandbox.run`` does, in an idle slot. ``queue_s`` and ``attempts`` go into the result.

        Raises:
            InfrastructureFault: The slot broke down and cannot be used any more. Nor can it when this is cancelled.
        """
        self.jobs += 1
        whole = map(math.ceil, (limits.memory_mb, limits.file_mb, limits.processes))
        request = " ".join(map(str, (limits.wall_s, cpu_limit(limits), *whole)))
        with contextlib.ExitStack() as inner, contextlib.ExitStack() as outer:
            try:
                code_fd = os.memfd_create("program", os.MFD_CLOEXEC)
                inner.callback(os.close, code_fd)
                with open(code_fd, "wb", closefd=False) as file:
                    file.write(code.encode("utf-8", "surrogatepass"))
                stdout = outer.enter_context(Capture(limits.output_bytes, self._stop_job, self._order))
                stderr = outer.enter_context(Capture(limits.output_bytes, self._stop_job))
                self._send(request.encode(), code_fd, stdout.inner_fd, stderr.inner_fd)
            except OSError as error:
                raise InfrastructureFault(f"a program could not be handed to the sandbox: {error}") from error
            inner.close()
            stdout.close_inner()
            stderr.close_inner()
            drain = self._loop.call_later(DRAIN_AFTER_S, _watch, stdout, stderr)
            try:
                report = Report.parse(await self._next(limits.wall_s + GRACE_S))
            finally:
                drain.cancel()
            stdout.finish()
            stderr.finish()
            self.worn |= report.reason != "exit"
        return ExecutionResult(
            stdout=stdout.text(),
            stderr=stderr.text(),
            output=in_order(stdout, stderr).decode("utf-8", "replace"),
            status=report.status(limits, stdout.flooded or stderr.flooded),
            exit_code=report.exit_code,
            wall_s=report.wall_s,
            cpu_s=report.cpu_s,
            queue_s=queue_s,
            truncated=stdout.dropped + stderr.dropped,
            isolation=self._jail.isolation,
            attempts=attempts,
        )

    async def close(self) -> None:
        """Hang up, which ends the jail, kill what does not end in time, and wait until everything has ended."""
        if self._closed:
            return
        self._closed = True
        if self._process is not None:
            self._hang_up()
            try:
                async with asyncio.timeout(STOP_S):
                    await self._exited.wait()
            except TimeoutError:
                self.kill()
                self._process.kill()
                await self._exited.wait()
            self._messages.finish()
            self._cleanup.close()
        if self._user is not None:
            self._user.release()  # nobody runs under it any more

    def kill(self) -> None:
        """Kill the jail now: its init is the wrapper's only child, and the kernel kills everything in it with it.

        Without a jail we hang up, and the zygote kills its processes: nobody else could find them.
        """
        if self._process is None or self._exited.is_set():
            return
        if not self._jail.contained:
            self._hang_up()
            return
        children = _children(self._process.pid)
        if not children:
            self._process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
                try:
                    if pid in _children(self._process.pid):  # and no other process has got its number
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                finally:
                    os.close(pidfd)

    @property
    def alive(self) -> bool:
        """Whether the jail is still there, as far as is known."""
        return self._process is not None and not self._exited.is_set() and not self._hung_up

    @property
    def pid(self) -> int:
        """Process id of the jail's wrapper."""
        assert self._process is not None
        return self._process.pid

    def _spawn(self) -> None:
        self._exited = asyncio.Event()
        with contextlib.ExitStack() as inner, contextlib.ExitStack() as cleanup:
            self._control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            inner.callback(inside.close)
            cleanup.callback(self._control.close)
            self._messages = cleanup.enter_context(Capture(DIAGNOSTIC_BYTES, None))
            inner.callback(self._messages.close_inner)
            self._spawned = time.time()
            self._process = subprocess.Popen(
                self._jail.command,
                stdin=inside.fileno(),
                stdout=self._messages.inner_fd,
                stderr=self._messages.inner_fd,
                env={**self._jail.environment, "HOME": self._jail.home},
                cwd="/",
                start_new_session=True,  # Ctrl-C at the terminal is the host's to handle
            )
            self._pidfd = os.pidfd_open(self._process.pid)
            self._cleanup = cleanup.pop_all()
        self._control.setblocking(False)
        self._messages.watch()
        self._loop.add_reader(self._pidfd, self._reap)
        self._loop.add_reader(self._control, self._receive)

    def _text(self) -> bytes:
        jail = self._jail
        host = canary.host_namespaces()
        settings = {
            "host_namespaces": {name: host[name] for name in jail.separate},
            "host_devices": canary.host_devices(jail.wiped),
            "spawned": self._spawned - TICK_S,
            "home": jail.home,
            "filtered": jail.filtered,
            "capabilities": jail.capabilities,
            "contained": jail.contained,
            "uid": self._user and self._user.uid,
            "wiped": list(jail.wiped),
            "other_processes": jail.other_processes,
            "environment": dict(jail.environment),
            "order": self._order,
            "show_last": self._show_last,
            "path": list(jail.interpreter.import_path),
            "preload": list(self._libraries),
            "static_filter": seccomp.static_filter(),
            "signal_filter": b"" if self._user is not None else seccomp.signal_filter(),
            "zygote": seccomp.ZYGOTE,
        }
        return f"{LOADER}\nload({JAILED!r})({settings!r})\n".encode()

    def _send(self, message: bytes, *descriptors: int) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        self._control.sendmsg([message], rights)

    async def _next(self, timeout_s: float) -> str:
        """The zygote's next message; empty if it has died or says nothing for ``timeout_s``."""
        if self._hung_up:
            return ""
        self._reply = self._loop.create_future()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._reply
        except TimeoutError:
            return ""
        finally:
            self._reply = None

    def _receive(self) -> None:
        try:
            message = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._hang_up()
        elif self._reply is not None and not self._reply.done():
            self._reply.set_result(message.decode("utf-8", "replace"))

    def _hang_up(self) -> None:
        if not self._hung_up:
            self._hung_up = True
            self._loop.remove_reader(self._control)
            self._control.close()
        if self._reply is not None and not self._reply.done():
            self._reply.set_result("")

    def _stop_job(self) -> None:
        with contextlib.suppress(OSError):
            self._control.send(b"stop")

    def _reap(self) -> None:
        assert self._process is not None
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._exited.set()
        self._hang_up()


def _watch(*captures: Capture) -> None:
    for capture in captures:
        capture.watch()


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
