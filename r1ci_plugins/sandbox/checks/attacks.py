"""Attacks on a sandbox, as data: each has a program, what it is after, and the outcome that shows that it failed.

An attack prints ``held`` lines for what was denied and a ``REACHED`` line for what it got. Many have a positive
control, which shows that the attack would see it if it got there. After each one an ordinary program must run as in a
new sandbox, and no process of the attack may be left on the machine. ``r1ci sandbox check`` and our tests run them.
"""

# ruff: noqa: E501 - programs as they are run
from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.checks.promises import (
    ENDLESS,
    ERROR,
    MEMORY,
    OK,
    OUTPUT,
    TIMEOUT,
    Bench,
    Outcome,
    Verdict,
    daemon_code,
    processes_named,
)
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus

PRELUDE = """\
import ctypes, os, platform, signal, socket, struct, sys, time
open("/proc/self/comm", "w").write(settings["name"])
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    libc.syscall.restype = ctypes.c_long
    numbers = {
        "ptrace": (101, 117), "process_vm_readv": (310, 270), "unshare": (272, 97), "setns": (308, 268),
        "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "memfd_create": (319, 279),
        "memfd_secret": (447, 447), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186),
        "mq_open": (240, 180), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
        "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
        "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "clone3": (435, 435), "clone": (56, 220),
        "fsopen": (430, 430), "open_tree": (428, 428), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
        "pidfd_send_signal": (424, 424), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
        "rt_tgsigqueueinfo": (297, 240), "prlimit64": (302, 261), "init_module": (175, 105), "reboot": (169, 142),
        "kexec_load": (246, 104), "syslog": (103, 116), "personality": (135, 92), "process_madvise": (440, 440),
        "fanotify_init": (300, 262), "quotactl": (179, 60), "swapon": (167, 224), "setdomainname": (171, 162),
        "kcmp": (312, 272), "adjtimex": (159, 171), "acct": (163, 89), "ioprio_set": (251, 30),
    }
    number = numbers[name][platform.machine() != "x86_64"]
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def attempt(what, act):
    try:
        got = act()
    except OSError as error:
        print("held:", what, error)
    else:
        print("REACHED:", what, repr(got)[:300])
def in_child(act):  # what changes the process that does it must not change the attack
    child = os.fork()
    if child == 0:
        try:
            act()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.wait()[1])
    if status != 0:
        raise OSError(abs(status), "denied")
above = os.getppid()
others = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
"""


def shut(result: ExecutionResult) -> bool:
    """It ran to its end, something was denied and nothing was reached."""
    return result.status is OK and "held" in result.stdout and "REACHED" not in result.stdout


def ended(*statuses: ExecutionStatus) -> Callable[[ExecutionResult], bool]:
    """It ended in one of these ways and reached nothing."""
    return lambda result: result.status in statuses and "REACHED" not in result.stdout


@contextlib.contextmanager
def nothing() -> Iterator[dict[str, object]]:
    """No preparation."""
    yield {}


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: Short name.
        tries: What it is after, one sentence.
        code: The program; ``PRELUDE`` and ``settings`` come before it.
        enforced_by: What stops it.
        held: Whether the result shows that it failed.
        look: A program that runs next, and must find nothing of the first one (``shut``).
        control: Whether ``code`` and ``look`` in one program must reach it: the look would find it.
        needs: Names of ``conformance.CLAIMS`` without which nobody claims to stop it.
        limits: Beside the default ones.
        prepare: What it needs on the host, with a control of its own where there can be one; its values are in
            ``settings``.
    """

    name: str
    tries: str
    code: str
    enforced_by: str
    held: Callable[[ExecutionResult], bool] = shut
    look: str = ""
    control: bool = False
    needs: frozenset[str] = frozenset()
    limits: Mapping[str, float] = field(default_factory=dict)
    prepare: Callable[[], AbstractContextManager[dict[str, object]]] = nothing

    async def examine(self, bench: Bench) -> Outcome:
        """Run it, then look for what it left behind."""
        if reason := bench.lacks(self.needs):
            return Outcome(self.name, self.tries, Verdict.SKIPPED, reason)
        try:
            saw = await self._saw(bench)
        except InfrastructureFault as fault:
            saw = f"the sandbox failed: {fault}"
        return Outcome(self.name, self.tries, Verdict.BROKEN if saw else Verdict.HELD, saw)

    async def _saw(self, bench: Bench) -> str:
        """What shows that it succeeded; empty if it failed."""
        limits = {"wall_s": 20.0, **self.limits}
        with self.prepare() as values:
            name = f"r1ci-{secrets.token_hex(4)}"
            head = f"settings = {values | {'name': name}!r}\n{PRELUDE}"
            if self.control:
                result = await bench.run(f"{head}{self.code}\n{self.look}", **limits)
                if "REACHED" not in result.stdout:
                    return f"its control does not reach it: {result}"
            result = await bench.run(f"{head}{self.code}", **limits)
            if not (self.held if not self.look else ended(OK))(result):
                return str(result)[:3000]
            if self.look:
                result = await bench.run(f"{head}{self.look}", **limits)
                if not shut(result):
                    return f"the next program: {result}"[:3000]
        result = await bench.run(PROBE)
        answer, _, processes = result.stdout.partition("\n")
        alone = "processes" not in bench.claims or int(processes or 99) <= 4
        if (result.status, answer, result.stderr) != (OK, PROBE_SAYS, "err\n") or not alone:
            return f"the program after it: {result}"
        left = processes_named(name)
        return f"processes {left} are left" if left else ""


PROBE = """\
import json, os, sys, random
open("file", "w").write("x")
print(os.listdir("."), sum(range(10)), json.dumps([1]), random.random())
print(sum(name.isdigit() for name in os.listdir("/proc")))
print("err", file=sys.stderr)
"""
PROBE_SAYS = "['file'] 45 [1] 0.8444218515250481"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Preparations on the host, which are controls as well.


@contextlib.contextmanager
def host_listener() -> Iterator[dict[str, object]]:
    """A server on the host's loopback that the host itself can reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        yield {"port": port}


@contextlib.contextmanager
def host_abstract_socket() -> Iterator[dict[str, object]]:
    """An abstract socket on the host that the host itself can reach."""
    name = f"r1ci-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(f"\0{name}")
        server.listen()
        client.connect(f"\0{name}")
        yield {"socket": name}


@contextlib.contextmanager
def host_files() -> Iterator[dict[str, object]]:
    """Files of the host that everybody may read there, as the place where they are allows."""
    with contextlib.ExitStack() as stack:
        paths = [str(Path(__file__).resolve())]
        for folder in (tempfile.gettempdir(), "/var/tmp", "/dev/shm", str(Path.home())):
            with contextlib.suppress(OSError):
                file = stack.enter_context(tempfile.NamedTemporaryFile(dir=folder, prefix="r1ci-attack-"))
                os.chmod(file.name, 0o644)
                paths.append(file.name)
        assert all(os.path.exists(path) for path in paths)
        yield {"files": paths}


@contextlib.contextmanager
def host_process() -> Iterator[dict[str, object]]:
    """A process of the host with a secret in its environment; it must live on."""
    secret = secrets.token_hex(16)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(600)"], env={"R1CI_SECRET": secret}
    ) as process:
        try:
            yield {"host_pid": process.pid, "host_self": os.getpid(), "secret": secret}
            assert process.poll() is None, "the process of the host was ended"
        finally:
            process.kill()


@contextlib.contextmanager
def host_system_v() -> Iterator[dict[str, object]]:
    """Names of SysV objects; the host needs none of its own, since making them is what is denied."""
    yield {"key": secrets.randbelow(1 << 30)}


ATTACKS: list[Attack] = []
"""All of them, in the order in which they are tried."""


def attack(name: str, tries: str, enforced_by: str, code: str, needs: str = "", **more: object) -> None:
    """Add one."""
    ATTACKS.append(Attack(name, tries, code, enforced_by, needs=_words(needs), **more))  # type: ignore[arg-type]


# Network and sockets.

attack(
    "connect-to-host",
    "Connect to a server on the host's loopback, and to the internet.",
    "network namespace",
    """
for family, address in ((socket.AF_INET, ("127.0.0.1", settings["port"])), (socket.AF_INET, ("192.0.2.1", 80)),
                        (socket.AF_INET6, ("2001:db8::1", 80))):
    attempt(address, lambda: socket.socket(family, socket.SOCK_STREAM).connect(address))
attempt("DNS", lambda: socket.getaddrinfo("example.org", 80))
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)))
""",
    needs="network",
    prepare=host_listener,
)
attack(
    "abstract-socket-of-host",
    "Connect to an abstract socket of the host.",
    "network namespace",
    """attempt("connect", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + settings["socket"]))""",
    needs="network",
    prepare=host_abstract_socket,
)
attack(
    "socket-families",
    "Open sockets that reach past the network namespace or into the kernel: vsock, netlink, AF_ALG, packet, raw ones.",
    "our filter, capabilities",
    """
for family, kind in ((40, 1), (16, 3), (38, 5), (17, 3), (29, 3), (31, 3), (15, 3), (44, 3), (21, 5), (30, 1)):
    attempt(("socket", family, kind), lambda: socket.socket(family, kind, 0))
""",
)
attack(
    "raw-sockets",
    "Open raw sockets.",
    "capabilities",
    """
for family, protocol in ((2, 1), (2, 255), (10, 58)):
    attempt(("raw", family), lambda: socket.socket(family, socket.SOCK_RAW, protocol))
""",
    needs="capabilities",
)
attack(
    "system-buses",
    "Connect to sockets of the host's services: Docker, D-Bus, systemd, X11.",
    "mounts of the jail",
    """
for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/private",
             "/tmp/.X11-unix/X0", "/run/containerd/containerd.sock", "/run/systemd/journal/socket", "/dev/log"):
    attempt(path, lambda: socket.socket(socket.AF_UNIX).connect(path))
""",
    needs="hidden-files",
)

# Files.

attack(
    "files-of-host",
    "Read files of the host: temporary ones, this package, /etc/shadow, homes.",
    "mounts of the jail",
    """
for path in settings["files"] + ["/etc/shadow", "/root/.bashrc", "/root/.ssh/id_rsa", "/etc/ssh/sshd_config",
                                 "/var/log/dpkg.log", "/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg"]:
    attempt(path, lambda: open(path, "rb").read(10))
for folder in ("/root", "/home", "/mnt", "/media", "/srv", "/opt", "/boot", "/sys/kernel", "/work"):
    try: found = os.listdir(folder)
    except OSError as error: print("held:", error)
    else:
        shown = {os.path.realpath(p).split("/")[2] for p in sys.path if p.startswith(folder + "/")}
        here = {os.getcwd()[len(folder) + 1:].split("/")[0]} | shown | {"scratch", ".pyenv", os.getcwd().split("/")[2]}
        print("held" if set(found) <= here else "REACHED", folder, found)
""",
    needs="hidden-files",
    prepare=host_files,
)
attack(
    "walk-for-writable-places",
    "Find a folder or file beside scratch and /dev/shm that can be written to.",
    "read-only mounts",
    """
scratch = os.getcwd()
found = []
for top, folders, names in os.walk("/"):
    if top in ("/proc", "/sys", scratch, "/dev/shm", "/dev/pts", "/dev/mqueue") or top.startswith("/usr/share/"):
        folders[:] = []
        continue
    if os.access(top, os.W_OK): found.append(top)
    if not top.startswith(("/usr", "/lib")):
        found += [os.path.join(top, n) for n in names if os.access(os.path.join(top, n), os.W_OK)]
found = [p for p in found if not (p.startswith("/dev/") and not os.path.isfile(p) and not os.path.isdir(p))]
found = [p for p in found if not os.path.islink(p)]
tried = []
for path in found:
    try:
        if os.path.isdir(path):
            open(os.path.join(path, "probe-x"), "x").close(); tried.append(path)
        else:
            open(path, "ab").close(); tried.append(path)
    except OSError: pass
allowed = {os.path.dirname(scratch)}
print("REACHED" if set(tried) - allowed else "held", tried, found)
""",
    needs="read-only",
    limits={"wall_s": 60.0},
)
attack(
    "writes-beside-scratch",
    "Leave a file beside scratch for the next program.",
    "read-only mounts, wipe",
    """
for folder in ("..", os.path.dirname(os.path.dirname(sys.executable)), "/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/run", "/etc", os.path.expanduser("~"), "/", "/dev",
               "/dev/mqueue", sys.prefix, os.path.dirname(os.__file__)):
    try: open(os.path.join(folder, "r1ci-left"), "w").write("x")
    except OSError: pass
""",
    look="""
for folder in (".", "..", "/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/run", "/etc", "/", "/dev", "/dev/mqueue",
               os.path.expanduser("~"), sys.prefix, os.path.dirname(os.__file__)):
    attempt(folder, lambda: os.stat(os.path.join(folder, "r1ci-left")))
""",
    control=True,
    needs="read-only scratch",
)
attack(
    "links-in-scratch",
    "Make the wipe follow links out of scratch, to the interpreter's library and /dev/shm.",
    "wipe without following links",
    """
os.symlink("/", "root"); os.symlink("/usr", "usr"); os.symlink(os.path.dirname(os.__file__), "library")
os.symlink("loop", "loop"); os.symlink("..", "up"); os.mkdir("folder"); os.symlink("/proc/self/root", "folder/proc")
try: os.link("/etc/passwd", "hard")
except OSError: pass
os.chmod("folder", 0)
""",
    look="""
import json, email
attempt("link", lambda: os.lstat("root"))
print("held" if os.path.exists("/usr/bin/env") and os.path.exists(os.__file__) else "REACHED: the library is gone")
""",
    control=True,
)
attack(
    "replaced-scratch",
    "Rename scratch, or replace it with a link, so that the next program runs elsewhere.",
    "ownership of the parent, wipe",
    """
here = os.getcwd()
for act in (lambda: os.rename(here, here + "2"), lambda: os.symlink("/usr", here), lambda: os.rmdir(here),
            lambda: os.symlink("/dev/shm", here), lambda: os.mkdir(here, 0o777)):
    try: act()
    except OSError: pass
""",
    look="""
print("held", os.getcwd())
print("REACHED" if os.path.islink(os.getcwd()) or os.path.realpath(".") != os.getcwd() or os.path.exists(os.getcwd() + "2")
      or os.getcwd().startswith("/dev/shm") or os.listdir(".") else "held")
""",
)
attack(
    "unremovable-folders",
    "Leave what is hard to remove: closed folders, 1,000 levels, odd names, immutable files.",
    "wipe, else a new slot",
    """
import fcntl
os.makedirs("closed/inner/deep"); open("closed/inner/file", "w").close()
for folder in ("closed/inner/deep", "closed/inner", "closed"): os.chmod(folder, 0)
for name in (b"new\\nline", b"\\xff\\xfe", b"-rf", b"*", b"x" * 255): open(name, "w").close()
for path in ("immutable", "append"):
    with open(path, "w") as file:
        for flag in (0x10, 0x20):
            try: fcntl.ioctl(file, 0x40086602, struct.pack("l", flag))
            except OSError: pass
os.mkfifo("fifo"); socket.socket(socket.AF_UNIX).bind("socket")
top = os.getcwd()
for _ in range(1000): os.mkdir("d" * 20); os.chdir("d" * 20)
os.chmod(top, 0)
""",
    held=ended(OK),
)
attack(
    "unremovable-in-shared-memory",
    "The same in /dev/shm, with a file held open and mapped by a process that detached itself.",
    "kill of all, wipe",
    """
import mmap
os.makedirs("/dev/shm/closed/inner"); os.chmod("/dev/shm/closed/inner", 0); os.chmod("/dev/shm/closed", 0)
file = open("/dev/shm/held", "wb+"); file.write(b"x" * 4096); file.flush()
kept = mmap.mmap(file.fileno(), 4096)
if os.fork() == 0:
    os.setsid(); time.sleep(100)
""",
    held=ended(OK),
    look="""attempt("held", lambda: os.stat("/dev/shm/held")); attempt("closed", lambda: os.stat("/dev/shm/closed"))""",
    needs="file-budget",
)
attack(
    "device-nodes",
    "Make device nodes and open the host's disks.",
    "capabilities, mounts of the jail",
    """
attempt("mknod", lambda: os.mknod("device", 0o600 | 0o020000, os.makedev(1, 1)))
attempt("block", lambda: os.mknod("block", 0o600 | 0o060000, os.makedev(8, 0)))
for path in ("/dev/sda", "/dev/vda", "/dev/mem", "/dev/port", "/dev/kvm", "/dev/fuse", "/dev/vsock", "/dev/net/tun",
             "/dev/loop-control", "/dev/vhost-vsock", "/dev/userfaultfd", "/dev/nvidia0"):
    attempt(path, lambda: os.open(path, os.O_RDWR))
""",
    needs="hidden-files",
)
attack(
    "handles",
    "Open files by handle, past the mounts.",
    "our filter, capabilities",
    """
attempt("name", lambda: call("name_to_handle_at", -100, b"/", ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 200),
                             ctypes.byref(ctypes.c_int()), 0))
attempt("open", lambda: call("open_by_handle_at", -100, ctypes.create_string_buffer(struct.pack("IiQ", 8, 1, 2), 200), 0))
""",
)

# Other processes.

attack(
    "zygote-in-proc",
    "Read the memory, environment, descriptors and files of the zygote and of the jail's init.",
    "PR_SET_DUMPABLE, user ids",
    """
for pid in {above, 1} | set(others):
    for name in ("mem", "environ", "maps", "auxv", "root", "cwd", "exe", "fd/0", "fd/3", "fd/4", "syscall", "stack"):
        path = f"/proc/{pid}/{name}"
        if name in ("root", "cwd", "exe"): attempt(path, lambda: os.listdir(path) if name != "exe" else os.readlink(path))
        elif name in ("environ", "auxv", "syscall", "stack"): attempt(path, lambda: open(path, "rb").read(99) or os.stat("/-"))
        else: attempt(path, lambda: open(path, "rb"))
    attempt(("fd", pid), lambda: os.listdir(f"/proc/{pid}/fd"))
    for name in ("mem", "oom_score_adj", "comm", "clear_refs", "coredump_filter", "uid_map", "autogroup"):
        attempt((pid, name), lambda: os.write(os.open(f"/proc/{pid}/{name}", os.O_WRONLY), b"0"))
""",
    needs="processes",
)
attack(
    "proc-settings",
    "Change the kernel through /proc and /sys.",
    "read-only mounts, user ids",
    """
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches",
             "/proc/sys/kernel/modprobe", "/proc/sys/fs/binfmt_misc/register", "/proc/sys/kernel/ns_last_pid",
             "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs", "/proc/1/oom_score_adj", "/proc/self/uid_map",
             "/proc/self/gid_map"):
    attempt(path, lambda: os.write(os.open(path, os.O_WRONLY), b"1"))
attempt("less likely to be killed", lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000"))
""",
)
attack(
    "descriptors",
    "Find inherited descriptors beside its streams: the control socket above all.",
    "close of all in the child",
    """
import fcntl, stat
for fd in map(int, os.listdir("/proc/self/fd")):
    try: mode = os.fstat(fd).st_mode
    except OSError: continue
    known = fd in (0, 1, 2, 250, 251)
    kind = "REACHED" if stat.S_ISSOCK(mode) or not known and fd > 8 or fd > 251 else "held"
    print(kind, fd, os.readlink(f"/proc/self/fd/{fd}"))
    if fd in (1, 2, 250, 251):
        attempt("read " + str(fd), lambda: os.read(fd, 10))
for fd in range(3, 300):
    try: socket.socket(fileno=os.dup(fd)).send(b"done 0 0 0 exit -")
    except OSError: pass
    else: print("REACHED: a socket at", fd)
""",
)
attack(
    "reopened-pipes",
    "Open its pipes anew through /proc, to read what the host is to read, or to keep them open.",
    "the kernel: the host drains and stops at the program's end",
    """
for fd in (1, 2):
    try:
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_NONBLOCK)
        os.read(again, 100)
    except OSError: pass
if os.fork() == 0:
    os.setsid()
    while True: time.sleep(1)
""",
    held=ended(OK),
)
attack(
    "host-process",
    "Look into, signal and change a process of the host.",
    "PID namespace, user ids, our filter",
    """
for pid in (settings["host_pid"], settings["host_self"]):
    attempt("environ", lambda: open(f"/proc/{pid}/environ").read() if os.path.exists(f"/proc/{pid}") else os.stat("/-"))
    attempt("signal", lambda: os.kill(pid, signal.SIGTERM))
    attempt("read", lambda: call("process_vm_readv", pid, 0, 0, 0, 0, 0))
    attempt("limits", lambda: call("prlimit64", pid, 7, 0, ctypes.create_string_buffer(16)))
""",
    needs="processes",
    prepare=host_process,
)

ZYGOTE_SIGNALS = """
import threading
targets = sorted({above, 1, -1, -above, 0} | set(others) - {os.getpid()})
signal.signal(settings["signal"], signal.SIG_IGN) if settings["signal"] not in (9, 19) else None
def hit():
    for pid in targets:
        if pid == 0: continue
        try: os.kill(pid, settings["signal"])
        except OSError as error: print("held", error, flush=True)
        else: print("sent", pid, flush=True)
        if pid <= 0: continue
        info = ctypes.create_string_buffer(struct.pack("iii", settings["signal"], 0, -1), 128)
        for act in (lambda: call("tkill", pid, settings["signal"]),
                    lambda: call("tgkill", pid, pid, settings["signal"]),
                    lambda: call("rt_sigqueueinfo", pid, settings["signal"], info),
                    lambda: call("rt_tgsigqueueinfo", pid, pid, settings["signal"], info),
                    lambda: call("pidfd_send_signal", os.pidfd_open(pid), settings["signal"], 0, 0)):
            try: act()
            except OSError as error: print("held", error, flush=True)
            else: print("REACHED", pid, flush=True)
hit()
raise SystemExit(5)
"""


def _signals(number: int) -> None:
    @contextlib.contextmanager
    def prepare() -> Iterator[dict[str, object]]:
        yield {"signal": number}

    def held(result: ExecutionResult) -> bool:
        # Whoever signals everybody may meet itself, and in a jail nobody else.
        return (result.status is ERROR and result.exit_code in (5, -number)) and "REACHED" not in result.stdout

    attack(
        f"signal-{number}-to-everybody",
        f"Send signal {number} to zygote, init, their groups and everybody, in each way there is.",
        "user ids, or our signal filter",
        ZYGOTE_SIGNALS,
        needs="processes",
        held=held,
        prepare=prepare,
    )


for _number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGUSR1):
    _signals(int(_number))

attack(
    "change-the-zygote",
    "Change limits, processors, priority and scheduling of the zygote.",
    "our filter, user ids",
    """
for pid in {above, 1}:
    attempt("prlimit", lambda: call("prlimit64", pid, 7, ctypes.create_string_buffer(struct.pack("QQ", 1, 1)), 0))
    attempt("read limits", lambda: call("prlimit64", pid, 7, 0, ctypes.create_string_buffer(16)))
    attempt("affinity", lambda: os.sched_setaffinity(pid, {0}))
    attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
    attempt("scheduler", lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)))
    attempt("io priority", lambda: call("ioprio_set", 1, pid, 3 << 13))
    attempt("group", lambda: os.setpgid(pid, pid))
attempt("own priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
attempt("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10)))
attempt("higher limit", lambda: call("prlimit64", 0, 9, ctypes.create_string_buffer(struct.pack("QQ", 2**63, 2**63)), 0))
""",
)
attack(
    "debug-the-zygote",
    "Attach to the zygote, read its memory, take its descriptors.",
    "our filter, PR_SET_DUMPABLE, user ids",
    """
buffer = ctypes.create_string_buffer(64)
vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
attempt("own control of the call", lambda: os.stat("/-"))
for pid in {above, 1}:
    attempt("attach", lambda: call("ptrace", 16, pid, 0, 0))
    attempt("seize", lambda: call("ptrace", 0x4206, pid, 0, 0))
    attempt("readv", lambda: call("process_vm_readv", pid, ctypes.byref(vector), 1, ctypes.byref(vector), 1, 0))
    attempt("getfd", lambda: call("pidfd_getfd", os.pidfd_open(pid), 0, 0))
    attempt("kcmp", lambda: call("kcmp", pid, os.getpid(), 0, 0, 0))
    attempt("madvise", lambda: call("process_madvise", os.pidfd_open(pid), ctypes.byref(vector), 1, 21, 0))
attempt("be traced", lambda: call("ptrace", 0, 0, 0, 0))
""",
)

# Privileges and the kernel.

attack(
    "namespaces",
    "Make or enter namespaces, by each call that can.",
    "our filter",
    """
for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000, 0x00000080):
    attempt(("unshare", hex(flag)), lambda: in_child(lambda: call("unshare", flag)))
    def clone():
        pid = call("clone", flag | 17, 0, 0, 0, 0)
        if pid == 0: os._exit(0)
    attempt(("clone", hex(flag)), clone)
    def clone3():
        pid = call("clone3", ctypes.create_string_buffer(struct.pack("8Q", flag, 0, 0, 0, 17, 0, 0, 0)), 64)
        if pid == 0: os._exit(0)
    attempt(("clone3", hex(flag)), clone3)
for pid in ("self", 1, above):
    for name in ("user", "mnt", "pid", "net"):
        attempt(("setns", pid, name), lambda: in_child(lambda: call("setns", os.open(f"/proc/{pid}/ns/{name}", 0), 0)))
""",
)
attack(
    "mounts",
    "Mount, unmount, change root.",
    "our filter, capabilities",
    """
attempt("mount", lambda: call("mount", b"none", b".", b"tmpfs", 0, 0))
attempt("remount", lambda: call("mount", b"none", b"/usr", b"", 0x1020, 0))
attempt("bind", lambda: call("mount", b"/", b".", b"", 0x1000, 0))
attempt("umount", lambda: call("umount2", b"/proc", 2))
attempt("pivot", lambda: call("pivot_root", b".", b"."))
attempt("chroot", lambda: in_child(lambda: os.chroot(".")))
attempt("fsopen", lambda: call("fsopen", b"tmpfs", 0))
attempt("open_tree", lambda: call("open_tree", -100, b"/", 1))
""",
)
attack(
    "become-somebody-else",
    "Change user, group and capabilities.",
    "capabilities, user ids",
    """
attempt("setuid", lambda: in_child(lambda: os.setuid(0)))
attempt("setgid", lambda: in_child(lambda: os.setgid(0)))
attempt("setgroups", lambda: in_child(lambda: os.setgroups([0])))
attempt("setresuid", lambda: in_child(lambda: os.setresuid(0, 0, 0)))
attempt("other", lambda: in_child(lambda: os.setresuid(12345, 12345, 12345)))
attempt("ambient", lambda: libc.prctl(47, 2, 21, 0, 0) == 0 or os.stat("/-"))
header, data = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0xFFFFFFFF] * 6)
attempt("capset", lambda: libc.capset(header, data) == 0 or os.stat("/-"))
attempt("filter off", lambda: libc.prctl(22, 0, 0, 0, 0) == 0 or os.stat("/-"))
attempt("privileges", lambda: libc.prctl(38, 0, 0, 0, 0) == 0 or os.stat("/-"))
attempt("chown", lambda: os.chown(".", 0, 0))
""",
    needs="capabilities",
)
attack(
    "setuid-binaries",
    "Become root by setuid files: su, mount, firejail, one of its own.",
    "no_new_privs",
    """
import shutil, subprocess
for name in ("su", "mount", "firejail", "sudo", "newgrp", "passwd", "bwrap", "pkexec", "ping"):
    path = shutil.which(name)
    if path is None: print("held: no", name); continue
    try: ran = subprocess.run([path, *(["-c", "id -u"] if name == "su" else ["--noprofile", "id", "-u"] if name == "firejail"
              else ["-n", "id", "-u"] if name == "sudo" else ["--unshare-user", "--ro-bind", "/", "/", "id", "-u"] if name == "bwrap"
              else ["--version"])], capture_output=True, stdin=subprocess.DEVNULL, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error: print("held", error); continue
    print("REACHED" if ran.stdout.strip() == b"0" else "held", name, ran.returncode, ran.stderr[-100:])
shutil.copy("/usr/bin/id", "id"); os.chmod("id", 0o6755)
try: print("REACHED" if subprocess.run(["./id", "-u"], capture_output=True).stdout.strip() == b"0" else "held")
except OSError as error: print("held", error)
""",
    needs="no-new-privileges",
    limits={"wall_s": 60.0},
)
attack(
    "kernel-interfaces",
    "Use interfaces with a history of holes, or that outlive the program: bpf, io_uring, userfaultfd, keyrings and more.",
    "our filter",
    """
attr = ctypes.create_string_buffer(128)
attempt("bpf", lambda: call("bpf", 0, attr, 128))
attempt("io_uring", lambda: call("io_uring_setup", 8, attr))
attempt("userfaultfd", lambda: call("userfaultfd", 1))
attempt("perf", lambda: call("perf_event_open", attr, 0, -1, -1, 0))
attempt("fanotify", lambda: call("fanotify_init", 0, 0))
attempt("memfd", lambda: call("memfd_create", b"x", 0))
attempt("memfd_secret", lambda: call("memfd_secret", 0))
attempt("keyctl", lambda: call("keyctl", 0, -4, 1))
attempt("add_key", lambda: call("add_key", b"user", b"left", b"x", 1, -4))
attempt("request_key", lambda: call("request_key", b"user", b"left", 0, -4))
attempt("personality", lambda: call("personality", 0x0040000))
attempt("syslog", lambda: call("syslog", 3, attr, 128))
attempt("module", lambda: call("init_module", attr, 128, b""))
attempt("kexec", lambda: call("kexec_load", 0, 0, 0, 0))
attempt("quota", lambda: call("quotactl", 0, 0, 0, 0))
attempt("swap", lambda: call("swapon", b"/swap", 0))
attempt("domain", lambda: call("setdomainname", b"x", 1))
attempt("clock", lambda: time.clock_settime(time.CLOCK_REALTIME, 0))
attempt("adjtimex", lambda: call("adjtimex", attr))
attempt("accounting", lambda: call("acct", 0))
""",
)
attack(
    "foreign-system-calls",
    "Get past the filter by the numbers of another architecture (x32), with high halves of arguments set.",
    "our filter",
    """
libc.syscall.restype = ctypes.c_long
def plain(*arguments):
    if libc.syscall(*map(ctypes.c_long, arguments)) == -1: raise OSError(ctypes.get_errno(), "denied")
attempt("x32 getpid", lambda: plain(0x40000000 | 39))
attempt("x32 ptrace", lambda: plain(0x40000000 | 521, 16, above, 0, 0))
attempt("unshare by clone with high bits", lambda: plain(56 if platform.machine() == "x86_64" else 220, 1 << 40 | 0x10000000 | 17, 0, 0, 0, 0))
""",
    needs="processes",
)
attack(
    "terminal-input",
    "Type into a terminal of the host.",
    "no terminal, our filter",
    """
import fcntl
for fd in (0, 1, 2): attempt("TIOCSTI", lambda: fcntl.ioctl(fd, 0x5412, b"x"))
attempt("tty", lambda: os.open("/dev/tty", os.O_RDWR))
attempt("console", lambda: os.open("/dev/console", os.O_RDWR))
""",
)

# What is left for the next program.

attack(
    "memory-of-the-previous-program",
    "Find a secret of the previous program in its own memory, which is a copy of the zygote's.",
    "the zygote never holds code or data",
    """
secret = "r1ci-secret-" + "5eed5eed" * 4
print(len(secret)); copies = [secret + str(i) for i in range(1000)]
os.environ["LEFT"] = secret
""",
    look="""
import re
pattern = re.compile(rb"r1ci-sec" + rb"ret-(?:5eed){8}")
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
    for line in maps:
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if "r" in line.split()[1] and "[v" not in line:
            try: memory.seek(begin); data = memory.read(end - begin)
            except (OSError, ValueError, OverflowError): continue
            found += len(pattern.findall(data)); del data
print("REACHED" if found else "held", found)
""",
    control=True,
)
attack(
    "system-v-and-message-queues",
    "Leave SysV shared memory, semaphores, message queues and POSIX ones.",
    "our filter",
    """
attempt("shm", lambda: call("shmget", settings["key"], 4096, 0o1666))
attempt("sem", lambda: call("semget", settings["key"], 1, 0o1666))
attempt("msg", lambda: call("msgget", settings["key"], 0o1666))
attempt("mqueue", lambda: call("mq_open", b"left", 0o102, 0o666, 0))
""",
    prepare=host_system_v,
)
attack(
    "abstract-socket",
    "Leave an abstract socket and a process that holds it.",
    "kill of all",
    """
left = socket.socket(socket.AF_UNIX); left.bind("\\0" + settings["socket"] + "-left"); left.listen()
if os.fork() == 0: os.setsid(); time.sleep(100)
""",
    look="""attempt("connect", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + settings["socket"] + "-left"))""",
    control=True,
    prepare=host_abstract_socket,
)
attack(
    "start-up-files",
    "Make the next program import its code: sitecustomize, usercustomize, .pth, modules that shadow the library's.",
    "wipe, a fixed import path",
    """
import site
text = "open('/proc/self/comm', 'w').write('r1ci-evil'); print('REACHED')"
for name in ("sitecustomize", "usercustomize", "random", "json", "os", "traceback", "colorsys", "encodings", "codecs"):
    for folder in (".", "..", os.path.expanduser("~"), "/dev/shm", "/tmp"):
        try: open(os.path.join(folder, name + ".py"), "w").write(text)
        except OSError: pass
for folder in {site.getusersitepackages(), os.path.dirname(os.__file__), *sys.path}:
    try:
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, "left.pth"), "w").write("import os; print('REACHED')")
    except OSError: pass
for name in (".pythonrc", ".profile", ".bashrc", ".pdbrc", ".inputrc"): open(name, "w").write(text)
sys.path.insert(0, "/dev/shm"); sys.meta_path.insert(0, None); sys.modules["colorsys"] = sys.modules["os"]
""",
    look="""
import colorsys, random, json, traceback, subprocess
print("held" if hasattr(colorsys, "rgb_to_hsv") else "REACHED")
print(subprocess.run([sys.executable, "-c", "import colorsys; print('held')"], capture_output=True, text=True).stdout)
""",
    needs="read-only scratch",  # or it would leave them on the host for good
)
attack(
    "state-of-the-interpreter",
    "Leave the interpreter changed: builtins, modules, hooks, locale, signals, umask, random state, limits, environment.",
    "fork: each program has a copy",
    """
import builtins, gc, locale, random, resource, threading, atexit, json, warnings, decimal
builtins.print_ = print; builtins.sum = lambda *a: 7; json.dumps = None; sys.setrecursionlimit(99); os.umask(0)
random.seed(5); signal.signal(signal.SIGTERM, signal.SIG_IGN); os.environ["LEFT"] = "x"; gc.disable()
sys.settrace(lambda *a: None); sys.excepthook = None; decimal.getcontext().prec = 3; os.chdir("/"); os.nice(5)
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)); signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
atexit.register(lambda: open("/dev/shm/late", "w") if False else None)
signal.setitimer(signal.ITIMER_REAL, 1000)
ctypes.memset(id(256) + 24, 1, 1)
""",
    look="""
import builtins, gc, json, random, resource, decimal
bad = [hasattr(builtins, "print_"), sum([1]) != 1, json.dumps([]) != "[]", sys.getrecursionlimit() == 99, "LEFT" in os.environ,
       os.umask(0o22) == 0, signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, not gc.isenabled(), os.getcwd() == "/",
       decimal.getcontext().prec == 3, os.nice(0) == 5, resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 20,
       signal.SIGALRM in signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getitimer(signal.ITIMER_REAL)[0] > 0, 255 + 1 != 256]
print("REACHED" if any(bad) else "held", bad)
""",
    control=False,
)
attack(
    "locks-and-owners",
    "Leave file locks, leases and owners on files that the next program uses.",
    "kill of all, wipe",
    """
import fcntl
for path in (os.__file__, "/etc/passwd", "/dev/null"):
    try: fcntl.flock(open(path), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError: pass
kept = open("/etc/passwd"); fcntl.flock(kept, fcntl.LOCK_EX)
if os.fork() == 0: os.setsid(); time.sleep(100)
""",
    look="""
import fcntl
kept = open("/etc/passwd"); fcntl.flock(kept, fcntl.LOCK_EX | fcntl.LOCK_NB); print("held")
""",
    needs="processes",
)
attack(
    "daemons",
    "Leave processes that detached themselves, and that fork all the time.",
    "kill of all until none is left",
    daemon_code("r1ci-attack")
    + """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        while True:
            if os.fork() != 0: os._exit(0)
""",
    held=ended(OK),
    limits={"processes": 30},
)

# Taking everything.

for _name, _code, _held, _needs, _limits in (
    ("one-process", "x = []\nwhile True: x.append(bytearray(1 << 20))", ended(MEMORY), "", {}),
    (
        "ten-processes",
        "for _ in range(10):\n  if os.fork() == 0: break\nb = bytearray(60 << 20); time.sleep(30)",
        ended(MEMORY),
        "",
        {},
    ),
    (
        "shared-mapping",
        "import mmap\nm = mmap.mmap(-1, 400 << 20)\n"
        "for i in range(0, 400 << 20, 4096): m[i] = 1\ntime.sleep(9)\nprint('REACHED')",
        ended(MEMORY, ERROR),
        "",
        {},
    ),
    (
        "shared-mappings-of-children",
        "import mmap\nfor _ in range(8):\n  m = mmap.mmap(-1, 60 << 20)\n  if os.fork() == 0: break\n"
        "for i in range(0, 60 << 20, 4096): m[i] = 1\ntime.sleep(9)\nprint('REACHED')",
        ended(MEMORY),
        "",
        {},
    ),
    (
        "files-in-shared-memory",
        "for i in range(1000): open(f'/dev/shm/{i}', 'wb').write(b'x' * (8 << 20))\nprint('REACHED')",
        ended(MEMORY),
        "file-budget",
        {},
    ),
    (
        "deleted-files",
        "kept = []\nfor i in range(200):\n  f = open('f', 'wb'); f.write(b'x' * (8 << 20)); f.flush(); kept.append(f)\n"
        "  os.unlink('f')\nprint('REACHED')",
        ended(MEMORY),
        "file-budget",
        {},
    ),
    ("inodes", "for i in range(10**7): open(f'{i}', 'w').close()", ended(MEMORY), "file-budget", {"memory_mb": 30}),
    (
        "big-file",
        "f = open('big', 'wb')\nwhile True: f.write(b'x' * (1 << 20)); f.flush()",
        ended(ERROR, MEMORY),
        "",
        {"file_mb": 8},
    ),
    (
        "sparse-file",
        "attempt('truncate', lambda: open('sparse', 'wb').truncate(1 << 40))\n"
        "attempt('fallocate', lambda: os.posix_fallocate(os.open('s', os.O_CREAT | os.O_RDWR), 0, 1 << 32))",
        ended(OK, ERROR),
        "",
        {"file_mb": 8},
    ),
    (
        "zip-bomb",
        "import zlib\ndata = zlib.compress(bytes(50 << 20))\nx = [zlib.decompress(data) for _ in range(20)]",
        ended(MEMORY),
        "",
        {},
    ),
    (
        "huge-arguments",
        "attempt('exec', lambda: os.execv('/bin/true', ['x' * (1 << 22)]))\n"
        "import subprocess\ntry: subprocess.run(['/bin/true'] + ['x' * 100000] * 100)\nexcept OSError as e: print('held', e)",
        ended(OK),
        "",
        {},
    ),
    ("deep-recursion", "sys.setrecursionlimit(10**9)\ndef f(): return f() + 1\nf()", ended(ERROR, MEMORY), "", {}),
    (
        "deep-c-recursion",
        "import pickle\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**5): x = [x]\nrepr(x)",
        ended(ERROR, MEMORY),
        "",
        {},
    ),
    (
        "threads",
        "import threading\nfor _ in range(10**4): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        ended(ERROR, MEMORY),
        "process-limit",
        {},
    ),
    (
        "fork-bomb",
        "while True: os.fork()",
        ended(ERROR, TIMEOUT, MEMORY),
        "process-limit",
        {"processes": 20, "wall_s": 3},
    ),
    (
        "fork-bomb-that-ignores-errors",
        "while True:\n  try: os.fork()\n  except OSError: pass",
        ended(TIMEOUT, ERROR, MEMORY),
        "process-limit",
        {"processes": 20, "wall_s": 1},
    ),
    (
        "descriptors",
        "kept = []\nwhile True:\n  try: kept.append(os.dup(0))\n  except OSError as e: print('held', e); break\n"
        "print('REACHED' if len(kept) > 300 else 'held', len(kept))",
        ended(OK),
        "",
        {},
    ),
    (
        "output-of-a-gigabyte",
        "while True: os.write(1, b'x' * (1 << 20))",
        ended(OUTPUT),
        "",
        {"output_bytes": 10_000, "wall_s": 30},
    ),
    (
        "error-output-of-a-gigabyte",
        "while True: os.write(2, b'x' * (1 << 20))",
        ended(OUTPUT),
        "",
        {"output_bytes": 10_000, "wall_s": 30},
    ),
    (
        "order-marks-without-end",
        "while True: os.write(250, b'x' * (1 << 16))",
        ended(OUTPUT, ERROR),
        "",
        {"output_bytes": 10_000, "wall_s": 30},
    ),
    (
        "order-marks-of-nothing",
        "data = (sys.stderr.buffer.token + b'00000000') * 1000\nwhile True: os.write(250, data)",
        ended(OUTPUT, ERROR),
        "",
        {"output_bytes": 10_000, "wall_s": 30},
    ),
    (
        "marks-without-end",
        "while True:\n  try: os.write(251, b'm' * (1 << 16))\n  except OSError as e: print('held', e); break",
        ended(OK, TIMEOUT, ERROR),
        "",
        {"wall_s": 1},
    ),
    (
        "empty-writes-to-stderr",
        "while True: sys.stderr.write('x')",
        ended(OUTPUT, TIMEOUT),
        "",
        {"output_bytes": 1000, "wall_s": 2},
    ),
):
    attack(
        f"exhaust-{_name}",
        "Take all memory, files, processes, descriptors or output.",
        "limits of the kernel, watchdog, capped draining",
        _code,
        needs=_needs,
        held=_held,
        limits={"memory_mb": 200, **_limits},
    )

# The pipes and the report.

attack(
    "forged-report",
    "Write the zygote's report itself, on every descriptor that there is, and say that all went well.",
    "the report's socket is not the program's; the status is the kernel's",
    """
for fd in range(3, 300):
    for text in (b"done 0.1 0.1 0 exit -", b"ready 1", b"stop", b"s", b"g"):
        try: os.write(fd, text)
        except OSError: pass
print("done 0.1 0.1 0 exit -")
raise SystemExit(5)
""",
    held=lambda result: (result.status, result.exit_code) == (ERROR, 5),
)
attack(
    "forged-memory-mark",
    "Claim that memory ran out, and end well, or the other way round.",
    "the mark counts only with a failing status",
    """os.write(251, b"m"); print("held")""",
)
attack(
    "forged-order-marks",
    "Forge, cut and repeat the marks that put stdout and stderr in order, learnt from sys.stderr.",
    "marks have no meaning but order; sizes are bounded by what there is",
    """
token = sys.stderr.buffer.token
for tail in (b"ffffffff", b"zzzzzzzz", b"-0000001", b"00", b"        ", b"0x000001", b"_1_1_1_1"):
    os.write(250, token + tail); os.write(1, token + tail); os.write(250, token[:9])
print("held", file=sys.stderr); print("held")
os.close(250)
print("held again", file=sys.stderr)
""",
    held=lambda result: (
        result.status is OK
        and "held" in result.stdout
        and "held again" in result.stderr
        and "held again" in result.output
    ),
)
attack(
    "closed-pipes",
    "Close its streams, or point them elsewhere.",
    "the report does not need them",
    """
for fd in (0, 1, 2, 250, 251): os.close(fd)
os.open("/dev/null", os.O_RDWR); os.open("/dev/null", os.O_RDWR)
raise SystemExit(5)
""",
    held=lambda result: (result.status, result.exit_code) == (ERROR, 5),
)
attack(
    "blocked-pipes",
    "Make its pipes small and blocking or full, so that the host waits.",
    "the host reads without blocking",
    """
import fcntl
for fd in (1, 2):
    try: fcntl.fcntl(fd, 1031, 4096)
    except OSError: pass
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True: os.write(fd, b"x" * 4096)
    except OSError: pass
""",
    held=ended(OK, OUTPUT),
)
attack(
    "the-canarys-own-output",
    "Print what the canary prints.",
    "the canary's answer is read only in a new slot",
    canary.program([], []) + "raise SystemExit(4)",
    held=lambda result: (result.status, result.exit_code) == (ERROR, 4),
    needs="namespaces",
)
for _name, _code in ENDLESS.items():
    attack(
        f"never-ends-{_name}",
        "Never end.",
        "SIGKILL at the deadline",
        _code,
        held=ended(TIMEOUT),
        limits={"wall_s": 0.3},
    )
attack(
    "never-ends-vfork",
    "Never end, in processes that the zygote has to find: vfork, threads, stopped ones.",
    "SIGKILL to all at the deadline",
    """
import threading
for _ in range(3):
    if os.fork() == 0:
        os.setsid(); signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); os.kill(os.getpid(), 19)
threading.Thread(target=lambda: exec("while True: pass"), daemon=True).start()
libc.vfork and time.sleep(60)
""",
    held=ended(TIMEOUT),
    limits={"wall_s": 0.5},
)
for _name, _code, _status in (
    ("os-exit", "os._exit(0)", OK),
    ("segmentation-fault", "ctypes.string_at(0)", ERROR),
    ("bad-system-call", "os.kill(os.getpid(), signal.SIGSYS)", ERROR),
    ("replaced-by-another-program", "os.execv('/bin/echo', ['echo', 'done 0 0 0 exit -'])", OK),
    ("replaced-streams", "sys.stdout = sys.stderr = None; os._exit(0)", OK),
    ("stdin-reads", "sys.stdin.read(); os.read(0, 10)", OK),
    ("hash-bomb", "x = {i * (2**61 - 1): 0 for i in range(5000)}", OK),
):
    attack(
        f"ends-by-{_name}",
        "End in an odd way.",
        "the status comes from the kernel",
        _code,
        held=ended(_status),
    )
