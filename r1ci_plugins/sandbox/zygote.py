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

import ast
import atexit
import builtins
import contextlib
import ctypes
import gc
import io
import linecache
import os
import random
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from typing import Any

KILL = 9
FIRST_TICK_MS, TICK_MS = 20, 50
MIB = 1 << 20
INODE_BYTES = 1024  # what an empty file in a tmpfs costs, so that files without content count too
SOURCE_NAME = "main.py"
STOP = b"stop"
ORDER_FD, MARK_FD, OPEN_FILES = 250, 251, 256
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38
SECCOMP_MODE_FILTER, MADV_COLLAPSE = 2, 25
PROT_READ, PROT_WRITE, PROT_EXEC, MAP_PRIVATE_ANONYMOUS, MREMAP_MAYMOVE_FIXED = 1, 2, 4, 0x22, 3
HUGE = 2 * MIB

# What small programs import. It is imported here once, so it costs them nothing.
STANDARD_LIBRARY = (
    "bisect cmath collections contextlib copy dataclasses datetime decimal enum fractions functools heapq inspect "
    "itertools json linecache math operator re statistics string struct subprocess tempfile textwrap tokenize types "
    "typing warnings"
)

libc = ctypes.CDLL(None, use_errno=True)
libc.madvise.argtypes = libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mmap.restype = ctypes.c_ssize_t
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
    if settings["contained"]:
        leave_shell()
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
    for name in set(os.environ) - set(settings["environment"]):
        del os.environ[name]
    os.environ["HOME"] = os.environ["TMPDIR"] = scratch.path
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    if settings["uid"] is not None:
        os.setgroups([])
    libraries = prepare_interpreter(settings, scratch.path)
    scratch.wipe()  # matplotlib makes folders in its home as it is imported
    install_filter(settings["static_filter"])
    zygote = Zygote(settings, control, scratch)
    zygote.say(" ".join(["ready", str(memory_of("self")), *libraries]))
    zygote.run()


def leave_shell() -> None:
    """End the shell by which firejail may have started us: it would die with the first job, and we with it."""
    shell = os.getppid()
    if shell > 1:
        os.kill(shell, KILL)
        while os.getppid() == shell:
            time.sleep(0.001)


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


def identity(path: str) -> tuple[int, int]:
    """What tells a folder from one that was put in its place."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def prepare_interpreter(settings: dict[str, Any], scratch: str) -> list[str]:
    """Make this interpreter what a program expects, with its libraries; return the libraries that there are."""
    sys.argv = [SOURCE_NAME]
    sys.path[:] = settings["path"]
    if sys.flags.no_site:
        import site

        site.setquit()
        site.sethelper()
    for name in STANDARD_LIBRARY.split():
        __import__(name)
    found = []
    for name in settings["preload"]:
        try:
            __import__(name)
            found.append(name)
        except Exception:  # not installed, or broken: a program that wants it will see for itself
            pass
    random.seed(0)  # the same in every slot
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.__stdin__ = sys.stdin  # type: ignore[misc]
    stdout = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8", line_buffering=True
    )  # what was printed before a kill is not lost
    sys.stdout = sys.__stdout__ = stdout  # type: ignore[misc]
    stderr = io.TextIOWrapper(
        OrderedStderr(stdout, settings["order"]),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )
    sys.stderr = sys.__stderr__ = stderr  # type: ignore[misc]
    rehearse(settings["show_last"])
    gc.collect()
    fill_gaps()
    rehearse(settings["show_last"])  # once more, now that it gets new memory
    sys.path.insert(0, scratch)  # for the children: this process imports nothing more
    merge_mappings()
    move_text()
    collapse_memory()
    gc.freeze()
    return found


def rehearse(show_last: bool) -> None:
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
            read_all(descriptors[0])
            for fd in descriptors:
                os.close(fd)
            prctl(PR_SET_NO_NEW_PRIVS, 1)
            execute(new_program(), source, show_last)
    finally:
        for fd, stream in enumerate(streams, 1):
            os.dup2(stream, fd)
            os.close(stream)
    mine.close()
    theirs.close()
    os.close(null)
    linecache.clearcache()  # the rehearsal's lines have the program's name


REHEARSALS = (
    b"def f(n):\n    return [f'{i}' for i in range(n)]\nx = f(9)\nprint(*x, sep=',')\n",
    b"print(1)\n",
    b"1/0\n",
)


def fill_gaps() -> None:
    """Fill what importing left free between the libraries' objects, so that jobs get pages of their own.

    Otherwise each of a job's objects writes to a page in another place, which has to be copied, and breaks up a huge
    page there. Small objects come from the interpreter's arenas, by size in steps of 16 bytes.
    """
    arenas = [(begin, end) for begin, end, permissions, name in mappings() if (permissions, name) == ("rw-p", "")]
    arenas = [(begin, end) for begin, end in arenas if end - begin >= MIB]
    room = 16 * MIB  # a limit, because with an allocator that has no arenas the search would never end
    for size in range(512, 0, -16):
        block: object = None
        while room > 0 and (block is None or any(begin <= id(block) < end for begin, end in arenas)):
            block = object() if size == 16 else float(size) if size == 32 else bytes(size - 33)
            FILLING.append(block)
            room -= size


FILLING: list[object] = []


def mappings() -> list[tuple[int, int, str, str]]:
    """This process's memory: begin, end, permissions and name (a file's path, or nothing) of each mapping."""
    found = []
    with open("/proc/self/maps") as lines:
        for line in lines:
            span, permissions, _, _, _, *name = line.split(None, 5)
            begin, end = (int(part, 16) for part in span.split("-"))
            found.append((begin, end, permissions, name[0].strip() if name else ""))
    return found


def merge_mappings() -> None:
    """Halve the number of mappings, each of which costs a fork and the child's end a microsecond.

    A library is four or five mappings, because parts of it are only read, or not written after loading. With the
    permissions of their neighbours, these parts join them. That protects nobody in a jail, where
    programs may map and execute whatever they like.
    """
    found = mappings()
    programs = {name for _, _, permissions, name in found if permissions == "r-xp" and name.startswith("/")}
    for (begin, end, permissions, name), following in zip(found, found[1:], strict=False):
        if permissions == "r--p" and name in programs:
            relocated = following[0] == end and following[2:] == ("rw-p", name)
            libc.mprotect(begin, end - begin, PROT_READ | (PROT_WRITE if relocated else PROT_EXEC))


def move_text() -> None:
    """Put the interpreter's machine code into huge pages: a fork copies their two entries, and no child faults.

    Pages of a file are not copied by a fork: each child would fault in some fifty pieces of the interpreter again.
    """
    inside = ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value or 0
    begin, end = next((begin, end) for begin, end, _, _ in mappings() if begin <= inside < end)
    size = end - begin
    place = libc.mmap(None, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
    if place < 0:
        return
    copy = place + (begin - place) % HUGE
    ctypes.memmove(copy, begin, size)
    collapse(copy, copy + size)
    if libc.mprotect(copy, size, PROT_READ | PROT_EXEC) == 0:
        libc.mremap(copy, size, size, MREMAP_MAYMOVE_FIXED, begin)
    libc.munmap(place, size + HUGE)


def collapse_memory() -> None:
    """Put the interpreter's data into huge pages, where the kernel can: a fork then copies a tenth of the tables."""
    for begin, end, permissions, name in mappings():
        if permissions == "rw-p" and name in ("", "[heap]"):
            collapse(begin, end)


def collapse(begin: int, end: int) -> None:
    """Put the memory between two addresses into huge pages, as far as it fills whole ones."""
    for start in range(-(-begin // HUGE) * HUGE, end - HUGE + 1, HUGE):
        libc.madvise(start, HUGE, MADV_COLLAPSE)


class OrderedStderr(io.FileIO):
    """stderr that leaves a mark in stdout, so that the host can put the two in order.

    Descriptors 1 and 2 are pipes of their own, whose relative order the host cannot see. After each write the number
    of bytes goes into stdout's pipe behind a token. A program that forges marks confuses only its reader.
    """

    def __init__(self, stdout: io.TextIOWrapper, token: bytes) -> None:
        super().__init__(2, "w", closefd=False)
        self.stdout, self.token = stdout, token

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError, ValueError):
            self.stdout.flush()
        written = super().write(data) or 0
        with contextlib.suppress(OSError):
            os.write(ORDER_FD, self.token + b"%08x" % written)
        return written


class Scratch:
    """The folder in which jobs run: each gets a new one.

    Only folders that are proved to be ours are ever changed: those that ``checks_that_fail`` has found to be the
    jail's own, or, without a jail, one that is made here.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.home, self.folders, self.uid = settings["home"], settings["wiped"], settings["uid"]
        if self.home in self.folders:  # firejail puts a .bashrc there, in which a program could leave something
            for name in os.listdir(self.home):
                with contextlib.suppress(OSError):  # a folder, on the way to the interpreter
                    os.unlink(os.path.join(self.home, name))
        else:  # a folder of the host
            self.home = tempfile.mkdtemp(prefix="r1ci-scratch-", dir=self.home)
        self.ours = {folder: identity(folder) for folder in (self.home, *self.folders)}
        self.path = os.path.join(self.home, "scratch")
        if self.uid is not None:
            os.chmod(self.home, 0o711)
        self.kept = set(os.listdir(self.home))
        self.wipe()
        self.baseline = [bytes_in(path) for path in self.folders]

    def check_ours(self) -> None:
        """Raise an OSError if a folder of ours was replaced: then nothing in it may be touched."""
        for folder, ours in self.ours.items():
            if identity(folder) != ours:
                raise OSError(f"{folder} was replaced")

    def wipe(self) -> None:
        """Remove all that a job left and make a folder for the next one; OSError if something cannot be removed."""
        self.check_ours()
        with contextlib.suppress(OSError):
            os.rmdir(self.path)  # most programs leave it empty
        for folder in self.ours:
            kept = self.kept if folder == self.home else ()
            for name in os.listdir(folder):
                if name not in kept:
                    remove(os.path.join(folder, name))
        if self.uid is None:  # the job owns the parent too, which can carry attributes and times
            for name in os.listxattr(self.home):
                os.removexattr(self.home, name)
            os.utime(self.home, (0, 0))
        os.mkdir(self.path, 0o700)
        if self.uid is not None:
            os.chown(self.path, self.uid, self.uid)

    def used(self) -> int:
        """Bytes that the job's files hold."""
        return sum(bytes_in(path) - before for path, before in zip(self.folders, self.baseline, strict=True))


def remove(path: str) -> None:
    """Remove a file or a whole folder, whatever modes it has and however deep it is.

    Folders in it are first moved up beside it, so that no path gets too long and no recursion too deep.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    folders = [path]
    while folders:
        folder = folders.pop()
        os.chmod(folder, 0o700)
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    os.chmod(entry.path, 0o700)  # or it could not be moved
                    folders.append(os.path.join(os.path.dirname(path), f"r1ci-removed-{time.monotonic_ns()}"))
                    os.rename(entry.path, folders[-1])
                else:
                    os.unlink(entry.path)
        os.rmdir(folder)


def bytes_in(path: str) -> int:
    """Memory that the files of a tmpfs hold."""
    fs = os.statvfs(path)
    return (fs.f_blocks - fs.f_bfree) * fs.f_frsize + (fs.f_files - fs.f_ffree) * INODE_BYTES


def memory_of(process: int | str, file: str = "status", keys: tuple[str, ...] = ("RssAnon", "RssShmem")) -> int:
    """Memory of a process without what it shares with files, bytes, by lines of a file in /proc; 0 if it has ended."""
    try:
        with open(f"/proc/{process}/{file}") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith(keys)) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Zygote:
    """The loop: one job at a time, and nothing of it left before the next."""

    def __init__(self, settings: dict[str, Any], control: socket.socket, scratch: Scratch) -> None:
        self.settings, self.control, self.scratch = settings, control, scratch
        self.contained = settings["contained"]
        self.go_in, self.go_out = os.pipe()
        self.mark_in, mark_out = os.pipe()
        os.dup2(mark_out, MARK_FD, inheritable=False)
        os.close(mark_out)
        os.set_blocking(self.mark_in, False)
        self.pid = os.getpid()
        with open("/proc/self/statm") as file:
            self.address_space = int(file.read().split()[0]) * resource.getpagesize()
        stand_in, self.signal_filter = settings["zygote"], settings["signal_filter"]
        for sign in (1, -1):
            mine, theirs = ((sign * pid & 0xFFFFFFFF).to_bytes(4, "little") for pid in (self.pid, stand_in))
            self.signal_filter = self.signal_filter.replace(theirs, mine)
        self.program = new_program()
        for function in (self.be_job, self.give_up_rights, self.take_job, receive_job, execute, end_program):
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
                status = execute(self.program, self.take_job(), self.settings["show_last"])
                status = end_program(status)
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

    def take_job(self) -> bytes:
        """Receive the job, set its limits, and give up everything that is not a program's."""
        words, code_fd, out_fd, err_fd = receive_job(self.control)
        os.dup2(out_fd, 1)
        os.dup2(err_fd, 2)
        os.dup2(out_fd, ORDER_FD, inheritable=False)
        code = read_all(code_fd)
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
        return code


def receive_job(control: socket.socket) -> tuple[list[bytes], int, int, int]:
    """Take a job's message: the limits, and the descriptors of code, stdout and stderr."""
    message, ancillary, _, _ = control.recvmsg(4096, socket.CMSG_SPACE(12))
    code_fd, out_fd, err_fd = memoryview(ancillary[0][2][:12]).cast("i")
    return message.split(), code_fd, out_fd, err_fd


def read_all(fd: int) -> bytes:
    """The whole content of a memfd."""
    chunks, offset, size = [], 0, os.fstat(fd).st_size
    while chunk := os.pread(fd, size - offset, offset):
        chunks.append(chunk)
        offset += len(chunk)
    return b"".join(chunks)


def new_program() -> Any:
    """An empty ``__main__``, in its place."""
    program = type(sys)("__main__")
    program.__dict__.update(__file__=SOURCE_NAME, __builtins__=builtins)
    sys.modules["__main__"] = program
    return program


def execute(program: Any, code: bytes, show_last: bool) -> int:
    """Execute ``code`` as ``__main__`` and return the exit status that follows from how it ended."""
    try:
        source = code.decode("utf-8", "surrogatepass")
        program.__loader__ = SourceLoader(source)
        if show_last:
            run_as_notebook(source, program.__dict__)
        else:
            exec(compile(source, SOURCE_NAME, "exec", dont_inherit=True), program.__dict__)
    except BaseException as error:
        return status_of(error)
    return 0


def end_program(status: int) -> int:
    """Do what the interpreter does at a program's end, and return the exit status."""
    last_acts = [atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush]
    if len(threading._active) > 1 or threading._threading_atexits:  # type: ignore[attr-defined]
        last_acts.insert(0, threading._shutdown)  # type: ignore[attr-defined]
    for last_act in last_acts:
        try:
            last_act()
        except BaseException as error:
            status = status_of(error) or 1
    return status


def run_as_notebook(source: str, space: dict[str, Any]) -> None:
    """Execute, and show the value of a last expression as a notebook does, unless a semicolon ends it."""
    tree = ast.parse(source, SOURCE_NAME)
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"):
        last = ast.Interactive([tree.body.pop()])
        exec(compile(tree, SOURCE_NAME, "exec", dont_inherit=True), space)
        exec(compile(last, SOURCE_NAME, "single", dont_inherit=True), space)
    else:
        exec(compile(tree, SOURCE_NAME, "exec", dont_inherit=True), space)


def status_of(error: BaseException) -> int:
    """Report an exception that ends the program, as the interpreter would, and return the exit status it gives."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    if isinstance(error, MemoryError):
        os.write(MARK_FD, b"m")
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != SOURCE_NAME:
        trace = trace.tb_next  # our own frames
    try:
        if sys.excepthook is sys.__excepthook__:
            traceback.print_exception(type(error), error, trace)
        else:
            sys.excepthook(type(error), error, trace)
    except MemoryError:
        os.write(2, b"MemoryError\n")
    except BaseException:
        os.write(2, f"{type(error).__name__}\n".encode())
    return 1


class SourceLoader:
    """Lets traceback, linecache and inspect show the program's lines, although there is no file."""

    def __init__(self, source: str) -> None:
        self.source = source

    def get_source(self, name: str) -> str:
        return self.source
