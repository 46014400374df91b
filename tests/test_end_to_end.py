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
import signal
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
    if trajectory.question.index == 0:
        raise ValueError("not this one")
    return checksum(trajectory)

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
        *("--set", "protocol.answer_format=babble", "--set", "rewards={checksum: {}, correctness: {}}"),
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
    process, output, log = start()
    assert process.wait(500) == 0, log.read_text()[-6000:]
    assert wait_until(lambda: not survivors(output), 5), survivors(output)
    text = log.read_text()
    assert "Accuracy on held-out questions" in text and "before" in text and "after" in text

    # Two steps, two evaluations (before the first step, after the last), all of it recorded.
    steps = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 2]
    evaluations = [json.loads(line) for line in (output / "evaluations.jsonl").read_text().splitlines()]
    assert [one["step"] for one in evaluations] == [0, 2]
    run = json.loads((output / "run.json").read_text())
    assert ("no CUDA device" in text) == run["cpu"]
    assert run["versions"]["packages"]["openrlhf"] == "0.11.2" and "plugin 'e2e' of e2e-plugin 1.0" in str(run)
    assert (output / "recipe.yaml").exists()
    assert "--actor.max_norm 0.5" in run["command"] and "--actor.adam.lr 0.001" in run["command"]

    # Multi-turn rollouts with real programs in the real sandbox, and masks that hold for every one of them.
    trajectories = list(read_trajectories(output / "trajectories" / "train.jsonl.gz"))
    assert [t.step for t in trajectories] == [0] * 4 + [1] * 4
    calls = [call for t in trajectories for call in t.tool_calls]
    assert calls and {call.isolation for call in calls} == {"firejail"}
    assert {call.status for call in calls} <= {"ok", "error"}
    outputs = [s.text for t in trajectories for s in t.segments if s.kind is SegmentKind.CODE_OUTPUT]
    assert outputs and not any("R1CI" in shown or "PYTHONPATH" in shown for shown in outputs)  # environment is cleared
    for trajectory in trajectories:
        assert not trajectory.excluded, trajectory.fault
        check_invariants(trajectory, MASKED.ranges(trajectory), MASKED)
    assert len((tmp_path / "seen").read_text().splitlines()) == 8 + 2 * 2  # the observer, failing each time

    # Log-probs of vLLM and of the trainer agree, also after the weights moved and were synchronised.
    assert all(abs(step["vllm_kl"]) < 0.01 for step in steps), [step["vllm_kl"] for step in steps]
    assert all(step["actor_grad_norm"] > 0 for step in steps)
    from safetensors.torch import load_file

    before = load_file(ROOT / "models" / "tiny-random" / "model.safetensors")
    after = load_file(output / "model" / "model.safetensors")
    assert any(not before[name].equal(after[name]) for name in before if name in after)
    assert (output / "model" / "config.json").exists()
    assert list((output / "tensorboard").rglob("events.*"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(next((output / "tensorboard").rglob("events.*")).parent)).Reload().Tags()["scalars"]
    for metric in ("accuracy", "code_calls", "code_share", "tool_error_rate", "timeouts", "queue_s", "execution_s"):
        assert f"train/rollout/task/reasoning_gym/gcd/{metric}" in curves
    assert "train/rollout/reward/checksum" in curves and "eval/eval_task/reasoning_gym/gcd/accuracy" in curves


def test_two_ranks_two_engines_lora_and_a_group_of_faults(start):
    """5 prompts in batches of 3, 9 and 6 samples in steps of 4: nothing divides, and one question is never judged."""
    process, output, log = start(
        *("--set", "tasks.train=[{tasks: [reasoning_gym/gcd], count: 5}]", "--set", "rewards={picky: {}}"),
        *(
            "--rollout.batch_size",
            "3",
            "--rollout.n_samples_per_prompt",
            "3",
            "--actor.num_gpus_per_node",
            "2",
            "--ref.num_gpus_per_node",
            "2",
        ),
        *("--vllm.num_engines", "2", "--train.micro_batch_size", "1", "--ds.packing_samples", "--ds.lora.rank", "4"),
    )
    assert process.wait(500) == 0, log.read_text()[-6000:]
    assert log.read_text().count("a sample is excluded, the first with this fault") == 1
    trajectories = list(read_trajectories(output / "trajectories" / "train.jsonl.gz"))
    excluded = [t for t in trajectories if t.excluded]
    assert len(trajectories) == 15 and len(excluded) == 3 and {t.question.index for t in excluded} == {0}
    assert all("the reward term picky raised" in t.fault for t in excluded)
    steps = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert [step["rollout/samples"] for step in steps] == [9, 6]
    assert sum(step["rollout/excluded"] for step in steps) == 3
    assert all(math.isfinite(value) for step in steps for value in step.values() if isinstance(value, float))
    advantages = [json.loads(line) for line in (output / "advantages.jsonl").read_text().splitlines()]
    assert len(advantages) == 12  # of the others, one each
    assert not {one["trajectory"] for one in advantages} & {t.fingerprint for t in excluded}
    assert (output / "model" / "adapter_model.safetensors").exists()
    assert "openrlhf.cli.lora_combiner --model_path" in log.read_text()
    assert wait_until(lambda: not survivors(output), 5), survivors(output)


def test_ctrl_c_leaves_no_process_and_whole_files(start):
    process, output, log = start()
    deadline = time.monotonic() + 300
    while "evaluation after step 0" not in log.read_text():
        assert process.poll() is None, log.read_text()[-6000:]
        assert time.monotonic() < deadline, log.read_text()[-6000:]
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    process.wait(120)  # seconds, or minutes where other tests run beside it
    assert process.returncode == 130
    assert wait_until(lambda: not survivors(output), 5), survivors(output)
    assert "interrupted" in log.read_text()
    assert len(list(read_trajectories(output / "trajectories" / "eval.jsonl.gz"))) == 2
