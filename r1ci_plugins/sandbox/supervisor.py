"""The program inside the jail that runs one untrusted program and reports how it ended.

The host never imports this file: it sends the text through the jail's fd 0, followed by a call of ``supervise`` and
the untrusted code, so that no file of this package is visible in the jail. fd 0 is a stream socket: the host closing
it ends the jail, any byte on it stops the program, and the messages going out are lines of words:

* ``refused CHECK...``: this is no jail; nothing was touched or run.
* ``fault TEXT``: the program could not be started.
* ``started``: the program's own code runs from here on.
* ``done WALL CPU STATUS REASON MARK``: it ended; ``STATUS`` is that of ``wait4``, ``REASON`` why it was ended
  (``exit``, ``deadline``, ``memory``, ``stopped``), ``MARK`` is ``m`` if an uncaught MemoryError ended it.

The program is a child of the supervisor and does not inherit the socket, so it cannot write a report. Only the
modules that a bare interpreter loads fast are imported: this runs once per program.
"""

from __future__ import annotations

import os
import resource
import select
import sys
import time

TYPE_CHECKING = False  # typing takes longer to import than a small program to run
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

KILL = 9
TICK_MS = 50
MIB = 1 << 20
INODE_BYTES = 1024  # what an empty file in a tmpfs costs, so that files without content count too
SCRATCH = "scratch"
SOURCE_NAME = "main.py"


def supervise(settings: dict[str, Any], code: bytes) -> None:
    """Run ``code`` once as ``settings`` say, report on fd 0, and end with nothing else alive in the jail.

    Args:
        settings: What ``FirejailSandbox`` sends: limits, namespaces of the host, user id, import path.
        code: The program, UTF-8 with surrogates passed through.
    """
    failed = checks_that_fail(settings)
    if failed:
        say("refused " + " ".join(failed))
        os._exit(1)
    home = os.environ["HOME"]
    scratch = os.path.join(home, SCRATCH)
    os.mkdir(scratch, 0o700)
    if settings["uid"] is not None:
        os.chmod(home, 0o711)
        os.chown(scratch, settings["uid"], settings["uid"])
    else:
        set_dumpable(False)  # same user as the program: keep it from writing to our memory

    mark_in, mark_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(mark_in)
        become_program(settings, scratch, mark_out)
        run_program(code, mark_out)
        return  # ends the interpreter as usual: threads are joined, atexit runs, buffers are flushed
    os.close(mark_out)
    os.close(settings["stdout"])
    os.close(settings["stderr"])
    if os.read(mark_in, 1) != b"s":
        say("fault the program's process could not be set up, see the jail's output")
        os._exit(1)
    began = time.monotonic()
    reason = watch(pid, began + settings["wall_s"], settings["memory_mb"] * MIB, (scratch, "/dev/shm"))
    try:  # noqa: SIM105 - contextlib takes longer to import than a small program to run
        os.kill(-1, KILL)  # everything but us and the jail's init; nothing can be forked past it
    except ProcessLookupError:
        pass
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - began
    os.set_blocking(mark_in, False)
    try:
        mark = os.read(mark_in, 1)
    except BlockingIOError:  # unreachable once everybody is dead, but never worth a hang
        mark = b""
    say(f"done {wall:.6f} {usage.ru_utime + usage.ru_stime:.6f} {status} {reason} {'m' if mark == b'm' else '-'}")
    os._exit(0)


def say(line: str) -> None:
    """Send the host a message."""
    os.write(0, (line + "\n").encode())


def checks_that_fail(settings: dict[str, Any]) -> list[str]:
    """Name the isolation checks that do not hold. Cheap, so made in every jail, before anything is touched."""
    failed = [
        f"{name}-namespace"
        for name, link in settings["host_namespaces"].items()
        if os.readlink(f"/proc/self/ns/{name}") == link
    ]
    with open("/proc/self/status") as lines:
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if status.get("Seccomp") != "2":
        failed.append("seccomp")
    if status.get("NoNewPrivs") != "1":
        failed.append("no-new-privileges")
    if int(status["CapEff"], 16) & ~settings["capabilities"] or int(status["CapBnd"], 16) & ~settings["capabilities"]:
        failed.append("capabilities")
    if os.stat(os.environ["HOME"]).st_dev == settings["host_home_device"]:
        failed.append("private-home")
    return failed


def set_dumpable(value: bool) -> None:
    """Allow or forbid processes of the same user to look into this one's memory."""
    import ctypes

    PR_SET_DUMPABLE = 4
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(value), 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_DUMPABLE) failed")


def become_program(settings: dict[str, Any], scratch: str, mark: int) -> None:
    """Turn this child into the untrusted program's process; ``s`` on ``mark`` tells that it worked."""
    os.setsid()
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(settings["stdout"], 1)
    os.dup2(settings["stderr"], 2)
    os.close(settings["stdout"])
    os.close(settings["stderr"])
    for name in set(os.environ) - set(settings["environment"]):
        del os.environ[name]
    os.environ["HOME"] = scratch
    sys.argv = [SOURCE_NAME]
    sys.path[:] = [scratch, *settings["path"]]
    if sys.flags.no_site:
        import site

        site.setquit()
        site.sethelper()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # what was printed before a kill is not lost

    uid = settings["uid"]
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_FSIZE, settings["file_mb"] * MIB),
        # The jail's init and the supervisor count too when they run as the program's user.
        (resource.RLIMIT_NPROC, settings["processes"] + (2 if uid is None else 0)),
    ):
        resource.setrlimit(limit, (value, value))
    # SIGXCPU first, which wait4 shows; SIGKILL a second later for who ignores it.
    resource.setrlimit(resource.RLIMIT_CPU, (settings["cpu_s"], settings["cpu_s"] + 1))
    if uid is None:
        set_dumpable(True)
    else:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.chdir(scratch)
    os.write(mark, b"s")
    say("started")  # from here, not from the supervisor, which the program might stop before it gets to say so
    os.dup2(null, 0)
    os.close(null)
    address_space = settings["memory_mb"] * MIB
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def run_program(code: bytes, mark: int) -> None:
    """Execute ``code`` as ``__main__`` of this process; an uncaught exception propagates to the interpreter."""

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, MemoryError):
            os.write(mark, b"m")
        while trace is not None and trace.tb_frame.f_code.co_filename != SOURCE_NAME:
            trace = trace.tb_next  # our own frames
        try:
            import traceback

            traceback.print_exception(kind, error, trace)
        except MemoryError:
            os.write(2, b"MemoryError\n")

    sys.excepthook = excepthook
    source = code.decode("utf-8", "surrogatepass")
    program = type(sys)("__main__")
    program.__dict__.update(__file__=SOURCE_NAME, __builtins__=__builtins__, __loader__=SourceLoader(source))
    sys.modules["__main__"] = program
    exec(compile(source, SOURCE_NAME, "exec", dont_inherit=True), program.__dict__)


class SourceLoader:
    """Lets traceback, linecache and inspect show the program's lines, although there is no file."""

    def __init__(self, source: str) -> None:
        self.source = source

    def get_source(self, name: str) -> str:
        return self.source


def watch(pid: int, deadline: float, memory: int, filesystems: tuple[str, ...]) -> str:
    """Wait until the program ends or has to be ended, and say why."""
    poller = select.poll()
    poller.register(os.pidfd_open(pid), select.POLLIN)
    poller.register(0, select.POLLIN)
    baseline = [bytes_in(path) for path in filesystems]
    while True:
        left_ms = max(0, deadline - time.monotonic()) * 1000
        ready = dict(poller.poll(min(TICK_MS, left_ms)))
        if 0 in ready:
            return "stopped"
        if ready:
            return "exit"
        if time.monotonic() >= deadline:
            return "deadline"
        files = sum(bytes_in(path) - before for path, before in zip(filesystems, baseline, strict=True))
        if files + bytes_of_processes() > memory:
            return "memory"


def bytes_in(path: str) -> int:
    """Memory that the files of a tmpfs hold."""
    fs = os.statvfs(path)
    return (fs.f_blocks - fs.f_bfree) * fs.f_frsize + (fs.f_files - fs.f_ffree) * INODE_BYTES


def bytes_of_processes() -> int:
    """Memory that all processes of the jail hold, without what is shared with files."""
    total = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/status") as lines:
                    total += sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))
            except (FileNotFoundError, ProcessLookupError):
                pass  # it ended meanwhile
    return total * 1024
