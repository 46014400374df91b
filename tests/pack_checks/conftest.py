"""A pack of tasks that misbehave as whole processes: they hang, die, depend on the hash seed."""

from __future__ import annotations

import sys

import pytest

PACK = """
import os, random, time
from r1ci_plugins import Program, Question, Task, TaskPack, hookimpl
from r1ci_plugins.errors import MissingData
from r1ci_plugins.tasks import answers

class Doubling(Task):
    name = "doubling"
    description = "Double an integer."

    def generate(self, rng, difficulty):
        n = rng.randrange(10**5, 10**6)
        return Question(f"What is twice {n}? Answer in the form <<<6>>>.", str(2 * n), {"n": n}, example="6")

    def check(self, question, answer):
        return answers.integer(answer) == 2 * question.metadata["n"]

class Unordered(Doubling):
    name = "unordered"
    def generate(self, rng, difficulty):
        first = sorted({"a", "b", "c", "d", "e"}, key=hash)[0]
        return super().generate(random.Random(f"{first} {rng.random()}"), None)

class Ambient(Doubling):
    name = "ambient"
    def generate(self, rng, difficulty):
        return super().generate(random.Random(f"{os.getpid()} {rng.random()}"), None)

class Dies(Doubling):
    name = "dies"
    def check(self, question, answer):
        if answer == "nan":
            os._exit(3)
        return super().check(question, answer)

class Hangs(Doubling):
    name = "hangs"
    def check(self, question, answer):
        while answer.startswith("<b>"):
            time.sleep(1)
        return super().check(question, answer)

class Fails(Doubling):
    name = "fails"
    def generate(self, rng, difficulty):
        raise ZeroDivisionError("no question today")

class Empty(Doubling):
    name = "empty"
    def generate(self, rng, difficulty):
        raise MissingData("the questions are not here", fix="download them")

class Solves(Doubling):
    name = "solves"
    def solve(self, question):
        raise KeyError("no such method")

@hookimpl
def r1ci_task_packs():
    return [TaskPack("odd", [kind() for kind in (Doubling, Unordered, Ambient, Dies, Hangs, Fails, Empty, Solves)])]
"""


@pytest.fixture
def odd_pack(tmp_path, monkeypatch):
    """The path of the pack's folder."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = tmp_path / "odd_pack"
    folder.mkdir()
    (folder / "odd_tasks.py").write_text(PACK)
    (folder / "pyproject.toml").write_text('[project.entry-points."r1ci.task_packs"]\nodd = "odd_tasks"\n')
    yield folder
    sys.modules.pop("odd_tasks", None)
