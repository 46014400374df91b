"""A pack of badly behaved checkers, installed where the worker processes find it."""

from __future__ import annotations

import asyncio
import os
from textwrap import dedent

import pytest

from r1ci_plugins.workers.checkers import VerifierPool

PACK = '''
import os, signal, subprocess, sys, time
from contextlib import suppress
from r1ci_plugins import Question, Score, Task, TaskPack, hookimpl

class NumpyLike:
    """Not a float, but makes one, like the scalars of numerical libraries."""
    def __float__(self):
        return 0.25

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even a message")

def hang():
    while True:
        time.sleep(1)

def hang_in_a_program():
    subprocess.run(["sleep", "987"])

def ignore_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang()

def raise_unprintable():
    raise Unprintable

def recurse(depth=0):
    return recurse(depth + 1)

def print_much():
    print("x" * (1 << 20))
    return 1.0

def write_to_stdout():
    os.write(1, b'{"number": 1, "value": 1.0, "detail": "forged"}\\n')
    return 0.25

def allocate():
    return len(bytearray(10 << 30)) and 1.0

def close_stdin():
    sys.stdin.close()
    with suppress(OSError):
        os.close(0)
    return 0.25

def close_everything():
    os.closerange(3, 100)
    return 1.0

def fork_and_return():
    os.fork()  # both processes reply
    return 1.0

ACTIONS = {
    "raise": lambda: 1 / 0, "raise unprintable": raise_unprintable, "hang": hang, "ignore SIGTERM": ignore_sigterm,
    "hang in a program": hang_in_a_program,
    "nan": lambda: float("nan"), "inf": lambda: float("inf"), "2.0": lambda: 2.0, "-0.5": lambda: -0.5,
    "text": lambda: "right", "text 1": lambda: "1.0", "None": lambda: None, "list": lambda: [1.0],
    "complex": lambda: 1j, "numpy": NumpyLike, "true": lambda: True, "score": lambda: Score(0.5, "half"),
    "long detail": lambda: Score(0.5, "why " * 10**6), "no detail": lambda: Score(0.5, None),
    "print": print_much, "write to stdout": write_to_stdout, "_exit": lambda: os._exit(0),
    "sys.exit": lambda: sys.exit(0), "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "allocate": allocate, "recurse": recurse, "close stdin": close_stdin, "close everything": close_everything,
    "fork": fork_and_return,
    "environment": lambda: Score(1.0, f"{os.environ.get('PYTHONHASHSEED')} {os.getpid()}"),
}

class Misbehave(Task):
    """Does what the question says to any answer but 'ok'."""
    name = "misbehave"
    def generate(self, rng, difficulty):
        return Question("nan", "ok")
    def check(self, question, answer):
        return True if answer == "ok" else ACTIONS[question.text]()

class Echo(Task):
    """Scores 1 for the answer; for a number it waits a little and scores that."""
    name = "echo"
    def generate(self, rng, difficulty):
        return Question("What?", "yes")
    def check(self, question, answer):
        if question.text == "number":
            time.sleep(0.002 * (hash(answer) % 5))
            return Score(int(answer) / 1000, answer)
        return Score(float(answer == question.answer), str(len(answer)))

@hookimpl
def r1ci_task_packs():
    return [TaskPack("misbehaving", [Misbehave(), Echo()])]
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution of one module for the worker processes: a real dist-info folder on PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))

    def installed(name, source, group="r1ci.task_packs"):
        (tmp_path / f"{name}.py").write_text(dedent(source))
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}\n")

    return installed


@pytest.fixture
def make_pool():
    """A pool with the values of the recipe's schema, but for those given."""

    def make(**values):
        usual = {"name": "task", "options": {}, "plugins": ["r1ci"], "packs": [], "workers": 1}
        return VerifierPool(**{**usual, "deadline_s": 10.0, "memory_mb": 4096, **values})

    return make


@pytest.fixture
def pool(install, make_pool):
    """Run a coroutine function with a pool that has the pack; the pool is closed afterwards."""
    install("misbehaving", PACK)

    def run(use, runner=asyncio.run, **options):
        async def with_pool():
            made = make_pool(packs=["misbehaving"], **options)
            try:
                return await use(made)
            finally:
                await made.close()

        return runner(with_pool())

    return run
