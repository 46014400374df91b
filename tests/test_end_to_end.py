"""The main job on the real stack: OpenRLHF, vLLM, DeepSpeed, Ray, firejail and Reasoning Gym, with a tiny model.

A random model writes neither code nor answers, so a plugin (a real, installed one) reads its babble as one or the
other and rewards it by its checksum: every part of the loop is then exercised, and there is something to learn.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.training.loss_mask import MASKED, check_invariants

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.e2e, pytest.mark.stack, pytest.mark.firejail, pytest.mark.timeout(600)]

PLUGIN = """
import os, zlib
from r1ci_plugins import hookimpl
from r1ci_plugins.protocol.answer_format import Action, ActionKind

PROGRAMS = ["print(6 * 7)", "print(1 / 0)", "import os; print(os.getuid(), sorted(os.environ))"]

class Babble:
    instructions = "Say something."
    stop = ()

    def parse(self, text):
        checksum = zlib.crc32(text.encode())
        if checksum % 3 < 2:
            return Action(ActionKind.CODE, PROGRAMS[checksum % 7 % 3], len(text))
        return Action(ActionKind.ANSWER, text, len(text))

@hookimpl
def r1ci_answer_formats():
    return {"babble": Babble}

def checksum(trajectory):
    return zlib.crc32(repr(trajectory.token_ids).encode()) % 100 / 100

def picky(trajectory):
    if trajectory.question.index == 0 and trajectory.question.task.endswith("gcd"):
        raise ValueError("not this one")
    return 0.0

@hookimpl
def r1ci_reward_terms():
    return {"checksum": lambda: checksum, "picky": lambda: picky}

@hookimpl
def r1ci_trainer_arguments(recipe, command):
    return {"actor.max_norm": 0.5}

@hookimpl
def r1ci_trajectory_finished(trajectory):
    with open(os.environ["E2E_SEEN"], "a") as file:
        file.write(trajectory.question.key + "\\n")
    raise RuntimeError("an observer may fail")
"""


@pytest.fixture
def start(tmp_path):
    """Start the real launcher on recipes/cpu-smoke.yaml with the plugin above; returns the process."""
    if not all(importlib.util.find_spec(package) for package in ("openrlhf", "vllm", "deepspeed", "ray")):
        pytest.skip("needs the trainer's stack: run `make setup`")
    if shutil.which("firejail") is None:
        pytest.skip("needs firejail: run `make setup`")
    site = tmp_path / "site"
    info = site / "e2e_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "e2e_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: e2e-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[r1ci.plugins]\ne2e = e2e_plugin\n")
    output = tmp_path / "a run"  # paths with blanks must work
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "E2E_SEEN": str(tmp_path / "seen"),
        "PYTHONUNBUFFERED": "1",
    }
    command = [
        *(Path(sys.executable).with_name("openrlhf.cli.train_ppo"), "--plugin", "r1ci", "--plugin", "e2e"),
        *("--recipe", ROOT / "recipes" / "cpu-smoke.yaml", "--set", f"output_dir={output}"),
        *("--set", "protocol.answer_format=babble", "--set", "rewards={checksum: {}, correctness: {}, picky: {}}"),
        *("--set", "protocol.max_code_calls=2", "--set", f"model={ROOT / 'models' / 'tiny-random'}"),
        *("--actor.adam.lr", "1e-3", "--algo.advantage.is_correction_level", "token"),
    ]
    started = []

    def run(*more):
        with open(tmp_path / "log", "w") as log:
            process = subprocess.Popen(
                [*command, *more], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        started.append(process)
        return process, output, tmp_path / "log"

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()


def survivors(output: Path) -> list[psutil.Process]:
    """Processes that still work for a run: the mark is the run's folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("R1CI_RUN") == str(output):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_until(holds, seconds):
    """Whether something comes to hold in time: what was killed still has to give its memory back."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def test_the_main_job(start, tmp_path):
    """LoRA, two engines, six prompts; the samples of one of them are never judged."""
    process, output, log = start(
        *("--set", "tasks.train=[{tasks: [reasoning_gym/gcd, reasoning_gym/spell_backward], count: 3}]"),
        *("--set", "trainer.train.colocate_all=false", "--vllm.num_engines", "2", "--ds.lora.rank", "4"),
    )
    assert process.wait(500) == 0, log.read_text()[-6000:]
    assert wait_until(lambda: not survivors(output), 5), survivors(output)
    text = log.read_text()
    assert "Accuracy on held-out questions" in text and "before" in text and "after" in text
    assert text.count("a sample is excluded, the first with this fault") == 1

    # Three steps, evaluations before the first, after the second and after the last, all of it recorded.
    steps = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 2, 3]
    assert all(math.isfinite(value) for step in steps for value in step.values() if isinstance(value, float))
    evaluations = [json.loads(line) for line in (output / "evaluations.jsonl").read_text().splitlines()]
    assert [one["step"] for one in evaluations] == [0, 2, 3]
    run = json.loads((output / "run.json").read_text())
    assert ("no CUDA device" in text) == run["cpu"]
    assert run["versions"]["packages"]["openrlhf"] == "0.11.2" and "plugin 'e2e' of e2e-plugin 1.0" in str(run)
    assert (output / "recipe.yaml").exists()
    assert "--actor.max_norm 0.5" in run["command"] and "--actor.adam.lr 0.001" in run["command"]

    # Multi-turn rollouts with real programs in the real sandbox, and masks that hold for every one of them.
    trajectories = list(read_trajectories(output / "trajectories" / "train.jsonl.gz"))
    assert [t.step for t in trajectories] == [0] * 4 + [1] * 4 + [2] * 4
    calls = [call for t in trajectories for call in t.tool_calls]
    assert calls and {call.isolation for call in calls} == {"firejail"}
    assert {call.status for call in calls} <= {"ok", "error"}
    outputs = [s.text for t in trajectories for s in t.segments if s.kind is SegmentKind.CODE_OUTPUT]
    assert outputs and not any("R1CI" in shown or "PYTHONPATH" in shown for shown in outputs)  # environment is cleared
    for trajectory in trajectories:
        check_invariants(trajectory, MASKED.ranges(trajectory), MASKED)
    assert len((tmp_path / "seen").read_text().splitlines()) == 12 + 2 * 3  # the observer, failing each time

    # What could not be judged is named, counted and not trained; everything else is trained once.
    excluded = [t for t in trajectories if t.excluded]
    assert len(excluded) == 2 and {t.question.key for t in excluded} == {"reasoning_gym/gcd/rl/0/7"}
    assert all("the reward term picky raised" in t.fault for t in excluded)
    assert sum(step["rollout/excluded"] for step in steps) == 2
    advantages = [json.loads(line)["trajectory"] for line in (output / "advantages.jsonl").read_text().splitlines()]
    assert sorted(advantages) == sorted(t.fingerprint for t in trajectories if not t.excluded)

    # Log-probs of vLLM and of the trainer agree, also after the weights moved and were synchronised.
    assert all(abs(step["vllm_kl"]) < 0.01 for step in steps), [step["vllm_kl"] for step in steps]
    assert all(step["actor_grad_norm"] > 0 for step in steps)
    from safetensors.torch import load_file

    adapter = load_file(output / "model" / "adapter_model.safetensors")
    assert any(weight.any() for name, weight in adapter.items() if "lora_B" in name)  # zero before training
    assert "openrlhf.cli.lora_combiner --model_path" in text
    assert list((output / "tensorboard").rglob("events.*"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(next((output / "tensorboard").rglob("events.*")).parent)).Reload().Tags()["scalars"]
    for metric in ("accuracy", "code_calls", "code_share", "tool_error_rate", "timeouts", "queue_s", "execution_s"):
        assert f"train/rollout/task/reasoning_gym/gcd/{metric}" in curves
    assert "train/rollout/reward/checksum" in curves and "eval/eval_task/reasoning_gym/gcd/accuracy" in curves
