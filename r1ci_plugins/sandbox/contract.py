"""The sandbox contract: what every backend that runs untrusted code promises.

When the program fails, that is data (an ExecutionResult); when the sandbox itself fails, that is an exception. One
suite, ``r1ci_plugins.sandbox.checks.promises``, runs against every backend (``r1ci sandbox check``).
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class ExecutionStatus(StrEnum):
    """How a program ended."""

    OK = "ok"  # exit status 0
    ERROR = "error"  # uncaught exception, non-zero exit, or death by a signal it caused itself
    TIMEOUT = "timeout"  # wall-clock or CPU limit
    MEMORY = "memory"  # took more than it may, address space or memory of all its processes and files
    OUTPUT = "output"  # wrote more than the hard output cap and was stopped


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        wall_s: Wall-clock seconds from the start of the program (queueing excluded).
        cpu_s: CPU seconds; None means ``wall_s``.
        memory_mb: Address space per process, MiB.
        file_mb: Largest file it may write, MiB.
        processes: Processes and threads.
        output_bytes: Bytes kept of stdout and of stderr each, half of them from the beginning and half from the end;
            what is between is drained and counted, not kept.
    """

    wall_s: float = 60.0
    cpu_s: float | None = None
    memory_mb: int = 2048
    file_mb: int = 64
    processes: int = 512
    output_bytes: int = 1 << 20

    def check(self) -> None:
        """Refuse limits that make no sense.

        Raises:
            ValueError: A limit is zero, negative or not a number.
        """
        for name, value in vars(self).items():
            if not (value is None and name == "cpu_s") and not 0 < value < math.inf:
                raise ValueError(f"limit {name} must be a positive number, not {value!r}")


@dataclass(frozen=True)
class ExecutionResult:
    """What a program did.

    Attributes:
        stdout: Decoded as UTF-8 with replacement, at most ``Limits.output_bytes`` bytes; if there were more, a note
            of how many stands between the first and the last ones.
        stderr: Likewise. Tracebacks name the program ``main.py``.
        output: Both streams in the order in which they were written, as a terminal would show them.
        status: How it ended.
        exit_code: Exit status, or minus the signal number.
        wall_s: Seconds it ran.
        cpu_s: CPU seconds, user and system, of all its processes.
        queue_s: Seconds it waited for a free slot; not part of ``wall_s``.
        truncated: Bytes of output that were dropped.
        isolation: What isolated it, such as ``firejail``.
        attempts: How often it was started; more than once if the sandbox, not the program, failed before.
    """

    stdout: str
    stderr: str
    output: str
    status: ExecutionStatus
    exit_code: int
    wall_s: float
    cpu_s: float
    queue_s: float
    truncated: int
    isolation: str
    attempts: int = 1


@runtime_checkable
class Sandbox(Protocol):
    """Runs untrusted Python programs, each in a fresh state.

    Call ``start`` once before the first ``run``, and ``close`` once after the last; calling them again does nothing.
    ``run`` may be called concurrently; the backend bounds how many programs run at a time.
    """

    isolation: str

    async def start(self) -> None:
        """Check that the backend isolates on this machine, and make it ready.

        Raises:
            SandboxUnavailable: The binary is missing or unsupported, or the canary shows that it does not isolate.
        """

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        """Run one program and return what it did.

        Args:
            code: Python source, any text (empty, NUL bytes, lone surrogates and syntax errors included).
            limits: What it may use.

        Raises:
            InfrastructureFault: The sandbox itself failed. The program's outcome is unknown; it may be run again.
        """

    async def close(self) -> None:
        """Stop everything; afterwards no process of the sandbox is left."""
