"""What a backend says about its jail: how to start Python in it, and what must hold there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from r1ci_plugins.sandbox.interpreter import Interpreter

# The whole environment of a program; HOME and TMPDIR become its scratch directory.
VARIABLES = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "",
    "TMPDIR": "",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "USER": "sandbox",
    "LOGNAME": "sandbox",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}

# The zygote's modules come through fd 0 in one packet.
BOOTSTRAP = "import os;exec(compile(os.read(0,1<<20),'zygote','exec'))"


@dataclass(frozen=True)
class Jail:
    """A kind of jail on this machine. Every slot starts one.

    Attributes:
        isolation: Name for results and logs.
        interpreter: The Python in it.
        wrapper: Command line to which ``python ...`` is appended; empty if there is no jail.
        home: Folder in the jail in which programs get their scratch directory.
        separate: Namespaces that it must not share with the host, named as in /proc/self/ns.
        own_user: Whether programs run under a user id of their own. The zygote must be root in the jail for that.
        filtered: Whether the jail itself filters system calls and forbids new privileges, before our own filter does.
        capabilities: Mask of the capabilities that the zygote may hold; None if they are not checked.
        wiped: Folders that the zygote empties after each program, ``home`` among them. They must be on file systems of
            the jail's own and empty but for what the jail itself puts into ``home``, or it refuses. None of them if
            there is no jail.
        other_processes: How many other processes of the programs' user count towards the process limit; None if that
            is unknown, so that there is no limit.
        checks: The canary's checks that must hold (see ``canary.CHECKS``).
        not_covered: What this jail does not protect from, in words.
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
        return [*self.wrapper, str(self.interpreter.executable), "-c", BOOTSTRAP]

    @property
    def scratch(self) -> str:
        """The working directory of programs, as they see it."""
        return f"{self.home}/scratch"

    @property
    def contained(self) -> bool:
        """Whether the jail has process ids of its own, so that everything in it can be killed at once."""
        return "pid" in self.separate

    @property
    def claims(self) -> frozenset[str]:
        """What a sandbox with this jail claims: names of ``checks.bench.CLAIMS``."""
        counted = {"process-limit"} if self.other_processes is not None else set()
        watched = {"file-budget"} if self.wiped else set()
        return self.checks | counted | watched

    @property
    def enforcers(self) -> Mapping[str, str]:
        """What enforces each claim, in words."""
        jail = f"the jail ({self.isolation})"
        user = "a user id of its own for each slot" if self.own_user else f"{jail}; programs run as this user"
        held = {
            "seccomp": f"our filter{f', and one of {jail}' if self.filtered else ''}",
            "no-new-privileges": f"{jail}, the zygote" if self.filtered else "the zygote (prctl)",
            "capabilities": user,
            "unprivileged-user": user,
            **dict.fromkeys(("namespaces", "network", "route-out", "processes", "hidden-files", "read-only"), jail),
            "environment": "an allow-list",
            "scratch": "the zygote, which makes a new one for each program",
            "process-limit": "the kernel (RLIMIT_NPROC)",
            "file-budget": "the watchdog, 20 ms after the start and then every 50 ms",
        }
        return {name: by for name, by in held.items() if name in self.claims}
