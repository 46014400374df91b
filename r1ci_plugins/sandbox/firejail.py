"""The one-shot firejail backend: a fresh jail for every program.

The host starts ``firejail python -c BOOTSTRAP`` and sends, through a socket that is the jail's fd 0, first the text of
``supervisor.py`` and then the program. The supervisor checks that it is in a jail, forks the program, enforces its
limits and reports how it ended (see there). Program output comes through two pipes of its own, so that firejail's
messages never mix with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from r1ci_plugins.errors import InfrastructureFault, SandboxUnavailable
from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits

OLDEST_FIREJAIL = (0, 9, 72)  # the first with --restrict-namespaces, and the one this was tested with
INSTALL = (
    "as root: apt-get install firejail (Debian, Ubuntu) or your distribution's package; without root, ask an "
    "administrator: firejail must be installed setuid root"
)

# Packages with checkers, generators and solvers of the tasks: a program must not look an answer up there.
HIDDEN_PACKAGES = ("r1ci_*", "reasoning_gym*")

# All that a program finds in its environment; HOME becomes its scratch directory.
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}

SHOWN_OF_ETC = ("/etc/passwd", "/etc/group", "/etc/localtime", "/etc/ld.so.cache", "/etc/alternatives")

START_S = 60.0  # a jail starts in 0.05 s; only a machine that is stuck takes this long
GRACE_S = 2.0  # for the supervisor's report after the program's deadline
STOP_S = 5.0  # for a jail to end by itself after the report
HARD_OUTPUT_FACTOR = 16  # times Limits.output_bytes: then the program is stopped
DIAGNOSTIC_BYTES = 4096
LONGEST_ARGUMENT = 4096  # firejail 0.9.72 refuses 4,128 bytes and more

# Used only when the host is root: one user id per running program, so that the process limit of one does not count
# the processes of another. The range is in nobody's use by systemd's list of user ids.
JOB_USERS = range(60706, 61184)
CAP_CHOWN, CAP_KILL, CAP_SETGID, CAP_SETUID = 0, 5, 6, 7

BOOTSTRAP = "host=open(0,'rb',closefd=False);exec(compile(host.read(int(host.readline())),'supervisor','exec'))"
SUPERVISOR = Path(__file__).with_name("supervisor.py").read_bytes()


@dataclass(frozen=True)
class Interpreter:
    """A Python to run programs with.

    Attributes:
        executable: The real binary, symbolic links and version-manager shims resolved.
        import_path: Its ``sys.path``, site-packages of its virtual environment included.
        folders: What must be visible in the jail for that, outside /usr.
    """

    executable: Path
    import_path: tuple[str, ...]
    folders: tuple[Path, ...]


def find_interpreter(python: str) -> Interpreter:
    """Ask an interpreter where it lives.

    Args:
        python: Path or name of a Python interpreter, of a virtual environment for instance. It is run, unjailed.

    Raises:
        SandboxUnavailable: It does not run, or its folders cannot be shown without showing a home directory.
    """
    question = (
        "import json,os,sys;"
        "print(json.dumps([os.path.realpath(sys.executable),os.path.realpath(sys.base_prefix),sys.path]))"
    )
    try:
        answer = subprocess.run(
            [python, "-I", "-c", question], capture_output=True, check=True, timeout=60, cwd="/", text=True
        )
        executable, prefix, path = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SandboxUnavailable(
            f"the sandbox's Python does not run: {error}",
            where=python,
            fix="set the sandbox's python to an interpreter that this user may read and execute",
        ) from error
    folders: list[Path] = []
    import_path = []
    for entry in [prefix, *path]:
        folder = Path(os.path.realpath(entry))
        known = any(folder.is_relative_to(seen) for seen in [Path("/usr"), *folders])
        # Of what .pth files added, only libraries are shown, never a project somebody develops in place.
        if entry == prefix or known or folder.name in ("site-packages", "dist-packages"):
            if not known and folder.exists():
                folders.append(folder)
            if entry != prefix:
                import_path.append(str(folder))
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    for folder in folders:
        if home.is_relative_to(folder) or folder in (Path("/home"), Path("/tmp"), Path("/var"), Path("/etc")):
            raise SandboxUnavailable(
                f"the jail would have to show all of {folder}, because the sandbox's Python is installed there",
                where=python,
                fix="use a Python with a folder of its own, such as a virtual environment or /usr/bin/python3",
            )
    return Interpreter(Path(executable), tuple(dict.fromkeys(import_path)), tuple(folders))


def firejail_version(binary: str) -> tuple[int, ...]:
    """Return firejail's version.

    Raises:
        SandboxUnavailable: It does not tell, or is older than what this module was built for.
    """
    try:
        text = subprocess.run([binary, "--version"], capture_output=True, timeout=30, env={}, text=True).stdout
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SandboxUnavailable(f"firejail does not run: {error}", where=binary, fix=INSTALL) from error
    found = re.search(r"^firejail version (\d+(?:\.\d+)+)", text, re.MULTILINE)
    if not found:
        raise SandboxUnavailable(
            f"`firejail --version` does not tell a version: {text[:200]!r}", where=binary, fix=INSTALL
        )
    version = tuple(int(part) for part in found[1].split("."))
    if version < OLDEST_FIREJAIL:
        raise SandboxUnavailable(
            f"firejail {found[1]} is too old, {'.'.join(map(str, OLDEST_FIREJAIL))} or newer is needed",
            where=binary,
            fix=INSTALL,
        )
    return version


def jail_options(interpreter: Interpreter, home: Path, as_root: bool) -> list[str]:
    """Return firejail's options that make the jail; nothing in them depends on the program.

    Args:
        interpreter: Whose folders are shown, read-only.
        home: Home directory of the user who runs firejail; replaced by an empty file system in memory.
        as_root: Whether that user is root. The supervisor then keeps the few capabilities it needs to give the program
            another user; the program itself never has any.
    """
    options = [
        *("--quiet", "--noprofile", "--net=none", "--ipc-namespace", "--restrict-namespaces", "--nonewprivs"),
        *("--nogroups", "--private-dev", "--private-tmp", "--private-cwd", "--machine-id", "--x11=none"),
        *("--dbus-user=none", "--dbus-system=none"),
        *("--nosound", "--no3d", "--novideo", "--nodvd", "--notv", "--nou2f", "--noinput"),
        # On top of firejail's own list: memory that no limit of the supervisor sees, and io_uring.
        "--seccomp=memfd_create,memfd_secret,shmget,io_uring_setup,userfaultfd",
        "--seccomp.block-secondary",
        # --private-etc would copy these, 15 ms a jail.
        *(f"--whitelist={path}" for path in SHOWN_OF_ETC if os.path.exists(path)),
    ]
    options += ["--caps.keep=setuid,setgid,kill,chown"] if as_root else ["--caps.drop=all", "--noroot"]
    shown = interpreter.folders
    if not any(folder.is_relative_to(home) for folder in shown):
        options.append("--private")  # together with a whitelist below the home directory it would hide that silently
    for folder in shown:
        if len(folder.parts) > 2:
            options.append(f"--whitelist={folder}")
        options.append(f"--read-only={folder}")
    # Firejail keeps everything below / visible that is not named.
    visible = {"bin", "sbin", "usr", "etc", "dev", "proc", "tmp", "var", "run", "root", "home"}
    visible |= {folder.parts[1] for folder in shown}
    hidden = [f"/{name}" for name in sorted(os.listdir("/")) if name not in visible and not name.startswith("lib")]
    hidden += [f"/var/{name}" for name in sorted(os.listdir("/var")) if name not in ("tmp", "run", "lock", "log")]
    hidden += [path for path in ("/run/user", "/run/systemd", "/run/dbus", "/run/docker.sock") if os.path.exists(path)]
    for pattern in HIDDEN_PACKAGES:
        hidden += [str(found) for entry in interpreter.import_path for found in sorted(Path(entry).glob(pattern))]
    options += [f"--blacklist={path}" for path in hidden]
    options += [f"--read-only={path}" for path in ("/tmp", "/var/tmp", "/run/lock")]
    return options


class FirejailSandbox:
    """Runs every program in a firejail jail of its own, then throws the jail away.

    A program sees: the interpreter and its libraries, /usr, a few files of /etc, its empty scratch directory, which is
    also its home, /dev/shm, and loopback as the only network. Its limits are those of ``Limits``: CPU seconds (per
    process, rounded up to whole ones), address space, file size, processes. Besides, what all its processes hold
    together and the files in scratch and /dev/shm, which live in memory, may not exceed ``memory_mb``: checked
    every 50 ms, ends the program with ``MEMORY``. Memory that processes share after a fork counts once for each.
    More than 16 times ``output_bytes`` on stdout or stderr ends it with ``OUTPUT``.

    Started by root, every program gets an unprivileged user id of its own. Started by an ordinary user it shares that
    user's id with its supervisor inside the jail, which it can therefore kill: that counts as the program's own death
    (``ERROR`` or, if it runs on until its deadline, ``TIMEOUT``, exit code -9). Only a program that stops its
    supervisor just before the host process is killed can outlive it, in its jail and under its limits.

    Not bounded: memory in pipe and socket buffers, disk reads, what the kernel does for the program.

    Args:
        concurrency: Programs running at a time; default: the CPU cores available to this process.
        python: Interpreter of the programs; default: the running one. Of a virtual environment, its site-packages
            are importable too, except ``HIDDEN_PACKAGES``.
    """

    isolation = "firejail"

    def __init__(self, *, concurrency: int | None = None, python: str | None = None) -> None:
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"the sandbox's concurrency must be at least 1, not {concurrency}")
        self.concurrency = concurrency or len(os.sched_getaffinity(0))
        self.python = python or sys.executable
        self._slots = asyncio.Semaphore(self.concurrency)
        self._starting = asyncio.Lock()
        self._command: list[str] = []
        self._proven = False  # until the canary has come back, and after close(), nothing else may run
        self._home = Path("/")
        self._as_root = os.geteuid() == 0
        self._users = contextlib.ExitStack()
        self._free_users: list[int] = []
        self._jails: set[_Jail] = set()
        self._import_path: tuple[str, ...] = ()

    async def start(self) -> None:
        """Find firejail and Python, then prove with the canary that a jail isolates.

        Raises:
            SandboxUnavailable: firejail is missing, too old or does not isolate, or Python cannot be shown in a jail.
                The message names the check and the fix. Nothing runs afterwards.
        """
        async with self._starting:
            if self._proven:
                return
            self._command = await asyncio.to_thread(self._find_command)
            self._lease_users()
            try:
                await self._run_canary()
            except BaseException:
                self._users.close()
                raise
            self._proven = True

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        """Run one program in a new jail.

        Args:
            code: Python source, any text. Lone surrogates and NUL bytes end as Python's own error about them.
            limits: What it may use.

        Raises:
            InfrastructureFault: The jail could not start the program, broke down, or the sandbox is not started.
            ValueError: A limit is zero, negative or not a number.
        """
        _check(limits)
        queued = time.monotonic()
        async with self._slots:
            queue_s = time.monotonic() - queued
            if not self._proven:
                raise InfrastructureFault("the sandbox is not running", fix="await its start() first, close() last")
            result = await self._run(code, limits, queue_s)
            if not self._proven:
                raise InfrastructureFault("the sandbox was closed while the program ran")
            return result

    async def close(self) -> None:
        """Kill every jail and wait until all are gone; programs that were running end as InfrastructureFault."""
        self._proven = False
        for jail in list(self._jails):
            jail.kill()
        for jail in list(self._jails):
            await jail.wait()
        self._users.close()

    def _find_command(self) -> list[str]:
        binary = shutil.which("firejail")
        if binary is None:
            raise SandboxUnavailable("firejail is not installed; programs are never run without it", fix=INSTALL)
        firejail_version(binary)
        try:
            self._home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        except KeyError as error:
            raise SandboxUnavailable(
                f"user id {os.getuid()} has no entry in the password file, which firejail needs",
                fix="add the user, for instance with useradd, or run as another one",
            ) from error
        interpreter = find_interpreter(self.python)
        self._import_path = interpreter.import_path
        command = [binary, *jail_options(interpreter, self._home, self._as_root), "--"]
        command += [str(interpreter.executable), "-S", "-B", "-c", BOOTSTRAP]
        if too_long := [argument for argument in command if len(os.fsencode(argument)) > LONGEST_ARGUMENT]:
            raise SandboxUnavailable(
                f"firejail takes no argument of more than {LONGEST_ARGUMENT} bytes",
                where=f"{too_long[0][:100]}...",
                fix="install Python under a shorter path",
            )
        return command

    def _lease_users(self) -> None:
        """Reserve a user id per slot on this machine; the abstract sockets vanish with this process."""
        self._free_users = []
        if not self._as_root:
            return
        for uid in JOB_USERS:
            lease = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                lease.bind(f"\0r1ci-sandbox-user-{uid}")
            except OSError:
                lease.close()
                continue
            self._users.enter_context(lease)
            self._free_users.append(uid)
            if len(self._free_users) == self.concurrency:
                return
        self._users.close()
        raise SandboxUnavailable(
            f"fewer than {self.concurrency} of the {len(JOB_USERS)} user ids for programs are free on this machine",
            fix="lower the sandbox's concurrency, or close the other sandboxes",
        )

    async def _run_canary(self) -> None:
        with contextlib.ExitStack() as stack:
            sentinels, folders = [Path(__file__).resolve()], ["/", "/tmp", "/var/tmp", "/etc", "/usr", "/run/lock"]
            for parent in dict.fromkeys([tempfile.gettempdir(), "/var/tmp", "/dev/shm"]):
                with contextlib.suppress(OSError):
                    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="r1ci-canary-", dir=parent))
                    os.chmod(folder, 0o755)
                    sentinels.append(Path(folder, "sentinel"))
                    sentinels[-1].write_text("visible")
            folders += [folder for folder in self._import_path if os.path.isdir(folder)]
            fix = "run `firejail --net=none --noprofile true` by hand and see what is wrong; in a container firejail "
            fix += "needs CAP_SYS_ADMIN and a /proc with kernel threads"
            try:
                result = await self._run(canary.program(sentinels, folders), Limits(wall_s=30, processes=16), 0.0)
            except InfrastructureFault as error:
                raise SandboxUnavailable(
                    f"the canary could not run in a jail: {error.what}", where=error.where, fix=error.fix or fix
                ) from error
        if result.status is not ExecutionStatus.OK:
            raise SandboxUnavailable(f"the canary ended with {result.status}: {result.stderr[-500:]}", fix=fix)
        if failed := canary.failed_checks(result.stdout, ENVIRONMENT):
            raise SandboxUnavailable(
                f"firejail does not isolate here: {'; '.join(map(str, failed))}", where=self.python, fix=fix
            )

    async def _run(self, code: str, limits: Limits, queue_s: float) -> ExecutionResult:
        users = self._free_users
        user = users.pop() if self._as_root else None
        try:
            jail = _Jail(self._command, self._home, limits.output_bytes)
            self._jails.add(jail)
            try:
                return await self._converse(jail, code, limits, user, queue_s)
            finally:
                jail.kill()  # nothing is left to kill after a normal end
                await jail.wait()
                self._jails.discard(jail)
        finally:
            if user is not None:
                users.append(user)

    async def _converse(
        self, jail: _Jail, code: str, limits: Limits, user: int | None, queue_s: float
    ) -> ExecutionResult:
        program = code.encode("utf-8", "surrogatepass")
        cpu_limit = math.ceil(limits.wall_s if limits.cpu_s is None else limits.cpu_s)
        settings: dict[str, object] = {
            "host_namespaces": canary.host_namespaces(),
            "host_home_device": self._home.stat().st_dev,
            "capabilities": sum(1 << cap for cap in (CAP_CHOWN, CAP_KILL, CAP_SETGID, CAP_SETUID)) if user else 0,
            "uid": user,
            "stdout": jail.stdout.inner_fd,
            "stderr": jail.stderr.inner_fd,
            "path": self._import_path,
            "environment": list(ENVIRONMENT),
            "wall_s": limits.wall_s,
            "cpu_s": cpu_limit,
            "memory_mb": limits.memory_mb,
            "file_mb": limits.file_mb,
            "processes": limits.processes,
        }
        first = await jail.start_program(settings, program)
        if first != "started":
            await jail.stop(0.0)
            what = (
                "firejail does not isolate: "
                if first.startswith("refused")
                else "the jail did not start the program: "
            )
            raise InfrastructureFault(
                what + (first or f"firejail exited with status {jail.exit_code}"), where=jail.messages() or None
            )
        began = time.monotonic()
        report = _Report.parse(await jail.read_line(limits.wall_s + GRACE_S))
        elapsed = time.monotonic() - began
        cpu_s = report.cpu_s if report else jail.cpu_s()
        await jail.stop(STOP_S if report else 0.0)
        if report is None:
            if elapsed < limits.wall_s and user is not None:
                # Another user's process: the program cannot have killed it.
                raise InfrastructureFault("the jail died while the program ran", where=jail.messages() or None)
            reason = "deadline" if elapsed >= limits.wall_s else "exit"
            report = _Report(elapsed, cpu_s, -signal.SIGKILL, reason, out_of_memory=False)
        return ExecutionResult(
            stdout=jail.stdout.text(),
            stderr=jail.stderr.text(),
            status=self._status(jail, report, cpu_limit),
            exit_code=report.exit_code,
            wall_s=report.wall_s,
            cpu_s=report.cpu_s,
            queue_s=queue_s,
            truncated=jail.stdout.dropped + jail.stderr.dropped,
            isolation=self.isolation,
        )

    @staticmethod
    def _status(jail: _Jail, report: _Report, cpu_limit: int) -> ExecutionStatus:
        if jail.stdout.flooded or jail.stderr.flooded:
            return ExecutionStatus.OUTPUT
        cpu_spent = report.exit_code == -signal.SIGKILL and report.cpu_s >= cpu_limit
        if report.reason == "deadline" or report.exit_code == -signal.SIGXCPU or cpu_spent:
            return ExecutionStatus.TIMEOUT
        if report.reason == "memory" or (report.out_of_memory and report.exit_code != 0):
            return ExecutionStatus.MEMORY
        return ExecutionStatus.OK if report.exit_code == 0 else ExecutionStatus.ERROR


@dataclass(frozen=True)
class _Report:
    """What the supervisor says about the end of the program."""

    wall_s: float
    cpu_s: float
    exit_code: int
    reason: str
    out_of_memory: bool

    @classmethod
    def parse(cls, line: str) -> _Report | None:
        words = line.split()
        if len(words) != 6 or words[0] != "done":
            return None
        _, wall, cpu, status, reason, mark = words
        return cls(float(wall), float(cpu), os.waitstatus_to_exitcode(int(status)), reason, mark == "m")


class _Jail:
    """One firejail process, the socket to its supervisor and the pipes of its program."""

    def __init__(self, command: list[str], home: Path, output_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self.exit_code: int | None = None
        with contextlib.ExitStack() as inner, contextlib.ExitStack() as on_error:
            try:
                self._control, control = socket.socketpair()
                inner.callback(control.close)
                on_error.callback(self._control.close)
                self.stdout = on_error.enter_context(_Capture(output_bytes, self._stop_program))
                inner.callback(self.stdout.close_inner)
                self.stderr = on_error.enter_context(_Capture(output_bytes, self._stop_program))
                inner.callback(self.stderr.close_inner)
                self._messages = on_error.enter_context(_Capture(DIAGNOSTIC_BYTES, None))
                inner.callback(self._messages.close_inner)
                kept = (self.stdout.inner_fd, self.stderr.inner_fd)
                self._process = subprocess.Popen(
                    [command[0], f"--keep-fd={kept[0]},{kept[1]}", *command[1:]],
                    stdin=control.fileno(),
                    stdout=self._messages.inner_fd,
                    stderr=self._messages.inner_fd,
                    pass_fds=kept,
                    env=ENVIRONMENT | {"HOME": str(home)},
                    cwd="/",
                    start_new_session=True,  # Ctrl-C at the terminal is the host's to handle
                )
                self._pidfd = os.pidfd_open(self._process.pid)
            except OSError as error:
                raise InfrastructureFault(f"firejail could not be started: {error}") from error
            self._cleanup = on_error.pop_all()
        self._control.setblocking(False)
        self._exited = asyncio.Event()
        self._loop.add_reader(self._pidfd, self._reap)

    async def start_program(self, settings: dict[str, object], program: bytes) -> str:
        """Send supervisor and program; return the supervisor's first message, empty if it died."""
        supervisor = SUPERVISOR + f"\nsupervise({settings!r}, host.read({len(program)}))\n".encode()
        try:
            async with asyncio.timeout(START_S):
                await self._loop.sock_sendall(self._control, b"%d\n" % len(supervisor) + supervisor + program)
        except (OSError, TimeoutError):
            return ""
        return await self.read_line(START_S)

    async def read_line(self, timeout_s: float) -> str:
        """Return the supervisor's next message, empty if it died or says nothing for ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                while b"\n" not in self._received:
                    chunk = await self._loop.sock_recv(self._control, 4096)
                    if not chunk:
                        return ""
                    self._received += chunk
        except (OSError, TimeoutError):
            return ""
        line, _, self._received = self._received.partition(b"\n")
        return line.decode("utf-8", "replace")

    async def stop(self, patience_s: float) -> None:
        """Wait until the jail has ended by itself, or kill it; then all output has been read."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._exited.wait()
        self.kill()
        await self.wait()

    async def wait(self) -> None:
        """Wait until firejail is gone and nobody can write output any more."""
        while not self._exited.is_set():
            try:
                async with asyncio.timeout(0.5):
                    await self._exited.wait()
            except TimeoutError:
                self.kill()
        for capture in (self.stdout, self.stderr, self._messages):
            await capture.ended.wait()
        self._cleanup.close()

    def kill(self) -> None:
        """Kill the jail: with its init, firejail's only child, the kernel kills all that is in it."""
        if self._exited.is_set():
            return
        for pid in _children(self._process.pid) or [self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def cpu_s(self) -> float:
        """CPU seconds of what runs in the jail now, and what it waited for; for when the supervisor cannot tell."""
        pids, ticks = [self._process.pid], 0
        for pid in pids:
            pids += _children(pid)
            with contextlib.suppress(OSError):
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def messages(self) -> str:
        """What firejail itself, or a supervisor that broke, wrote."""
        return (self._messages.text() + self.stderr.text()).strip()[-DIAGNOSTIC_BYTES:]

    def _stop_program(self) -> None:
        with contextlib.suppress(OSError):
            self._control.send(b"x")

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.exit_code = self._process.wait()
        self._exited.set()


class _Capture:
    """A pipe that is always drained; keeps the first bytes and counts the rest."""

    def __init__(self, keep: int, on_flood: Callable[[], None] | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._keep, self._on_flood = keep, on_flood
        self._kept = bytearray()
        self._total = 0
        self.flooded = False
        self.ended = asyncio.Event()
        self._outer_fd, self.inner_fd = os.pipe()
        os.set_blocking(self._outer_fd, False)
        self._loop.add_reader(self._outer_fd, self._read)

    def __enter__(self) -> _Capture:
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.remove_reader(self._outer_fd)
        os.close(self._outer_fd)

    @property
    def dropped(self) -> int:
        return self._total - len(self._kept)

    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")

    def close_inner(self) -> None:
        os.close(self.inner_fd)

    def _read(self) -> None:
        try:
            chunk = os.read(self._outer_fd, 1 << 16)
        except BlockingIOError:
            return
        if not chunk:
            self._loop.remove_reader(self._outer_fd)
            self.ended.set()
            return
        self._kept += chunk[: self._keep - len(self._kept)]
        self._total += len(chunk)
        if self._on_flood and not self.flooded and self._total > HARD_OUTPUT_FACTOR * self._keep:
            self.flooded = True
            self._on_flood()


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _check(limits: Limits) -> None:
    for name in ("wall_s", "cpu_s", "memory_mb", "file_mb", "processes", "output_bytes"):
        value = getattr(limits, name)
        if value is None and name == "cpu_s":
            continue
        if not (0 < value < math.inf):
            raise ValueError(f"limit {name} must be a positive number, not {value!r}")
