"""Two twins of GPU recipes for real, those that differ most; `make rehearse` runs them all."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from r1ci_plugins.recipe import cpu_flags

from .twin import twin

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECIPES = sorted((ROOT / "recipes").glob("qwen*.yaml"))
STACK = all(importlib.util.find_spec(package) for package in ("openrlhf", "deepspeed", "torch", "vllm"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda file: file.stem)
def test_a_twin_keeps_every_flag_that_a_cpu_has(recipe):
    _, text = twin(recipe, model="m", output_dir="o", trajectories="t")
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert not [line for line in header if "left out" in line]
    dropped = {line.rpartition(": ")[2] for line in header if "without effect" in line}
    assert dropped <= set(cpu_flags.WITHOUT_EFFECT)


@pytest.mark.e2e
@pytest.mark.stack
@pytest.mark.firejail
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not STACK, reason="needs the trainer's stack: run `make setup`")
@pytest.mark.skipif(shutil.which("firejail") is None, reason="needs firejail")
@pytest.mark.parametrize("name", ["qwen2.5-7b-grpo", "qwen2.5-7b-sft"])
def test_a_twin_runs_is_interrupted_and_taken_up(name, tmp_path):
    recipe = ROOT / "recipes" / f"{name}.yaml"
    command = [sys.executable, HERE / "rehearse.py", recipe, "--out", tmp_path / "out", "--rate", "0.05"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    log = tmp_path / "out" / name / "log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-6000:] if log.exists() else "")
