"""The bubblewrap backend, for machines without firejail. Used only if a recipe asks for it.

Bubblewrap provides namespaces and mounts. Only our own filter filters system calls.
"""

import os
import shutil
from pathlib import Path

from r1ci_plugins.errors import SandboxUnavailable
from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.backends.firejail import NOT_COVERED, SHOWN_OF_ETC, ZYGOTE_CAPABILITIES
from r1ci_plugins.sandbox.interpreter import Interpreter, find_interpreter
from r1ci_plugins.sandbox.jail import Jail
from r1ci_plugins.sandbox.pool import SlotPool

HOME = "/r1ci"


def jail_options(interpreter: Interpreter, as_root: bool) -> list[str]:
    """Return bubblewrap's options that make the jail. The interpreter's folders are shown read-only.

    For root there is no user namespace, and the zygote keeps its capabilities.
    """
    options = ["--die-with-parent", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    options += ["--unshare-cgroup-try", "--hostname", "sandbox", "--cap-drop", "ALL"]
    # Otherwise bwrap itself is init, and programs of the same user could inspect and control it despite our filter.
    options.append("--as-pid-1")
    if as_root:
        for name in ZYGOTE_CAPABILITIES:
            options += ["--cap-add", f"CAP_{name.upper()}"]
    else:
        options.append("--unshare-user")
    options += ["--ro-bind", "/usr", "/usr"]
    for name in sorted(os.listdir("/")):
        path = Path("/", name)
        if name in ("bin", "sbin") or name.startswith("lib"):
            options += (
                ["--symlink", os.readlink(path), str(path)] if path.is_symlink() else ["--ro-bind", *[str(path)] * 2]
            )
    options += ["--perms", "0755", "--dir", "/etc"]
    for shown in SHOWN_OF_ETC:
        options += ["--ro-bind-try", shown, shown]
    options += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]
    options += ["--tmpfs", "/tmp", "--tmpfs", HOME]
    for folder in interpreter.folders:
        for parent in reversed(folder.parents):  # bwrap would close them to others where the host does
            options += ["--perms", "0755", "--dir", str(parent)] if str(parent) not in ("/", "/tmp") else []
        options += ["--ro-bind", str(folder), str(folder)]
    for hidden in interpreter.hidden_packages():
        if os.path.isdir(hidden):
            options += ["--tmpfs", hidden, "--remount-ro", hidden]
        else:
            options += ["--ro-bind", "/dev/null", hidden]
    return [*options, "--remount-ro", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


class BubblewrapSandbox(SlotPool):
    """A pool of bubblewrap jails (see ``SlotPool``), for root and for users who may use user namespaces."""

    isolation = "bwrap"

    def find_jail(self) -> Jail:
        """Find bwrap and Python; SandboxUnavailable if one is missing."""
        binary = shutil.which("bwrap")
        if binary is None:
            raise SandboxUnavailable(
                "bubblewrap is not installed", fix="as root: apt-get install bubblewrap, or use the backend firejail"
            )
        as_root = os.geteuid() == 0
        interpreter = find_interpreter(self.python)
        return Jail(
            isolation=self.isolation,
            interpreter=interpreter,
            wrapper=(binary, *jail_options(interpreter, as_root), "--"),
            home=HOME,
            separate=canary.NAMESPACES,
            own_user=as_root,
            filtered=False,
            capabilities=sum(1 << number for number in ZYGOTE_CAPABILITIES.values()) if as_root else 0,
            wiped=(HOME, "/dev/shm"),
            other_processes=0 if as_root else 1,  # the zygote
            checks=frozenset(canary.CHECKS),
            not_covered=("a second filter of system calls beneath ours, which firejail has", *NOT_COVERED),
        )

    def advice(self) -> str:
        """Where to look when a jail does not start or does not isolate."""
        return (
            "run `bwrap --unshare-all --ro-bind / / true` by hand and see what is wrong; without root bubblewrap "
            "needs user namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)"
        )
