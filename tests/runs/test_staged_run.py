from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.run_folder import RunFolder
from r1ci_plugins.runs.staged_run import StagedRun, State, locked
from r1ci_plugins.runs.stages import load_stages

RECIPE = """
output_dir: {folder}
model: base-model
tasks:
  train: [{{tasks: [demo/sum], count: 4}}]
  eval: [{{tasks: [demo/sum], count: 2}}]
stages:
  - {{name: base, run: evaluate}}
  - {{name: material, run: synthesize}}
  - {{name: sft, run: train_sft, launcher: torchrun --nproc_per_node 2}}
  - {{name: rl, run: train_ppo}}
"""


@dataclass(frozen=True)
class Scripted(StagedRun):
    """Stages whose commands are a few lines of Python."""

    script: str = "import pathlib, sys; pathlib.Path(sys.argv[1]).mkdir(); (pathlib.Path(sys.argv[1]) / 'x').touch()"

    def command(self, stage):
        return [sys.executable, "-c", self.script, str(stage.folder)]


@pytest.fixture
def work(tmp_path):
    def make(kind=Scripted, *overrides, **options):
        file = tmp_path / "staged.yaml"
        file.write_text(RECIPE.format(folder=tmp_path / "run"))
        return kind(tmp_path / "run", load_stages(file, overrides), ["r1ci"], **options)

    return make


def run(work, *names):
    with locked(work.path) as lock:
        for stage in work.stages:
            if stage.name in names:
                work.run(stage, lock)


def test_finished_stages_are_remembered_with_their_recipes(work):
    one = work()
    assert set(one.states().values()) == {State.TO_DO}
    run(one, "base", "material")
    assert list(one.states().values()) == [State.DONE, State.DONE, State.TO_DO, State.TO_DO]
    assert set(one.seconds()) == {"base", "material"}
    assert load_recipe(one.path / "material.yaml") == one.stages[1].recipe


def test_a_finished_stage_is_not_mixed_with_another_recipe(work):
    run(work(), "base", "material")
    with pytest.raises(RecipeError, match="finished with another recipe.*seed: 42.*seed: 5"):
        work(Scripted, "seed=5").states()
    work(Scripted, "stages.rl.seed=5").states()  # not begun: free to change


def test_what_builds_on_a_missing_stage_is_not_kept_silently(work, tmp_path):
    run(work(), "base", "material", "sft")
    (tmp_path / "run" / "material" / "x").unlink()
    (tmp_path / "run" / "material").rmdir()
    with pytest.raises(RecipeError, match="sft is finished, but material before it is not"):
        work().states()


def test_a_stage_that_fails_is_named_and_not_done(work):
    broken = work(script="import pathlib, sys; pathlib.Path(sys.argv[1], 'x').mkdir(parents=True); sys.exit(3)")
    with pytest.raises(MachineProblem, match="stage base ended with status 3"):
        run(broken, "base")
    assert broken.states()["base"] is State.BEGUN


def test_training_without_a_checkpoint_starts_anew_and_keeps_what_was_there(work, tmp_path):
    folder = RunFolder(tmp_path / "run" / "sft")
    folder.path.mkdir(parents=True)
    folder.run.touch()
    one = work()
    run(one, "sft")
    assert (tmp_path / "run" / "sft.interrupted-1" / "run.json").exists()
    assert one.seconds().keys() == {"sft"}


@pytest.mark.parametrize("stage, place", [(2, "latest"), (3, "_actor/latest")])
def test_training_goes_on_from_its_last_checkpoint(work, stage, place):
    real = work(StagedRun)
    assert "--ckpt.load_enable" not in real.command(real.stages[stage])
    folder = RunFolder(real.stages[stage].folder)
    (folder.checkpoints / place).parent.mkdir(parents=True)
    (folder.checkpoints / place).touch()
    folder.run.touch()
    assert real.command(real.stages[stage])[-1] == "--ckpt.load_enable"


def test_commands_can_be_given_by_hand(work):
    real = work(StagedRun)
    base, material, sft, rl = (real.command(stage) for stage in real.stages)
    assert base[:4] == ["r1ci", "evaluate", "--plugin", "r1ci"]
    assert material[-2:] == ["--out", str(real.path / "material")]
    assert sft[:3] == ["torchrun", "--nproc_per_node", "2"] and sft[3].endswith("/openrlhf.cli.train_sft")
    assert rl[0] == "openrlhf.cli.train_ppo" and rl[-1].endswith("rl.yaml")


def test_evaluations_are_in_order_of_time_and_the_later_of_two_counts(work):
    one = work()

    def evaluated(stage, *lines):
        folder = RunFolder(one.path / stage)
        folder.path.mkdir(parents=True, exist_ok=True)
        kept = [{"step": step, "outcomes": [_outcome(right)]} for step, right in lines]
        folder.evaluations.write_text("".join(json.dumps(line) + "\n" for line in kept))

    evaluated("base", (0, False))
    evaluated("rl", (0, True), (4, False), (9, True))
    found = one.evaluations()
    assert [(e.label, e.accuracy.mean) for e in found] == [("base", 0.0), ("after sft", 1.0), ("after rl", 1.0)]


def _outcome(correct):
    return OutcomeSummary(
        "demo/sum", "demo/sum/1", correct, 0.0, {}, "answered", False, (), 0, (), (), (), 0, 1, 0.1
    ).to_dict()


def test_two_runs_do_not_share_a_folder_even_when_the_first_was_killed(work, tmp_path):
    """The lock lives as long as the stage that was started under it."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[2]); import subprocess, time\n"
        "from pathlib import Path\nfrom r1ci_plugins.runs.staged_run import locked\n"
        "with locked(Path(sys.argv[1])) as lock:\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], pass_fds=[lock])\n"
        "    print(child.pid, flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "run"), "."], stdout=subprocess.PIPE)
    child = int(first.stdout.readline())
    first.kill()
    first.wait()
    try:
        with pytest.raises(MachineProblem, match="another `r1ci run`"), locked(tmp_path / "run"):
            pass
    finally:
        subprocess.run(["kill", "-9", str(child)], check=True)
    for _ in range(100):
        try:
            with locked(tmp_path / "run"):
                return
        except MachineProblem:
            time.sleep(0.05)
    raise AssertionError("the lock outlived everything")


def test_ctrl_c_lets_the_stage_end_and_counts_it_as_begun(tmp_path):
    file = tmp_path / "staged.yaml"
    file.write_text(RECIPE.format(folder=tmp_path / "run"))
    program = (
        "import sys\n"
        "from r1ci_plugins.runs.staged_run import StagedRun, locked\n"
        "from r1ci_plugins.runs.stages import load_stages\n"
        "class S(StagedRun):\n"
        "    def command(self, stage):\n"
        "        return [sys.executable, '-c', 'import pathlib, sys, time\\n"
        'p = pathlib.Path(sys.argv[1]); p.mkdir(); (p / "begun").touch()\\n'
        'try: time.sleep(60)\\nexcept KeyboardInterrupt: (p / "ended").touch()\', str(stage.folder)]\n'
        "stages = load_stages(sys.argv[1])\nwork = S.of(stages, ['r1ci'])\n"
        "with locked(work.path) as lock:\n    work.run(stages[0], lock)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(file)], start_new_session=True)
    for _ in range(600):
        if (tmp_path / "run" / "base" / "begun").exists():
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) != 0
    assert (tmp_path / "run" / "base" / "ended").exists()
    assert not (tmp_path / "run" / "stages.jsonl").exists()
