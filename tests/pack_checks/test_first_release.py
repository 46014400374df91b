"""The task pack and the plugin of CONTRIBUTING as they stood in 0.1, installed by pip: what was written then works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACK = """
import math
from r1ci_plugins import Question, Task, TaskPack, hookimpl
from r1ci_plugins.tasks import answers


class Binomial(Task):
    name = "binomial"
    description = "A binomial coefficient."
    levels = 3

    def generate(self, rng, difficulty):
        n = rng.randint(20, 40 * (2 + (difficulty or 0)))
        k = rng.randint(2, n - 2)
        text = f"In how many ways can {k} of {n} people be chosen? Answer with an integer, in the form <<<7>>>."
        return Question(text, str(math.comb(n, k)), {"n": n, "k": k}, example="7")

    def check(self, question, answer):
        return answers.integer(answer) == math.comb(question.metadata["n"], question.metadata["k"])


@hookimpl
def r1ci_task_packs():
    return [TaskPack("my_tasks", [Binomial()])]
"""
PLUGIN = '''
from r1ci_plugins import hookimpl


def brevity(tokens: int = 1000, penalty: float = 0.1):
    """Options of the recipe are keyword arguments, checked against this signature."""

    def term(trajectory):
        sampled = sum(len(s.token_ids) for s in trajectory.segments if s.kind == "action")
        return -penalty if sampled > tokens else 0.0

    return term


@hookimpl
def r1ci_reward_terms():
    return {"brevity": brevity}


def first_half(trajectory):
    return [(0, len(trajectory.token_ids) // 2)]


@hookimpl
def r1ci_loss_masks():
    return {"first_half": lambda: first_half}
'''
PROJECT = """
[project]
name = "{distribution}"
version = "0.1.0"
dependencies = ["r1ci-plugins"]
[project.entry-points."{group}"]
{name} = "{module}"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.hatch.build.targets.wheel]
include = ["{module}.py"]
"""
OLD_IMPORT = """
from r1ci_plugins.tasks.pytest_plugin import conformance_tests
test_conformance = conformance_tests("my_tasks")
"""
USE = """
from r1ci_plugins.environment import prepare
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question

recipe = Recipe.model_validate({
    "output_dir": "none", "model": "some/model", "tasks": {"train": [{"tasks": ["my_tasks/*"], "count": 2}]},
    "rewards": {"correctness": {}, "brevity": {"tokens": 5}}, "mask": {"code_outputs": "first_half"},
})
prepared = prepare(recipe, plugins=["r1ci", "mine"], command="train_ppo")
assert list(prepared.packs) == ["my_tasks"]
segments = tuple(Segment(SegmentKind(kind), (1,) * 6, "text", None) for kind in ("prompt", "action"))
trajectory = Trajectory(Question("?", "1"), segments, (), StopReason.ANSWERED, answer="1")
print(prepared.plugins.make("reward_terms", "brevity", {"tokens": 5})(trajectory))
mask = prepared.loss_mask()
print(mask.ranges(trajectory), mask.sampled_only)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run Python where the pack and the plugin are installed; its output."""
    site, place = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    folders = []
    for module, source, group, name in (
        ("my_tasks", PACK, "r1ci.task_packs", "my_tasks"),
        ("my_plugin", PLUGIN, "r1ci.plugins", "mine"),
    ):
        folder = tmp_path_factory.mktemp(module)
        (folder / f"{module}.py").write_text(source)
        distribution = f"r1ci-{module.replace('_', '-')}"
        project = PROJECT.format(distribution=distribution, group=group, name=name, module=module)
        (folder / "pyproject.toml").write_text(project)
        folders.append(folder)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", site, *folders], check=True)
    (place / "test_old.py").write_text(OLD_IMPORT)
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [str(site), root, os.environ.get("PYTHONPATH")]))

    def run(*arguments):
        command = [sys.executable, *arguments]
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def r1ci(*arguments):
    return ("-c", "from r1ci_plugins.cli.main import main; main()", *arguments)


def test_the_pack_is_listed_sampled_and_keeps_the_rules(run):
    assert "my_tasks\tbinomial\t3\tA binomial coefficient." in run(*r1ci("tasks", "list", "--pack", "my_tasks"))
    assert "people be chosen?" in run(*r1ci("tasks", "sample", "my_tasks/binomial", "-n", "3"))
    assert "1 passed, 0 failed" in run(*r1ci("validate", "my_tasks"))


def test_its_rules_are_pytest_items_by_the_option_and_by_the_import_of_then(run):
    pytest_run = ("-m", "pytest", "-p", "no:cacheprovider", "-q")
    assert "22 passed" in run(*pytest_run, "--r1ci-pack", "my_tasks", "--ignore", "test_old.py")
    assert "22 passed" in run(*pytest_run, "test_old.py")


def test_its_plugin_and_a_loss_mask_that_is_a_plain_function_are_used(run):
    assert run("-c", USE).splitlines() == ["-0.1", "[(0, 6)] True"]
