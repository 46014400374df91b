"""The backend without a jail: only resource limits and a system-call filter. Used only if a recipe asks for it.

It is for machines where no jail can be started, and for programs that are trusted: files and the network of the host
are open to them. The results say ``rlimits``.
"""

import os
import stat
import tempfile
from pathlib import Path

from r1ci_plugins.errors import SandboxUnavailable
from r1ci_plugins.sandbox.interpreter import Interpreter, find_interpreter
from r1ci_plugins.sandbox.jail import Jail
from r1ci_plugins.sandbox.pool import SlotPool


def unreachable(interpreter: Interpreter) -> Path | None:
    """The first folder on the way to the interpreter that other users may not enter."""
    for place in (interpreter.executable, *map(Path, interpreter.import_path)):
        for folder in reversed([place, *place.parents]):
            if folder.is_dir() and not folder.stat().st_mode & stat.S_IXOTH:
                return folder
    return None


class RlimitsSandbox(SlotPool):
    """A pool without jails (see ``SlotPool``): programs have limits, but the host is not hidden from them."""

    isolation = "rlimits"

    def find_jail(self) -> Jail:
        """Find Python; SandboxUnavailable if it is missing, or this is root and other users may not read it."""
        as_root = os.geteuid() == 0
        interpreter = find_interpreter(self.python)
        if as_root and (closed := unreachable(interpreter)):
            raise SandboxUnavailable(
                f"programs run as another user, who may not enter {closed}, where Python is",
                where=self.python,
                fix="set sandbox.python to one that everybody may use, such as /usr/bin/python3",
            )
        return Jail(
            isolation=self.isolation,
            interpreter=interpreter,
            wrapper=(),
            home=tempfile.gettempdir(),
            separate=(),
            own_user=as_root,
            filtered=False,
            capabilities=None,
            wiped=(),
            other_processes=0 if as_root else None,
            checks=frozenset({"seccomp", "no-new-privileges", "capabilities", "environment", "scratch"}),
            not_covered=(
                f"files of the host that {'everybody' if as_root else 'this user'} can read or write",
                "the network",
                "processes of the host" if as_root else "processes of this user",
                "how much all files together hold",
                *([] if as_root else ["the number of processes"]),
                "programs that run at the same time",
            ),
        )

    def advice(self) -> str:
        """Where to look when a slot does not start."""
        return "see that the interpreter runs, and that the kernel supports seccomp filters"
