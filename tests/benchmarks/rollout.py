"""What our own code costs: the rollout loop per turn, the import, the trajectory file and its records.

    python tests/benchmarks/rollout.py

The engine and the sandbox answer at once, so what is left of an episode is parsing, tokenising, decoding and
bookkeeping. Measures time only; nothing here is a test.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rich.console import Console
from rich.table import Table

from r1ci_plugins.environment import episode_budget
from r1ci_plugins.protocol.answer_format import Action, NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.recipe.schema import ProtocolConfig
from r1ci_plugins.rollout.engine import Ended, Generation
from r1ci_plugins.rollout.loop import CodeRunner, run_episode
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.tasks.task import Question

SENTENCES = [
    "First I look at what is given and write down the numbers that matter.",
    "The total is the sum of all shares, so the largest one has to be at most 3/7 of it.",
    "A program can try every order, because there are only 720 of them.",
    "That contradicts the second rule; therefore the third person cannot be the thief.",
    "Let me check this with exact arithmetic instead of guessing: 17 * 23 = 391.",
]
LINES = [
    "from itertools import permutations",
    "best = None",
    "for order in permutations(range(6)):",
    "    cost = sum(abs(a - b) * weight[a][b] for a, b in zip(order, order[1:]))",
    "    if best is None or cost < best[0]:",
    "        best = (cost, order)",
    "print(f'the best order is {best[1]} at cost {best[0]}')",
]


@dataclass
class Stopwatch:
    """Seconds spent inside the functions it wraps, by name."""

    seconds: dict[str, float] = field(default_factory=dict)

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

        return timed


@dataclass(frozen=True)
class TimedFormat(NaturalFormat):
    """The natural format under a stopwatch."""

    watch: Stopwatch = field(default_factory=Stopwatch)

    def parse(self, text: str) -> Action:
        return self.watch.wrap("parse", super().parse)(text)


class Instant:
    """An engine that has its turns ready, and a sandbox that has its output ready."""

    isolation = "none"

    def __init__(self, turns: list[tuple[int, ...]], output: str) -> None:
        self._turns, self._output, self._turn = turns, output, 0

    async def generate(self, token_ids: Any, *, max_tokens: int, stop: Any, stop_token_ids: Any) -> Generation:
        ids = self._turns[self._turn]
        self._turn += 1
        return Generation(ids, (-0.5,) * len(ids), Ended.END_OF_TURN)

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        return ExecutionResult(self._output, "", self._output, ExecutionStatus.OK, 0, 0.1, 0.1, 0.0, 0, self.isolation)


def turn_text(rng: random.Random, code: bool) -> str:
    reasoning = " ".join(rng.choices(SENTENCES, k=rng.randrange(4, 16)))
    if not code:
        return f"{reasoning}\nSo the answer is <<<{rng.randrange(10**6)}>>>.<|im_end|>"
    program = "\n".join(LINES * rng.randrange(1, 4))
    return f"{reasoning}\n\n```python\n{program}\n```\n"


def find_tokenizer() -> Any:
    from transformers import AutoTokenizer

    from r1ci_plugins.engines.embedded_model import build_tiny

    built = Path(__file__).parents[2] / "models" / "tiny-random"
    if (built / "tokenizer.json").exists():
        return AutoTokenizer.from_pretrained(built)
    with tempfile.TemporaryDirectory() as folder:
        return AutoTokenizer.from_pretrained(build_tiny(Path(folder) / "tiny"))


@dataclass(frozen=True)
class Played:
    """An episode, and the milliseconds per turn that the loop took: the engine and the sandbox take none."""

    trajectory: Trajectory
    wall_ms: float
    cpu_ms: float


def play(template: ChatTemplate, answer_format: NaturalFormat, turns: int, rng: random.Random) -> Played:
    output = "\n".join(f"{index:3}  {rng.random()}" for index in range(rng.randrange(1, 30)))
    instant = Instant([tuple(template.encode(turn_text(rng, turn < turns - 1))) for turn in range(turns)], output)
    question = Question(" ".join(SENTENCES), "42", task="benchmark/loop", split="rl", index=0)

    async def timed() -> Played:
        wall, cpu = time.perf_counter(), time.process_time()
        trajectory = await run_episode(
            question,
            engine=instant,
            template=template,
            answer_format=answer_format,
            code_runner=CodeRunner(instant, Limits(), 2),
            budget=episode_budget(ProtocolConfig(), 16384),
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return Played(trajectory, 1000 * wall / turns, 1000 * cpu / turns)

    return asyncio.run(timed())


def measure_loop(template: ChatTemplate, episodes: int) -> tuple[Table, list[Trajectory]]:
    table = Table(title="Rollout loop, milliseconds per turn (goal: below 1; parts are means)", title_justify="left")
    for name in ("turns", "tokens", "median", "p99", "CPU", "parse", "tokenise", "decode"):
        table.add_column(name, justify="right")
    everything: list[Played] = []
    rng = random.Random(0)
    play(template, NaturalFormat(), 8, rng)  # warm up
    gc.collect()
    gc.freeze()  # what transformers has loaded is not ours to walk through
    for turns in range(1, 9):
        played = [play(template, NaturalFormat(), turns, rng) for _ in range(episodes)]
        tokens = statistics.median(len(one.trajectory.token_ids) for one in played)
        parts = measure_parts(template, turns, max(1, episodes // 5))
        table.add_row(str(turns), f"{tokens:.0f}", *costs(played), *(f"{parts[name]:.3f}" for name in parts))
        everything += played
    table.add_section()
    table.add_row("all", "", *costs(everything))
    return table, [one.trajectory for one in everything]


def costs(played: list[Played]) -> list[str]:
    """Median and 99th percentile of the wall-clock time, and the median CPU time."""
    wall = [one.wall_ms for one in played]
    cpu = statistics.median(one.cpu_ms for one in played)
    return [f"{value:.3f}" for value in (statistics.median(wall), p99(wall), cpu)]


def measure_parts(template: ChatTemplate, turns: int, episodes: int) -> dict[str, float]:
    """Milliseconds per turn by part, in episodes of their own: a stopwatch costs time too."""
    total = Stopwatch()
    rng = random.Random(turns)
    for _ in range(episodes):
        watch = Stopwatch()
        timed = object.__new__(ChatTemplate)
        timed.__dict__ |= vars(template)
        timed.__dict__ |= {
            "decode": watch.wrap("decode", template.decode),
            "feedback": watch.wrap("tokenise", template.feedback),
            "prompt": watch.wrap("tokenise", template.prompt),
        }
        play(timed, TimedFormat(watch=watch), turns, rng)
        for name, seconds in watch.seconds.items():
            total.seconds[name] = total.seconds.get(name, 0.0) + seconds
    return {name: 1000 * total.seconds[name] / episodes / turns for name in ("parse", "tokenise", "decode")}


def measure_import(repeats: int) -> Table:
    """Time of the import statement alone; the interpreter's own start is not ours."""
    table = Table(title=f"Import, milliseconds, {repeats} fresh interpreters (goal: below 100)", title_justify="left")
    table.add_column("module")
    table.add_column("median", justify="right")
    table.add_column("slowest", justify="right")
    for module in ("r1ci_plugins", "r1ci_plugins.rollout.loop", "r1ci_plugins.plugins.registry"):
        code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
        costs = [
            1000 * float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
            for _ in range(repeats)
        ]
        table.add_row(module, f"{statistics.median(costs):.1f}", f"{max(costs):.1f}")
    return table


def measure_file(trajectories: list[Trajectory]) -> Table:
    table = Table(title="Trajectory file, one record per write", title_justify="left")
    for name in ("records", "ms, median", "ms, p99", "bytes per record", "bytes per token"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        writer = TrajectoryWriter(Path(folder) / "train.jsonl.gz", max_mb=1024, sample_rate=1.0)
        costs = []
        for trajectory in trajectories:
            started = time.perf_counter()
            writer.write([trajectory])
            costs.append(1000 * (time.perf_counter() - started))
        size = writer.path.stat().st_size
    tokens = sum(len(trajectory.token_ids) for trajectory in trajectories)
    table.add_row(
        str(len(costs)),
        f"{statistics.median(costs):.3f}",
        f"{p99(costs):.3f}",
        f"{size / len(costs):.0f}",
        f"{size / tokens:.2f}",
    )
    return table


def measure_json(trajectory: Trajectory, tokens: int) -> Table:
    """What blocks the loop that serves vLLM at the end of an episode."""
    table = Table(title=f"A trajectory of {tokens:,} tokens, milliseconds", title_justify="left")
    for name in ("log-probs", "to JSON", "from JSON"):
        table.add_column(name, justify="right")
    sampled = next(segment for segment in trajectory.segments if segment.kind is SegmentKind.ACTION)
    ids = tuple(i * 7919 % 150_000 for i in range(tokens))
    for known in (False, True):
        log_probs = tuple(-1 / (i + 1) for i in range(tokens)) if known else None
        long = replace(sampled, token_ids=ids, text="some text " * (tokens // 2), log_probs=log_probs)
        whole = replace(trajectory, segments=(trajectory.segments[0], long))
        line = whole.to_json()
        costs = [
            1000 * min(timeit.repeat(call, number=5, repeat=5)) / 5
            for call in (whole.to_json, lambda line=line: Trajectory.from_json(line))
        ]
        table.add_row("yes" if known else "no", *(f"{cost:.2f}" for cost in costs))
    return table


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.99 * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=50, help="per number of turns, 1 to 8 (default: 50)")
    parser.add_argument("--imports", type=int, default=10, help="fresh interpreters per module (default: 10)")
    options = parser.parse_args()
    console = Console()
    template = ChatTemplate(find_tokenizer(), NaturalFormat().instructions)
    loop, trajectories = measure_loop(template, options.episodes)
    tables = (loop, measure_import(options.imports), measure_file(trajectories), measure_json(trajectories[-1], 8000))
    for table in tables:
        console.print(table)
    console.print(
        f"python tests/benchmarks/rollout.py --episodes {options.episodes} --imports {options.imports}",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
