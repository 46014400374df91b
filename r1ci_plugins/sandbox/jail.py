"""What a backend says about its jail: how to start Python in it, and what must hold there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from r1ci_plugins.sandbox.interpreter import Interpreter

# All that a program finds in its environment; HOME and TMPDIR become its scratch directory.
VARIABLES = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "",
    "TMPDIR": "",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}

# The zygote's text comes through fd 0 in one packet.
BOOTSTRAP = "import os;exec(compile(os.read(0,1<<20),'zygote','exec'))"


@dataclass(frozen=True)
class Jail:
    """One kind of jail on this machine; every slot starts one.

    Attributes:
        isolation: Name for results and logs.
        interpreter: The Python in it.
        wrapper: Command line that ``python ...`` is appended to; empty for no jail at all.
        home: Folder in the jail under which programs get their scratch directory.
        separate: Namespaces it must not share with the host, as in /proc/self/ns.
        own_user: Whether every program can get a user id of its own, which takes a zygote that is root in the jail.
        filtered: Whether the jail itself filters system calls and forbids new privileges, before our own filter.
        capabilities: Mask of the capabilities that the zygote may hold; None: not looked at.
        wiped: Folders that the zygote empties after each program, ``home`` among them. They must be on file systems of
            the jail's own, or it refuses. Empty for no jail at all.
        other_processes: Processes of the programs' user that count towards its process limit; None: unknown, so no
            limit.
        checks: The canary's checks that must hold (see ``canary.CHECKS``).
        hidden: Paths of the host that the canary must not be able to read, beside its own sentinels.
        not_covered: What this jail does not protect from, in words, for people.
    """

    isolation: str
    interpreter: Interpreter
    wrapper: Sequence[str]
    home: str
    separate: Sequence[str]
    own_user: bool
    filtered: bool
    capabilities: int | None
    wiped: Sequence[str]
    other_processes: int | None
    checks: frozenset[str]
    not_covered: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: VARIABLES)

    @property
    def command(self) -> list[str]:
        """The whole command line."""
        return [*self.wrapper, str(self.interpreter.executable), "-S", "-B", "-c", BOOTSTRAP]

    @property
    def contained(self) -> bool:
        """Whether the jail has process ids of its own, so that everything in it can be killed at once."""
        return "pid" in self.separate

    @property
    def claims(self) -> frozenset[str]:
        """What a sandbox with this jail claims, by the names of ``checks.bench.CLAIMS``."""
        counted = {"process-limit"} if self.other_processes is not None else set()
        watched = {"file-budget"} if self.wiped else set()
        return self.checks | counted | watched

    @property
    def enforcers(self) -> Mapping[str, str]:
        """What holds each claim, in words, for people."""
        jail = f"the jail ({self.isolation})"
        user = "a user id of its own for each slot" if self.own_user else f"{jail}; programs run as this user"
        held = {
            "seccomp": f"our filter{f', and one of {jail}' if self.filtered else ''}",
            "no-new-privileges": f"{jail}, the zygote" if self.filtered else "the zygote (prctl)",
            "capabilities": user,
            "unprivileged-user": user,
            **dict.fromkeys(("namespaces", "network", "route-out", "processes", "hidden-files", "read-only"), jail),
            "environment": "an allow-list",
            "scratch": "the zygote, which makes it anew for each program",
            "process-limit": "the kernel (RLIMIT_NPROC)",
            "file-budget": "the watchdog, 20 ms after the start and then every 50 ms",
        }
        return {name: by for name, by in held.items() if name in self.claims}
