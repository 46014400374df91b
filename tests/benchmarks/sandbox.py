"""What an execution costs: the warm sandbox against raw Python, cold firejail and cold bubblewrap, in one run.

    make bench-sandbox
    python tests/benchmarks/sandbox.py --endpoint http://localhost:8080    # and a SandboxFusion server beside them

Every way runs the same programs, as many at a time as there are slots (one per core), called by 1, 8 and 64 callers at
once. Latency counts from the call, so with more callers than slots it is mostly waiting. CPU time is that of all
processes involved, host included, per execution: the figure that other load on the machine disturbs least. An
endpoint's processes are not ours to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from r1ci_plugins.sandbox.backends import bwrap
from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox
from r1ci_plugins.sandbox.contract import Limits
from r1ci_plugins.sandbox.jail import VARIABLES
from r1ci_plugins.sandbox.pool import SlotPool

PROGRAMS = {
    "print": ("print(1)", "1"),
    "numpy": ("import numpy\nprint(numpy.arange(3).sum())", "3"),
    "sympy": ("import sympy\nprint(sympy.factorint(360))", "{2: 3, 3: 2, 5: 1}"),
}
CALLERS = (1, 8, 64)
TARGETS = {"cold firejail": {"print": 7.0, "numpy": 25.0, "sympy": 80.0}, "raw python": dict.fromkeys(PROGRAMS, 1.0)}

Run = Callable[[str], Awaitable[str]]


@dataclass(frozen=True)
class Cell:
    """One way, one program, one number of callers.

    Attributes:
        way: What ran it.
        program: Name of the program.
        callers: Calls under way at once.
        executions: How many were measured.
        per_s: Executions per second of wall-clock time.
        p50_ms: Median latency.
        p99_ms: 99th percentile of the latency.
        cpu_ms: CPU milliseconds per execution, all processes; None where they are not ours.
    """

    way: str
    program: str
    callers: int
    executions: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float | None


def own_cpu_s() -> float:
    """CPU seconds of this process, what it has waited for, and what is alive below it (with what that waited for)."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


async def measure(way: str, program: str, callers: int, run: Run, seconds: float, ours: bool) -> Cell:
    """Call for some seconds and look at what it took."""
    code, expected = PROGRAMS[program]
    latencies: list[float] = []

    async def call() -> None:
        while time.perf_counter() < stop or not latencies:
            began = time.perf_counter()
            output = await run(code)
            latencies.append(time.perf_counter() - began)
            if output.strip() != expected:
                raise SystemExit(f"{way} answered {output!r} to {code!r}")

    stop = time.perf_counter()
    await call()  # once before the clock starts
    latencies.clear()
    cpu, began = own_cpu_s(), time.perf_counter()
    stop = began + seconds
    await asyncio.gather(*(call() for _ in range(callers)))
    wall, cpu, count = time.perf_counter() - began, own_cpu_s() - cpu, len(latencies)
    ordered = sorted(1000 * latency for latency in latencies)
    return Cell(
        way,
        program,
        callers,
        count,
        count / wall,
        statistics.median(ordered),
        ordered[min(count - 1, count * 99 // 100)],
        1000 * cpu / count if ours else None,
    )


def warm(pool: SlotPool) -> Run:
    """Programs in warm slots."""

    async def run(code: str) -> str:
        return (await pool.run(code, Limits(wall_s=60))).stdout

    return run


def cold(command: list[str]) -> Run:
    """A new process for every program, as many at a time as there are cores."""
    places = asyncio.Semaphore(len(os.sched_getaffinity(0)))
    environment = VARIABLES | {"HOME": str(Path.home()), "TMPDIR": "/tmp"}

    def start(code: str) -> str:
        done = subprocess.run([*command, code], capture_output=True, text=True, env=environment, cwd="/", check=True)
        return done.stdout

    async def run(code: str) -> str:
        async with places:
            return await asyncio.to_thread(start, code)

    return run


def endpoint(url: str) -> Run:
    """A server with SandboxFusion's ``/run_code``."""

    def post(code: str) -> str:
        body = json.dumps({"code": code, "language": "python"}).encode()
        request = urllib.request.Request(
            url.rstrip("/") + "/run_code", body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as reply:
            answer = json.load(reply)
        return str((answer.get("run_result") or {}).get("stdout", answer))

    async def run(code: str) -> str:
        return await asyncio.to_thread(post, code)

    return run


async def bench(seconds: float, url: str | None) -> list[Cell]:
    """Measure everything that this machine has."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max(CALLERS)))
    firejail, preloaded = FirejailSandbox(), FirejailSandbox(preload="numeric")
    jail = firejail.find_jail()
    python = [str(jail.interpreter.executable), "-B", "-c"]
    bootstrap = f"import sys; sys.path[:] = {list(jail.interpreter.import_path)!r}; exec(sys.argv[1])"
    ways: dict[str, Run] = {
        "warm": warm(firejail),
        "warm, all preloaded": warm(preloaded),
        "raw python": cold([sys.executable, "-B", "-c"]),
        "cold firejail": cold([*jail.wrapper, *python, bootstrap]),
    }
    if shutil.which("bwrap"):
        options = bwrap.jail_options(jail.interpreter, os.geteuid() == 0)
        ways["cold bwrap"] = cold(["bwrap", *options, "--", *python, bootstrap])
    if url:
        ways["endpoint"] = endpoint(url)
    for pool in (firejail, preloaded):
        await pool.start()
        await asyncio.gather(*pool._tasks)  # slots that still start would count in the first cells
    cells = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=len(ways) * len(PROGRAMS) * len(CALLERS))
        for program in PROGRAMS:
            for callers in CALLERS:
                for way, run in ways.items():
                    cells.append(await measure(way, program, callers, run, seconds, ours=way != "endpoint"))
                    progress.advance(task)
    await firejail.close()
    await preloaded.close()
    return cells


def table(cells: list[Cell]) -> Table:
    """All figures."""
    shown = Table("program", "callers", "way", "executions/s", "p50 ms", "p99 ms", "CPU ms each", box=None)
    for column in shown.columns[3:]:
        column.justify = "right"
    for cell in cells:
        cpu = "-" if cell.cpu_ms is None else f"{cell.cpu_ms:.1f}"
        shown.add_row(
            *(cell.program, str(cell.callers), cell.way, f"{cell.per_s:.1f}"),
            *(f"{cell.p50_ms:.1f}", f"{cell.p99_ms:.1f}", cpu),
        )
    return shown


def ratios(cells: list[Cell]) -> list[tuple[str, str, float, float]]:
    """How many times less CPU time the warm sandbox takes: way, program, ratio (8 callers), and what it should be."""
    cpu = {(cell.way, cell.program): cell.cpu_ms for cell in cells if cell.callers == 8 and cell.cpu_ms}
    return [
        (way, program, cpu[way, program] / cpu["warm", program], target)
        for way, targets in TARGETS.items()
        for program, target in targets.items()
    ]


def plot(cells: list[Cell], path: Path) -> None:
    """Bars of executions per second and of CPU time, on logarithmic scales."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ways = list(dict.fromkeys(cell.way for cell in cells))
    colours = dict(zip(ways, pyplot.get_cmap("tab10").colors, strict=False))
    figure, axes = pyplot.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    panels = [
        (axes[0], "per_s", "executions per second, 8 callers", 8),
        (axes[1], "cpu_ms", "CPU milliseconds per execution, 8 callers", 8),
        (axes[2], "p50_ms", "median latency in milliseconds, 1 caller", 1),
    ]
    for axis, name, title, callers in panels:
        for place, way in enumerate(ways):
            chosen = [cell for cell in cells if cell.way == way and cell.callers == callers]
            heights = [getattr(cell, name) or 0.0 for cell in chosen]
            positions = [index + (place - len(ways) / 2 + 0.5) * 0.8 / len(ways) for index in range(len(chosen))]
            bars = axis.bar(positions, heights, 0.8 / len(ways), color=colours[way], label=way)
            axis.bar_label(bars, [f"{h:.3g}" if h else "" for h in heights], fontsize=6, rotation=90, padding=2)
        axis.set_xticks(range(len(PROGRAMS)), list(PROGRAMS))
        axis.set_yscale("log")
        axis.margins(y=0.15)
        axis.set_title(title, fontsize=10)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(ways), fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, show, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="per way, program and number of callers")
    parser.add_argument("--endpoint", help="base URL of a server with SandboxFusion's /run_code")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-sandbox"), help="folder for figures and plot")
    arguments = parser.parse_args()
    cells = asyncio.run(bench(arguments.seconds, arguments.endpoint))
    console = Console()
    console.print(table(cells))
    for way, program, ratio, target in ratios(cells):
        verdict = "reached" if ratio >= target else "missed"
        console.print(f"{program}: {ratio:.1f} times less CPU time than {way} (at least {target:g}: {verdict})")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "figures.json").write_text(json.dumps([asdict(cell) for cell in cells], indent=1))
    plot(cells, arguments.out / "sandbox.png")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    console.print(f"figures.json and sandbox.png are in {arguments.out}; the host process held {peak} MiB at most")


if __name__ == "__main__":
    main()
