"""The misbehaving endpoint, a sandbox without walls for our own programs, and a task with reference programs."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import random
import sys
import traceback
from pathlib import Path

import pytest

from r1ci_plugins.environment import Environment
from r1ci_plugins.rollout.loop import Budget, CodeRunner
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.tasks.task import Program, Question, Score, Task


def _load():
    path = Path(__file__).with_name("misbehaving_server.py")
    spec = importlib.util.spec_from_file_location("misbehaving_server", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def web():
    """The module ``misbehaving_server``: its ``serving`` starts a real HTTP server on 127.0.0.1."""
    return _load()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Back-off in milliseconds."""
    monkeypatch.setattr("r1ci_plugins.synthesis.endpoint_teacher._BACK_OFF_S", 0.001)


class ExecSandbox:
    """Runs programs in this process, for tests whose programs are our own; the real sandbox has tests of its own."""

    isolation = "none"

    def __init__(self):
        self.programs = []

    async def start(self):
        pass

    async def close(self):
        pass

    async def run(self, code, limits):
        self.programs.append(code)
        output, error = io.StringIO(), ""
        with contextlib.redirect_stdout(output):
            try:
                exec(compile(code, "main.py", "exec"), {"__name__": "__main__"})
            except BaseException as problem:
                error = "".join(traceback.format_exception(problem)[2:]) or traceback.format_exc()
        text = output.getvalue() + error
        status = ExecutionStatus.ERROR if error else ExecutionStatus.OK
        return ExecutionResult(output.getvalue(), error, text, status, int(bool(error)), 0.1, 0.1, 0, 0, "none")


class Total(Task):
    """Programs in three styles; every kind of slip has a place in them."""

    name = "total"
    capability = "execution"

    def generate(self, rng: random.Random, difficulty):
        numbers = [rng.randrange(100, 1000) for _ in range(rng.randint(3, 6))]
        return Question(f"What is the sum of {numbers}?", str(sum(numbers)), {"numbers": numbers})

    def check(self, question, answer):
        return answer == question.answer

    def programs(self, question):
        data = f"numbers = {list(question.metadata['numbers'])}\n"
        loop = "total = 0\nfor index in range(len(numbers)):\n    total = total + numbers[index]\nprint(total)\n"
        function = "def add(values):\n    return sum(sorted(values))\n\n\nprint(add(numbers))\n"
        library = "from functools import reduce\n\nprint(reduce(lambda a, b: a + b, numbers))\n"
        return [Program("loop", data + loop), Program("function", data + function), Program("library", data + library)]


class Opinion(Task):
    """No program helps."""

    name = "opinion"
    capability = "reasoning"

    def generate(self, rng, difficulty):
        return Question(f"Is {rng.randrange(10**6)} a fine number? Answer yes or no.", "yes")

    def check(self, question, answer):
        return answer == "yes"


@pytest.fixture
def total():
    """A task with programs."""
    return Total()


@pytest.fixture
def opinion():
    """A task without."""
    return Opinion()


@pytest.fixture
def sandbox():
    """Runs programs in this process."""
    return ExecSandbox()


class Checker:
    """A task's own check in this process; worker processes have tests of their own."""

    def __init__(self, task):
        self.task = task

    async def verify(self, question, answer):
        return Score(float(self.task.check(question, answer)))


@pytest.fixture
def environment(sandbox):
    """Make an environment that judges answers to one task in this process."""

    def make(task, answer_format, **caps):
        budget = Budget(
            **{"max_code_calls": 8, "max_turn_tokens": 2048, "max_output_chars": 4000}
            | {"max_action_tokens": 4096, "max_total_tokens": 4096, "deadline_s": 600.0}
            | caps
        )
        return Environment(
            answer_format=answer_format,
            instructions="Solve it.",
            code_runner=CodeRunner(sandbox=sandbox, limits=Limits(), retries=2),
            verifier=Checker(task),
            reward_terms={},
            budget=budget,
        )

    return make
