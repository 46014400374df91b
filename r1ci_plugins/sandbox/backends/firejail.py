"""The firejail backend, the default and the one meant for a model's programs."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from r1ci_plugins.errors import SandboxUnavailable
from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.interpreter import Interpreter, find_interpreter
from r1ci_plugins.sandbox.jail import Jail
from r1ci_plugins.sandbox.pool import SlotPool

OLDEST_FIREJAIL = (0, 9, 72)  # the first with --restrict-namespaces; this module was tested with it
INSTALL = (
    "as root: apt-get install firejail (Debian, Ubuntu) or your distribution's package; without root, ask an "
    "administrator: firejail must be installed setuid root"
)
SHOWN_OF_ETC = ("/etc/passwd", "/etc/group", "/etc/localtime", "/etc/ld.so.cache", "/etc/alternatives")
LONGEST_ARGUMENT = 4096  # firejail 0.9.72 refuses 4,128 bytes and more

# What a zygote that is root keeps, and why; programs have none. Numbers from linux/capability.h.
ZYGOTE_CAPABILITIES = {
    "chown": 0,  # give scratch to the program's user
    "dac_override": 1,  # wipe what that user made unreadable
    "fowner": 3,
    "kill": 5,
    "setgid": 6,
    "setuid": 7,
    "sys_ptrace": 19,  # read how much memory its processes share
}
NOT_COVERED = (
    "memory in pipe and socket buffers",
    "disk reads, and what the kernel does for a program",
    "world-readable files of /usr",
    "holes in the kernel",
)


def firejail_version(binary: str) -> tuple[int, ...]:
    """Return firejail's version, or raise SandboxUnavailable if it does not say or is too old."""
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

    The interpreter's folders are shown read-only. An empty file system in memory replaces ``home``, the home directory
    of the user who runs firejail. If that is root, the zygote keeps the few capabilities that it needs to give
    programs another user; they never have any.
    """
    options = [
        *("--quiet", "--noprofile", "--net=none", "--ipc-namespace", "--restrict-namespaces", "--nonewprivs"),
        *("--nogroups", "--private-dev", "--private-tmp", "--private-cwd", "--machine-id", "--x11=none"),
        *("--dbus-user=none", "--dbus-system=none"),
        *("--nosound", "--no3d", "--novideo", "--nodvd", "--notv", "--nou2f", "--noinput"),
        # On top of firejail's own list: memory that no limit of ours sees, and io_uring.
        "--seccomp=memfd_create,memfd_secret,shmget,io_uring_setup,userfaultfd",
        "--seccomp.block-secondary",
        # --private-etc would copy these, 15 ms a jail.
        *(f"--whitelist={path}" for path in SHOWN_OF_ETC if os.path.exists(path)),
    ]
    options += [f"--caps.keep={','.join(ZYGOTE_CAPABILITIES)}"] if as_root else ["--caps.drop=all", "--noroot"]
    shown = interpreter.folders
    if not any(folder.is_relative_to(home) for folder in shown):
        options.append("--private")  # with a whitelist below the home directory it would silently hide that
    for folder in shown:
        if len(folder.parts) > 2:
            options.append(f"--whitelist={folder}")
        options.append(f"--read-only={folder}")
        if folder.is_relative_to(home):  # firejail lets this user write to the folders that lead to it
            options.append(f"--read-only={home / folder.relative_to(home).parts[0]}")
    # Firejail shows everything below / that is not named.
    visible = {"bin", "sbin", "usr", "etc", "dev", "proc", "tmp", "var", "run", "root", "home"}
    visible |= {folder.parts[1] for folder in shown}
    hidden = [f"/{name}" for name in sorted(os.listdir("/")) if name not in visible and not name.startswith("lib")]
    hidden += [f"/var/{name}" for name in sorted(os.listdir("/var")) if name not in ("tmp", "run", "lock", "log")]
    hidden += [path for path in ("/run/user", "/run/systemd", "/run/dbus", "/run/docker.sock") if os.path.exists(path)]
    hidden += interpreter.hidden_packages()
    options += [f"--blacklist={path}" for path in hidden]
    options += [f"--read-only={path}" for path in ("/tmp", "/var/tmp", "/run/lock")]
    return options


class FirejailSandbox(SlotPool):
    """A pool of firejail jails (see ``SlotPool``), for root and for ordinary users.

    A program sees the interpreter and its libraries, /usr, a few files of /etc, its scratch directory, /dev/shm, and
    loopback as the only network. If root starts it, the programs of each slot have an unprivileged user id of their
    own. If an ordinary user starts it, they run as that user, like their zygote, which a system-call filter protects.
    """

    isolation = "firejail"

    def find_jail(self) -> Jail:
        """Find firejail and Python; SandboxUnavailable if one is missing or too old, or this user cannot use it."""
        binary = shutil.which("firejail")
        if binary is None:
            raise SandboxUnavailable("firejail is not installed; programs are never run without it", fix=INSTALL)
        firejail_version(binary)
        try:
            home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        except KeyError as error:
            raise SandboxUnavailable(
                f"user id {os.getuid()} has no entry in the password file, which firejail needs",
                fix="add the user, for instance with useradd, or run as another one",
            ) from error
        as_root = os.geteuid() == 0
        interpreter = find_interpreter(self.python)
        jail = Jail(
            isolation=self.isolation,
            interpreter=interpreter,
            # Without "--", firejail 0.9.72 starts the program itself. With it, it leaves that to the login shell,
            # which may refuse (nologin), or stay between the jail's init and us.
            wrapper=(binary, *jail_options(interpreter, home, as_root)),
            home=str(home),
            separate=canary.NAMESPACES,
            own_user=as_root,
            filtered=True,
            capabilities=sum(1 << number for number in ZYGOTE_CAPABILITIES.values()) if as_root else 0,
            wiped=(str(home), "/dev/shm"),
            other_processes=0 if as_root else 2,  # the jail's init and the zygote
            checks=frozenset(canary.CHECKS),
            not_covered=NOT_COVERED,
        )
        if too_long := [argument for argument in jail.command if len(os.fsencode(argument)) > LONGEST_ARGUMENT]:
            raise SandboxUnavailable(
                f"firejail takes no argument of more than {LONGEST_ARGUMENT} bytes",
                where=f"{too_long[0][:100]}...",
                fix="install Python under a shorter path",
            )
        return jail

    def advice(self) -> str:
        """Where to look when a jail does not start or does not isolate."""
        return (
            "run `firejail --net=none --noprofile true` by hand and see what is wrong; in a container firejail needs "
            "CAP_SYS_ADMIN and a /proc with kernel threads"
        )
