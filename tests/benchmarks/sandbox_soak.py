"""Many executions of distinct outputs by many callers while slots are killed: is any lost, mixed up, or left behind?

    python tests/benchmarks/sandbox_soak.py --executions 100000 --callers 64
    python tests/benchmarks/sandbox_soak.py --executions 10000 --kill 0.05

Kills are SIGKILL to the jail's wrapper, to its zygote or to the program, chosen at random, once per ``1 / kill``
executions. Exits with status 1 if an answer is wrong or anything is left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
from rich.console import Console
from rich.progress import Progress

from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox
from r1ci_plugins.sandbox.contract import ExecutionStatus, Limits
from r1ci_plugins.sandbox.pool import SlotPool

PROGRAMS = (
    "print({n} * 7)",
    "import sympy\nprint(sympy.Integer({n}) * 7)",
    "import numpy, sys\nprint(numpy.int64({n}) * 7)\nprint('note', file=sys.stderr)",
    "open('left', 'w').write('{n}')\nprint(int(open('left').read()) * 7)",
)


@dataclass
class Outcome:
    """What a soak saw.

    Attributes:
        executions: Programs run.
        wrong: Descriptions of wrong answers.
        retried: Programs that needed more than one slot.
        killed: Processes killed.
        left: Processes and folders left behind after the end.
        host_mib: Resident memory of this process, MiB, every tenth of the way.
        slots_mib: Proportional memory of all processes below it, likewise.
        seconds: Wall-clock seconds.
        metrics: The pool's own.
    """

    executions: int = 0
    wrong: list[str] = field(default_factory=list)
    retried: int = 0
    killed: int = 0
    left: list[str] = field(default_factory=list)
    host_mib: list[int] = field(default_factory=list)
    slots_mib: list[int] = field(default_factory=list)
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)


def kill_something(pool: SlotPool, rng: random.Random) -> int:
    """SIGKILL a random process of a random slot; return how many were killed."""
    wrappers = [slot.pid for slot in list(pool._slots) if slot.alive]
    if not wrappers:
        return 0
    try:
        wrapper = psutil.Process(rng.choice(wrappers))
        rng.choice([wrapper, *wrapper.children(recursive=True)]).kill()
    except psutil.NoSuchProcess:
        return 0
    return 1


async def soak(
    executions: int, callers: int, kill: float, seed: int = 0, step: Callable[[], None] = lambda: None
) -> Outcome:
    """Run the programs.

    Args:
        executions: How many programs.
        callers: Calls under way at once.
        kill: Kills per execution.
        seed: Of the choice of programs and victims.
        step: Called after each execution.
    """
    rng, outcome = random.Random(seed), Outcome()
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    folder = tempfile.mkdtemp()  # of its own, or what others leave in the common one would count
    previous, tempfile.tempdir = tempfile.tempdir, folder
    pool = FirejailSandbox()
    await pool.start()
    numbers = iter(range(executions))
    began = time.monotonic()

    async def call() -> None:
        for n in numbers:
            try:
                result = await pool.run(rng.choice(PROGRAMS).format(n=n), Limits(wall_s=60))
            except InfrastructureFault as fault:
                outcome.wrong.append(f"{n}: {fault}")
            else:
                if (result.status, result.stdout) != (ExecutionStatus.OK, f"{n * 7}\n"):
                    outcome.wrong.append(f"{n}: {result}")
                outcome.retried += result.attempts > 1
            outcome.executions += 1
            if rng.random() < kill:
                outcome.killed += kill_something(pool, rng)
            if outcome.executions % max(1, executions // 10) == 0:
                processes = psutil.Process().children(recursive=True)
                outcome.host_mib.append(psutil.Process().memory_info().rss >> 20)
                outcome.slots_mib.append(sum(memory(process) for process in processes) >> 20)
            step()

    await asyncio.gather(*(call() for _ in range(callers)))
    outcome.seconds, outcome.metrics = time.monotonic() - began, pool.metrics()
    await pool.close()
    alive = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
    outcome.left = [f"process {p.pid} {p.name()}" for p in psutil.wait_procs(alive, timeout=5)[1]]
    tempfile.tempdir = previous
    outcome.left += sorted(os.listdir(folder))
    shutil.rmtree(folder)
    return outcome


def memory(process: psutil.Process) -> int:
    """Proportional set size in bytes; 0 if it is gone."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def main() -> None:
    """Soak and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--kill", type=float, default=0.0, help="kills per execution, such as 0.05")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("executing", total=arguments.executions)
        outcome = asyncio.run(
            soak(
                arguments.executions,
                arguments.callers,
                arguments.kill,
                arguments.seed,
                lambda: progress.advance(task),
            )
        )
    print(f"{outcome.executions} executions in {outcome.seconds:.0f} s, {outcome.executions / outcome.seconds:.0f}/s")
    print(f"wrong or lost: {len(outcome.wrong)}; retried: {outcome.retried}; processes killed: {outcome.killed}")
    print(f"left behind: {outcome.left or 'nothing'}")
    print(f"memory each tenth of the way, MiB: host {outcome.host_mib}, slots {outcome.slots_mib}")
    print("\n".join(f"{name}: {value:.4g}" for name, value in outcome.metrics.items()))
    print("\n".join(outcome.wrong[:5]), file=sys.stderr)
    sys.exit(bool(outcome.wrong or outcome.left))


if __name__ == "__main__":
    main()
