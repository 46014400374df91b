"""Supervised fine-tuning on the real stack: OpenRLHF's train_sft and DeepSpeed, with a tiny model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from r1ci_plugins.engines.scripted import ScriptedEngine
from r1ci_plugins.environment import episode_budget
from r1ci_plugins.errors import R1CIError, TrajectoryFileError
from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.recipe.schema import ProtocolConfig
from r1ci_plugins.rollout.loop import CodeRunner, run_episode
from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED

ROOT = Path(__file__).parents[1]
STACK = all(importlib.util.find_spec(package) for package in ("openrlhf", "deepspeed", "torch"))
pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not STACK, reason="needs the trainer's stack: run `make setup`"),
]
BIN = Path(sys.executable).parent


class Printer:
    """A sandbox whose programs print their own length."""

    isolation = "none"

    async def start(self): ...

    async def close(self): ...

    async def run(self, code, limits):
        text = f"{len(code)}\n"
        return ExecutionResult(text, "", text, ExecutionStatus.OK, 0, 0.1, 0.1, 0.0, 0, "none")


@pytest.fixture(scope="session")
def trajectories(tokenizers):
    """Eight right ones and a wrong one, made by RL's loop."""
    template = ChatTemplate(tokenizers["chatml"], NaturalFormat().instructions)
    made = []
    for number in range(9):
        said = [f"I run it.\n```python\nprint({number})\n```<|im_end|>", f"{'So ' * number}<<<{number}>>>.<|im_end|>"]
        episode = run_episode(
            Question(f"What is {number}?", str(number), task="demo/number", split="sft", index=number),
            engine=ScriptedEngine(said, template.encode),
            template=template,
            answer_format=NaturalFormat(),
            code_runner=CodeRunner(Printer(), Limits(), 2),
            budget=episode_budget(ProtocolConfig(), 8192),
        )
        made.append(replace(asyncio.run(episode), score=float(number != 8)))
    return made


@pytest.fixture
def sft(trajectories, tmp_path):
    """Run the launcher on recipes/cpu-sft-smoke.yaml; returns the finished process and the run's folder."""
    file = tmp_path / "made here" / "trajectories.jsonl.gz"  # paths with blanks must work
    TrajectoryWriter(file, max_mb=64, sample_rate=1.0).write(trajectories)
    output = tmp_path / "a run"
    model = ROOT / "models" / "tiny-random"
    if not (model / "config.json").exists():
        pytest.skip("needs models/tiny-random: run `make setup`")

    def run(*more, launcher=(sys.executable,)):
        done = subprocess.run(
            [
                *(*launcher, BIN / "openrlhf.cli.train_sft", "--plugin", "r1ci"),
                *("--recipe", ROOT / "recipes" / "cpu-sft-smoke.yaml", "--set", f"output_dir={output}"),
                *("--set", f"model={model}", "--set", f"sft.trajectories={file}", *map(str, more)),
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "R1CI_CPU_BACKEND": "1",
                "DS_ACCELERATOR": "cpu",
                "PATH": f"{BIN}:{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=500,
        )
        return done, output

    run.file = file
    return run


def steps(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def check(output, trajectories, mask):
    """Two steps over the eight right trajectories, and exactly their masks were trained."""
    lines = steps(output)
    assert [line["step"] for line in lines] == [1, 2]
    assert all(math.isfinite(line["gpt_loss"]) and line["grad_norm"] > 0 for line in lines)
    expected = sum(end - start for t in trajectories[:8] for start, end in mask.ranges(t))
    assert sum(line["trained_tokens"] for line in lines) == expected


@pytest.mark.e2e
def test_plain_python(sft, trajectories):
    done, output = sft("--eval.dataset", sft.file, "--eval.steps", "1")
    assert done.returncode == 0, done.stderr[-6000:]
    check(output, trajectories, MASKED)
    expected = sum(end - start for t in trajectories[:8] for start, end in MASKED.ranges(t))
    assert f"8 trajectories, {expected} of " in done.stdout and "1 left out: no correct answer" in done.stdout
    assert (output / "recipe.yaml").exists() and (output / "run.json").exists()
    assert list((output / "tensorboard").rglob("events.*"))
    from safetensors.torch import load_file

    before = load_file(ROOT / "models" / "tiny-random" / "model.safetensors")
    after = load_file(output / "model" / "model.safetensors")
    assert any(not before[name].equal(after[name]) for name in before if name in after)


@pytest.mark.e2e
def test_torchrun_with_two_processes_lora_and_the_ablation(sft, trajectories):
    launcher = (BIN / "torchrun", "--nproc_per_node", "2", "--master_port", str(20_000 + os.getpid() % 10_000))
    options = ("--set", "mask.code_outputs=unmasked", "--ds.lora.rank", "4")
    done, output = sft(*options, launcher=launcher)
    assert done.returncode == 0, done.stderr[-6000:]
    check(output, trajectories, UNMASKED)
    assert done.stdout.count("r1ci: data.dataset") == done.stdout.count("r1ci: model in") == 1
    assert (output / "model" / "adapter_model.safetensors").exists()


@pytest.mark.e2e
def test_deepspeeds_launcher(sft, trajectories):
    port = str(20_000 + (os.getpid() + 1) % 10_000)
    # By its interpreter: in a folder with a space the first line of DeepSpeed's own script names none.
    launcher = (sys.executable, BIN / "deepspeed", "--num_accelerators", "1", "--master_port", port)
    done, output = sft(launcher=launcher)
    assert done.returncode == 0, done.stderr[-6000:]
    check(output, trajectories, MASKED)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.fixture
def load(sft, tmp_path, monkeypatch, tokenizers):
    """What the launcher does before it starts anything, in this process."""
    monkeypatch.setenv("R1CI_CPU_BACKEND", "1")
    from r1ci_plugins.trainers.openrlhf.plan import make_plan
    from r1ci_plugins.trainers.openrlhf.sft_examples import load_examples

    def load(*flags, file=sft.file, **overrides):
        given = {"output_dir": tmp_path / "run", "sft.trajectories": file} | overrides
        recipe = str(ROOT / "recipes" / "cpu-sft-smoke.yaml")
        plan = make_plan("train_sft", ["r1ci"], recipe, [f"{key}={value}" for key, value in given.items()], flags)
        template = ChatTemplate(tokenizers["chatml"], NaturalFormat().instructions)
        return load_examples(plan, template, plan.prepared.loss_mask())

    load.file = sft.file
    return load


@pytest.mark.parametrize(
    ("flags", "overrides", "expected"),
    [
        ([], {"sft": "null"}, ["names no trajectories to train on", "r1ci synthesize"]),
        ([], {"sft.too_long": "crop"}, ["sft.too_long", "'drop' or 'cut_at_turn'"]),
        ([], {"trainer.train.batch_size": 32}, ["8 trajectories are left", "a batch has 32", "no correct answer"]),
        (["--data.max_len", "20"], {}, ["0 trajectories are left", "8 left out: longer than 20 tokens"]),
        (["--data.multiturn"], {}, ["--data.multiturn has no meaning here", "mask.code_outputs"]),
        ([], {"trainer.model.pretrain_mode_enable": "true"}, ["model.pretrain_mode_enable has no meaning here"]),
        (["--ds.load_in_4bit"], {}, ["--ds.load_in_4bit", "bitsandbytes"]),
        ([], {"mask.code_outputs": "maskd"}, ["maskd", "did you mean 'masked'?"]),
    ],
)
def test_bad_settings(load, flags, overrides, expected):
    with pytest.raises(R1CIError) as caught:
        load(*flags, **overrides)
    assert all(part in str(caught.value) for part in expected), caught.value


def test_trajectories_of_another_model_and_of_another_release(load, trajectories, tokenizers, tmp_path):
    other = ChatTemplate(tokenizers["llama3"], "Think.")
    strange = replace(trajectories[1], segments=(other.prompt("Who?"), *trajectories[1].segments[1:]))
    lines = [trajectory.to_json() for trajectory in trajectories[:2]]
    for name, content, expected in [
        ("other", [lines[0], strange.to_json()], ["prompt is not what this model's tokenizer", "demo/number/sft/1/0"]),
        ("version", [lines[0], lines[1].replace('"version": 1', '"version": 99')], ["version 99", "line 2"]),
        ("broken", [lines[0], lines[1][:100]], ["not a trajectory record", "line 2"]),
        ("missing", None, ["cannot read trajectories", "r1ci synthesize"]),
    ]:
        file = tmp_path / f"{name}.jsonl"
        if content:
            file.write_text("\n".join(content) + "\n", encoding="utf-8")
        with pytest.raises(TrajectoryFileError) as caught:
            load(file=file)
        assert all(part in str(caught.value) for part in [*expected, str(file)]), caught.value


def test_too_long_trajectories_are_cut_at_a_turn_if_wanted(load, capsys):
    (examples,) = load("--data.max_len", "150", **{"sft.too_long": "cut_at_turn"}).values()
    assert len(examples) == 8 and max(len(example.token_ids) for example in examples) <= 150
    assert "cut at a turn" in capsys.readouterr().out


def test_a_refusal_leaves_nothing_behind(sft):
    done, output = sft("--set", "sft.trajectories=nowhere.jsonl")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("openrlhf.cli.train_sft: error: ") and "Traceback" not in done.stderr
    assert "nowhere.jsonl" in done.stderr and "fix:" in done.stderr
    assert not output.exists()
