"""Attacks on other processes: the zygote, the jail's init, the host's."""

# ruff: noqa: E501 - programs as they are run
import signal
from contextlib import nullcontext

from r1ci_plugins.sandbox.checks.attacks.attack import Attack, ended, register_in
from r1ci_plugins.sandbox.checks.attacks.host import host_process
from r1ci_plugins.sandbox.checks.bench import ERROR, OK
from r1ci_plugins.sandbox.contract import ExecutionResult

ATTACKS: list[Attack] = []
attack = register_in(ATTACKS)


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
    "the child, which closes all other descriptors",
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
    "Reopen its pipes through /proc, to read what the host should read or to keep them open.",
    "the host, which reads until the program ends and no longer",
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
    def held(result: ExecutionResult) -> bool:
        # A program that signals everybody may hit itself; in a jail it hits nobody else.
        return (result.status is ERROR and result.exit_code in (5, -number)) and "REACHED" not in result.stdout

    attack(
        f"signal-{number}-to-everybody",
        f"Send signal {number} to zygote, init, their groups and everybody, in each way there is.",
        "user ids, or our signal filter",
        ZYGOTE_SIGNALS,
        needs="processes",
        held=held,
        prepare=lambda: nullcontext({"signal": number}),
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
