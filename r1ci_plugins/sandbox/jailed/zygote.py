"""The fork server inside the jail: forks one process per untrusted program and reports how it ended.

The host never imports this file: it sends the text through the jail's fd 0, followed by a call of ``serve``, so that
no file of this package is visible in the jail. fd 0 is a SEQPACKET socket, the control channel; the host closing it
ends the zygote and with it the jail. A job is one message with three descriptors: the code in a memfd, and the write
ends of two pipes. The message is the limits as words: seconds, CPU seconds, MiB of memory, MiB of a file, processes.
The zygote only peeks at them. A child that was forked in advance takes message and descriptors itself, so that nothing
of a job is ever in the zygote's memory. Any further message stops the job.
Messages to the host are lines of words, one a packet:

* ``refused CHECK...``: this is not the jail that it should be; nothing was touched or run.
* ``ready BYTES LIBRARY...``: the libraries are imported, jobs may come. BYTES is the zygote's memory.
* ``done WALL CPU STATUS REASON MARK``: the job ended, nothing of it is left. ``STATUS`` is that of ``wait4``,
  ``REASON`` why it was ended (``exit``, ``deadline``, ``memory``, ``stopped``), ``MARK`` is ``m`` if an uncaught
  MemoryError ended it.
* ``fault TEXT``: something happened that must not; the zygote ends.

A program cannot write a report: it does not have the socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import linecache
import os
import random
import resource
import select
import shutil
import signal
import socket
import sys
import threading
import time
from typing import Any

from r1ci_plugins.sandbox.jailed.memory import MIB, collapse_memory, fill_gaps, merge_mappings, move_text
from r1ci_plugins.sandbox.jailed.program import MARK_FD, ORDER_FD, SOURCE_NAME, Depth, Program, make_streams
from r1ci_plugins.sandbox.jailed.scratch import Scratch
from r1ci_plugins.sandbox.jailed.shelf import Shelf

KILL = 9
FIRST_TICK_MS, TICK_MS = 20, 50
STOP = b"stop"
OPEN_FILES = 1024
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38
SECCOMP_MODE_FILTER, M_ARENA_MAX = 2, -8

# What small programs import. It is imported here once, so it costs them nothing.
STANDARD_LIBRARY = (
    "bisect cmath collections contextlib copy dataclasses datetime decimal enum fractions functools heapq inspect "
    "itertools json linecache math operator re statistics string struct subprocess tempfile textwrap tokenize "
    "traceback types typing warnings"
)

libc = ctypes.CDLL(None, use_errno=True)
# The C library's own fork, called with the interpreter's lock held. os.fork would run hooks in the child: they reseed
# random and make new locks for threads that this process does not have. That costs as much as a whole small program.
fork = ctypes.PyDLL(None).fork


def serve(settings: dict[str, Any]) -> None:
    """Prove that this is a jail, import the libraries, then run one job after the other until the host hangs up."""
    control = socket.socket(fileno=os.dup(0))
    failed = checks_that_fail(settings)
    if failed:
        control.send(("refused " + " ".join(failed)).encode())
        os._exit(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    libc.mallopt(M_ARENA_MAX, 2)  # or many threads take all the address space that a program may have
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, KILL)
    prctl(PR_SET_DUMPABLE, 0)  # no process of the same user may look into this one
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # when the machine runs out of memory, programs go first, not the trainer
    except OSError:
        pass
    scratch = Scratch(settings)
    os.environ.clear()
    os.environ.update(settings["environment"], HOME=scratch.path, TMPDIR=scratch.path)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    if settings["uid"] is not None:
        os.setgroups([])
    interpreter = Interpreter(settings, scratch)
    scratch.wipe()  # matplotlib makes folders in its home as it is imported
    install_filter(settings["static_filter"])
    zygote = Zygote(settings, control, scratch, interpreter)
    zygote.say(" ".join(["ready", str(memory_of("self")), *interpreter.libraries]))
    zygote.run()


def prctl(option: int, value: int) -> None:
    """Call prctl; what it is used for here must not fail silently."""
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def install_filter(program: bytes) -> None:
    """Install a system-call filter in this thread; it is inherited and cannot be removed."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    description = Program(len(program) // 8, program)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(description), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the system-call filter could not be installed")


def checks_that_fail(settings: dict[str, Any]) -> list[str]:
    """Name the isolation checks that do not hold, before anything is touched."""
    failed = [
        f"{name}-namespace"
        for name, link in settings["host_namespaces"].items()
        if os.readlink(f"/proc/self/ns/{name}") == link
    ]
    with open("/proc/self/status") as lines:
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if settings["filtered"] and status.get("Seccomp") != "2":
        failed.append("seccomp")
    if settings["filtered"] and status.get("NoNewPrivs") != "1":
        failed.append("no-new-privileges")
    allowed = settings["capabilities"]
    sets = ("CapPrm", "CapBnd") if settings["filtered"] else ("CapPrm",)  # bubblewrap leaves the bounding set alone
    if allowed is not None and any(int(status[name], 16) & ~allowed for name in sets):
        failed.append("capabilities")
    if settings["contained"] and not set(processes()) <= {1, os.getppid(), os.getpid()}:
        failed.append("private-processes")
    return failed + [f"private-{folder}" for folder in settings["wiped"] if not is_private(folder, settings)]


def is_private(folder: str, settings: dict[str, Any]) -> bool:
    """Whether a folder is the jail's own, so that what is in it may be removed.

    It is on a file system that the host has not mounted, which alone is no proof: btrfs gives one file system several
    device numbers, and other mount namespaces have others. It also holds nothing: in ``home`` nothing but files that
    are newer than the jail, and folders on the way to the interpreter, which are kept.
    """
    if not os.path.isdir(folder) or os.stat(folder).st_dev in settings["host_devices"]:
        return False
    if folder != settings["home"]:
        return not os.listdir(folder)
    with os.scandir(folder) as entries:
        return all(
            entry.is_dir(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_ctime >= settings["spawned"]
            for entry in entries
        )


def processes() -> list[int]:
    """The process ids in /proc."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def memory_of(process: int | str, file: str = "status", keys: tuple[str, ...] = ("RssAnon", "RssShmem")) -> int:
    """Memory of a process without what it shares with files, bytes, by lines of a file in /proc; 0 if it has ended."""
    try:
        with open(f"/proc/{process}/{file}") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith(keys)) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Interpreter:
    """This interpreter as programs find it; ``libraries`` are those on the shelf, of the ones that are wanted."""

    def __init__(self, settings: dict[str, Any], scratch: Scratch) -> None:
        self.scratch, self.show_last = scratch, settings["show_last"]
        os.chdir(scratch.path)  # some libraries note where they were imported
        sys.argv = [SOURCE_NAME]
        sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) in settings["path"]]
        shelf = Shelf()
        for name in STANDARD_LIBRARY.split():
            shelf.load(name)
        self.libraries = [name for name in settings["preload"] if shelf.load(name)]
        random.seed(0)  # the same in every slot
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(0)
        make_streams(settings["order"])
        self.depth = Depth()
        write_source(Depth.PROBE)
        self.depth.measure()
        shelf.close()
        sys.path.insert(0, scratch.path)
        self.shelf = shelf
        self.rehearse()
        gc.collect()
        fill_gaps()
        self.rehearse()  # once more, now that it gets new memory
        merge_mappings()
        move_text()
        collapse_memory()
        gc.freeze()
        os.chdir("/")

    def new_program(self) -> Program:
        """An empty program, in its place."""
        return Program(self.depth, self.shelf, self.scratch.path, self.show_last)

    def rehearse(self) -> None:
        """Do what every job does, so that the interpreter specialises and caches it once instead of in every child.

        What a child finds in no cache it writes there, and each page that it writes first has to be copied.
        """
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open("/dev/null", os.O_RDWR)
        streams = [os.dup(1), os.dup(2)]
        try:
            os.dup2(null, 1)
            os.dup2(null, 2)
            for source in REHEARSALS * 10:
                socket.send_fds(theirs, [b"60 60 2048 64 64"], [null, null, null])
                _, *descriptors = receive_job(mine)
                for fd in descriptors:
                    os.close(fd)
                write_source(source)
                prctl(PR_SET_NO_NEW_PRIVS, 1)
                self.new_program().run()
        finally:
            for fd, stream in enumerate(streams, 1):
                os.dup2(stream, fd)
                os.close(stream)
        mine.close()
        theirs.close()
        os.close(null)
        linecache.clearcache()  # the rehearsal's lines have the program's name
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            vars(sys).pop(name, None)


REHEARSALS = (
    b"def f(n):\n    return [f'{i}' for i in range(n)]\nx = f(9)\nprint(*x, sep=',')\n",
    b"print(1)\n",
    b"1/0\n",
)


def write_source(source: bytes) -> None:
    """Write a program into ``main.py``."""
    with open(SOURCE_NAME, "wb") as file:
        file.write(source)


class Zygote:
    """The loop: one job at a time, and nothing of it left before the next."""

    def __init__(
        self, settings: dict[str, Any], control: socket.socket, scratch: Scratch, interpreter: Interpreter
    ) -> None:
        self.settings, self.control, self.scratch = settings, control, scratch
        self.contained = settings["contained"]
        self.go_in, self.go_out = os.pipe()
        self.mark_in, mark_out = os.pipe()
        os.dup2(mark_out, MARK_FD, inheritable=False)
        os.close(mark_out)
        os.set_blocking(self.mark_in, False)
        self.pid = os.getpid()
        self.shelf = interpreter.shelf
        with open("/proc/self/statm") as file:
            self.address_space = int(file.read().split()[0]) * resource.getpagesize()
        stand_in, self.signal_filter = settings["zygote"], settings["signal_filter"]
        for sign in (1, -1):
            mine, theirs = ((sign * pid & 0xFFFFFFFF).to_bytes(4, "little") for pid in (self.pid, stand_in))
            self.signal_filter = self.signal_filter.replace(theirs, mine)
        self.program = interpreter.new_program()
        for function in (self.be_job, self.give_up_rights, self.take_job, receive_job, Program.run, Program.end):
            for name in function.__code__.co_names:  # to have in the type cache what only children look up
                getattr(os, name, None)
                getattr(self, name, None)

    def run(self) -> None:
        """Serve until the host hangs up or something happens that must not."""
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        while True:
            child = fork()
            if child == 0:
                self.be_job()
            poller.poll()
            while (header := self.peek()) == STOP:
                self.control.recv(len(STOP))  # for a job that had just ended
            if not header:
                self.leave("", 0)
            try:
                report = self.conduct(child, header)
            except OSError as error:
                self.leave(f"fault {error!r}", 1)
            self.say(report)

    def peek(self) -> bytes:
        """The next message's bytes without its descriptors, which stay for the child; empty if the host hung up."""
        try:
            return self.control.recv(4096, socket.MSG_PEEK)
        except OSError:
            return b""

    def say(self, message: str) -> None:
        """Send the host a message; without a host there is nothing left to do."""
        try:
            self.control.send(message.encode())
        except OSError:
            self.leave("", 0)

    def leave(self, message: str, status: int) -> None:
        """End the jail: its processes die with it."""
        if message:
            with contextlib.suppress(OSError):
                self.control.send(message.encode())
        self.end_jobs()
        if not self.contained:
            with contextlib.suppress(OSError):
                self.scratch.check_ours()
                shutil.rmtree(self.scratch.home, ignore_errors=True)
        os._exit(status)

    def conduct(self, child: int, limits: bytes) -> str:
        """Let the child run its job, end it in time, remove every trace, and say how it went."""
        wall_s, _, memory_mb, _, _ = limits.split()
        pidfd = os.pidfd_open(child)
        self.marks: set[int] = set()
        began = time.monotonic()
        os.write(self.go_out, b"g")
        reason = self.watch(pidfd, began + float(wall_s), int(memory_mb) * MIB)
        os.close(pidfd)
        wall = time.monotonic() - began
        ended = self.end_jobs()
        status, _ = ended[child]
        cpu = sum(usage.ru_utime + usage.ru_stime for _, usage in ended.values())
        while self.read_mark():
            pass
        if ord("s") not in self.marks:
            self.leave("fault the job's process did not start", 1)
        self.scratch.wipe()
        return f"done {wall:.6f} {cpu:.6f} {status} {reason} {'m' if ord('m') in self.marks else '-'}"

    def watch(self, pidfd: int, deadline: float, memory: int) -> str:
        """Wait until the job ends or has to be ended, and say why.

        The control channel is not looked at before the first tick: the job's own message could still be there, and
        most jobs have ended by then.
        """
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        started, tick = False, FIRST_TICK_MS
        while True:
            left_ms = max(0, deadline - time.monotonic()) * 1000
            ready = dict(poller.poll(min(tick, left_ms)))
            if pidfd in ready:
                return "exit"
            if not started and self.read_mark():  # the first mark is that of the start
                started = True
                poller.register(self.control, select.POLLIN)
            if self.control.fileno() in ready:
                try:
                    message = self.control.recv(16)
                except OSError:
                    message = b""
                if not message:
                    self.leave("", 0)
                return "stopped"
            if time.monotonic() >= deadline:
                return "deadline"
            if not ready:
                tick = TICK_MS
                if self.memory_of_jobs(memory - self.scratch.used()):
                    return "memory"

    def read_mark(self) -> bool:
        """Note what the job has marked, one read of it; False if nothing was there.

        A living program may write marks without end, so that only the marks of a dead one are read to their end.
        """
        try:
            marks = os.read(self.mark_in, 4096)
        except BlockingIOError:
            return False
        self.marks.update(marks)
        return bool(marks)

    def pids_of_jobs(self) -> list[int]:
        """Processes that are neither ours nor the jail's."""
        if self.contained:
            return [pid for pid in processes() if pid not in (1, self.pid)]
        found = [self.pid]
        for pid in found:
            found += self.children(pid)
        return found[1:]

    def children(self, pid: int) -> list[int]:
        """Children of a process; none if it has ended meanwhile."""
        found: list[int] = []
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    found += map(int, file.read().split())
        return found

    def end_jobs(self) -> dict[int, tuple[int, resource.struct_rusage]]:
        """Kill and reap everything but us; gives each process's status and usage.

        In a jail all processes are its own: one kill ends them. Elsewhere only our children are killed, and the groups
        that they lead, since no other process gets the number of a child that was not waited for. Orphans of a job
        become our children, so that all of it has ended when there is nothing to wait for.
        """
        ended: dict[int, tuple[int, resource.struct_rusage]] = {}
        while True:
            targets = [-1] if self.contained else [sign * pid for pid in self.children(self.pid) for sign in (-1, 1)]
            for pid in targets:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, KILL)
            try:
                pid, status, usage = os.wait4(-1, 0 if self.contained else os.WNOHANG)
            except ChildProcessError:
                self.shelf.put_back("resource")  # which wait4 imports
                return ended
            if pid:
                ended[pid] = status, usage

    def memory_of_jobs(self, limit: int) -> bool:
        """Whether the job's processes hold more than ``limit`` bytes beside what they inherited from us.

        Resident sizes are cheap but count a shared page in every process. Proportional sizes are therefore read where
        they exceed the limit. If a process hides those from us, the resident sizes decide.
        """
        pids = self.pids_of_jobs()
        if sum(map(memory_of, pids)) - memory_of("self") <= limit:
            return False
        try:
            return sum(memory_of(pid, "smaps_rollup", ("Pss_Anon", "Pss_Shmem")) for pid in pids) > limit
        except PermissionError:
            return True

    def be_job(self) -> None:
        """Become a job's process, wait for the job, run it, end. Never returns."""
        status = 70
        try:
            self.give_up_rights()
            if os.read(self.go_in, 1) == b"g":
                self.take_job()
                status = self.program.run()
                status = self.program.end(status)
                if status == -signal.SIGINT:
                    signal.signal(signal.SIGINT, signal.SIG_DFL)
                    os.kill(os.getpid(), signal.SIGINT)
        finally:
            os._exit(status & 0xFF)

    def give_up_rights(self) -> None:
        """Do in advance what is the same for every job."""
        uid = self.settings["uid"]
        os.setsid()
        if uid is not None:
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        prctl(PR_SET_PDEATHSIG, KILL)  # a change of user clears it
        prctl(PR_SET_DUMPABLE, 1)  # its own /proc/self
        threading.main_thread()._set_native_id()  # type: ignore[attr-defined] # what os.fork would have done
        os.chdir(self.scratch.path)
        if self.signal_filter:
            install_filter(self.signal_filter)

    def take_job(self) -> None:
        """Receive the job, set its limits, and give up everything that is not a program's."""
        words, code_fd, out_fd, err_fd = receive_job(self.control)
        os.dup2(out_fd, 1)
        os.dup2(err_fd, 2)
        os.dup2(out_fd, ORDER_FD, inheritable=False)
        copy_source(code_fd)
        os.closerange(3, ORDER_FD)
        cpu_s, memory_mb, file_mb, processes = map(int, words[1:])
        others = self.settings["other_processes"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_mb * MIB, file_mb * MIB))
        # SIGXCPU first, which wait4 shows; a second later SIGKILL, for programs that ignore it.
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
        if others is not None:  # other processes of the same user, which count too; None if unknown
            resource.setrlimit(resource.RLIMIT_NPROC, (processes + others, processes + others))
        os.write(MARK_FD, b"s")
        space = self.address_space + memory_mb * MIB
        resource.setrlimit(resource.RLIMIT_AS, (space, space))


def receive_job(control: socket.socket) -> tuple[list[bytes], int, int, int]:
    """Take a job's message: the limits, and the descriptors of code, stdout and stderr."""
    message, ancillary, _, _ = control.recvmsg(4096, socket.CMSG_SPACE(12))
    code_fd, out_fd, err_fd = memoryview(ancillary[0][2][:12]).cast("i")
    return message.split(), code_fd, out_fd, err_fd


def copy_source(code_fd: int) -> None:
    """Make ``main.py`` of a memfd's content."""
    fd = os.open(SOURCE_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    left = os.fstat(code_fd).st_size
    offset = 0
    while left > offset:
        offset += os.sendfile(fd, code_fd, offset, left - offset)
    os.close(fd)
