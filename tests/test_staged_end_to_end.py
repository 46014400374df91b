"""A staged recipe on the real stack, interrupted and taken up: firejail, OpenRLHF's train_sft, vLLM, a tiny model."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.rollout.trajectory_file import read_trajectories

ROOT = Path(__file__).parents[1]
TINY = ROOT / "models" / "tiny-random"
STACK = all(importlib.util.find_spec(package) for package in ("openrlhf", "deepspeed", "torch", "vllm"))
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.stack,
    pytest.mark.firejail,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not STACK, reason="needs the trainer's stack: run `make setup`"),
    pytest.mark.skipif(shutil.which("firejail") is None, reason="needs firejail"),
    pytest.mark.skipif(not (TINY / "tokenizer.json").exists(), reason="needs models/tiny-random: run `make setup`"),
]

RECIPE = f"""
output_dir: FOLDER
model: {TINY}
seed: 7
tasks:
  train: [{{tasks: [reasoning_gym/gcd, bbh/word_sorting], count: 8}}]
  eval: [{{tasks: [reasoning_gym/gcd, bbh/word_sorting], count: 2}}]
protocol: {{max_code_calls: 1, max_turn_tokens: 16}}
sandbox: {{concurrency: 1, limits: {{wall_s: 10}}}}
trainer: {{data.max_len: 1024, ds.zero_stage: 0}}
stages:
  - name: material
    run: synthesize
    protocol: {{max_code_calls: 3, max_turn_tokens: 400}}
    synthesis: {{per_task: 4}}
  - name: sft
    run: train_sft
    trainer:
      train: {{batch_size: 2, micro_batch_size: 2, max_epochs: 1}}
      adam.lr: 1.0e-3
      lr_scheduler: constant
      lr_warmup_ratio: 0
      ckpt: {{save_steps: 3, disable_ds: false}}
  - name: after
    run: evaluate
    trainer:
      eval: {{n_samples_per_prompt: 2, temperature: 1.0}}
      vllm.gpu_memory_utilization: 0.1
"""


def test_stages_hand_over_and_are_taken_up_where_they_stopped(tmp_path):
    recipe, folder = tmp_path / "staged.yaml", tmp_path / "run"
    recipe.write_text(RECIPE.replace("FOLDER", str(folder)))
    command = [str(Path(sys.executable).parent / "r1ci"), "run", str(recipe)]

    def run(*options):
        return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)

    first = run("--without", "after")
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    assert len(list(read_trajectories(folder / "material" / "trajectories.jsonl.gz"))) == 8
    steps = [json.loads(line)["step"] for line in (folder / "sft" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]

    # As if it had been killed after its checkpoint at step 3.
    finished = (folder / "stages.jsonl").read_text().splitlines(keepends=True)
    (folder / "stages.jsonl").write_text(finished[0])
    (folder / "sft" / "metrics.jsonl").unlink()
    shutil.rmtree(folder / "sft" / "model")
    second = run()
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
    assert "1/3 material (done)" in second.stdout and "2/3 sft (begun)" in second.stdout
    assert "--ckpt.load_enable" in second.stdout
    assert re.search(r"Loaded the checkpoint: .*consumed_samples: 6", second.stdout)
    steps = [json.loads(line)["step"] for line in (folder / "sft" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [4]

    # The evaluation asked the model that SFT left; two samples of four questions.
    evaluated = json.loads((folder / "after" / "evaluations.jsonl").read_text())
    assert evaluated["questions"] == 4 and len(evaluated["outcomes"]) == 8
    assert load_recipe(folder / "after" / "recipe.yaml").model == str(folder / "sft" / "model")
    assert len(list(read_trajectories(folder / "after" / "trajectories" / "eval.jsonl.gz"))) == 8
    assert "fewer than two evaluations" in second.stdout

    third = run("--must-improve")  # nothing is left to do; and nothing shows that anything rose
    assert third.returncode == 1 and "3/3 after (done)" in third.stdout and "== stage" not in third.stdout
