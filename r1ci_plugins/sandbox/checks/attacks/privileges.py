"""Attacks on privileges and the kernel."""

# ruff: noqa: E501 - programs as they are run
from r1ci_plugins.sandbox.checks.attacks.attack import Attack, register_in

ATTACKS: list[Attack] = []
attack = register_in(ATTACKS)


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
