"""Attacks on files: the host's, and those of the next program."""

# ruff: noqa: E501 - programs as they are run
from r1ci_plugins.sandbox.checks.attacks.attack import Attack, ended, register_in
from r1ci_plugins.sandbox.checks.attacks.host import host_files
from r1ci_plugins.sandbox.checks.bench import OK

ATTACKS: list[Attack] = []
attack = register_in(ATTACKS)


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
    "read-only mounts, the wipe after each program",
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
    "the wipe, which follows no links",
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
    "the owner of the parent folder, the wipe",
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
      or os.getcwd().startswith("/dev/shm") or os.listdir(".") != ["main.py"] else "held")
""",
)
attack(
    "unremovable-folders",
    "Leave what is hard to remove: closed folders, 1,000 levels, odd names, immutable files.",
    "the wipe; if it fails, a new slot",
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
    "the kill of all its processes, the wipe",
    """
import mmap
os.makedirs("/dev/shm/closed/inner"); os.chmod("/dev/shm/closed/inner", 0); os.chmod("/dev/shm/closed", 0)
file = open("/dev/shm/held", "wb+"); file.write(b"x" * 4096); file.flush()
kept = mmap.mmap(file.fileno(), 4096)
if os.fork() == 0:
    os.setsid(); time.sleep(100)
""",
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
