from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from r1ci_plugins.cli.main import app
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.rollout.metrics import OutcomeSummary

RECIPE = """
output_dir: {folder}
model: base-model
tasks:
  train: [{{tasks: [bbh/word_sorting], count: 4}}]
  eval: [{{tasks: [bbh/word_sorting], count: 2}}]
stages:
  - {{name: base, run: evaluate}}
  - {{name: rl, run: train_ppo, trainer: {{vllm.num_engines: 1}}}}
"""


@pytest.fixture
def r1ci(tmp_path):
    file = tmp_path / "staged.yaml"
    file.write_text(RECIPE.format(folder=tmp_path / "run"))

    def run(*options):
        return CliRunner().invoke(app, ["run", str(file), *options])

    return run


def test_a_dry_run_shows_the_commands_and_starts_nothing(r1ci, tmp_path):
    shown = r1ci("--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "1/2 base (to do): r1ci evaluate" in shown.output
    assert "2/2 rl (to do): openrlhf.cli.train_ppo --plugin r1ci" in shown.output
    assert not (tmp_path / "run").exists()


def test_mistakes_are_found_before_anything_starts(r1ci):
    for option, message in (
        ("stages.rl.trainer.actor.adam.lrr=1", "has no flag --actor.adam.lrr"),
        ("stages.rl.tasks.train=[{tasks: [bbh/word_sortin], count: 1}]", "no task is named"),
        ("stages.r.seed=1", "there is no stage 'r'"),
    ):
        result = r1ci("--set", option)
        assert isinstance(result.exception, RecipeError) and message in str(result.exception)


@pytest.mark.parametrize(
    ("before", "after", "status", "verdict"),
    [
        (0, 10, 0, "a rise of more than two standard errors"),
        (0, 1, 1, "NO rise"),
        (9, 9, 1, "no room to rise: 90.0% were right before this stage"),
        (10, 9, 1, "no room to rise: 100.0% were right before this stage"),
        (10, 5, 1, "NO rise"),
        (8, 8, 1, "NO rise"),
    ],
)
def test_the_end_says_whether_accuracy_rose_and_exits_by_it(r1ci, tmp_path, before, after, status, verdict):
    """Finished stages, so that only the end is left to do."""
    assert r1ci("--dry-run").exit_code == 0
    finish(tmp_path / "run", before, after)
    result = r1ci("--must-improve")
    assert result.exit_code == status, result.output
    assert verdict in result.output and "base -> after rl: " in result.output
    assert "demo/a" in (tmp_path / "run" / "comparison.txt").read_text()
    assert (tmp_path / "run" / "progress.png").stat().st_size > 1000
    assert r1ci().exit_code == 0  # nothing was demanded


def finish(run, before, after):
    """What both stages leave: how many of ten questions were right before and after."""
    from r1ci_plugins.recipe.loading import dump
    from r1ci_plugins.runs.stages import load_stages

    for stage in load_stages(run.parent / "staged.yaml"):
        stage.folder.mkdir(parents=True)
        (run / f"{stage.name}.yaml").write_text(dump(stage.recipe))
        with open(run / "stages.jsonl", "a") as lines:
            lines.write(json.dumps({"stage": stage.name, "seconds": 1.0}) + "\n")
    for stage, steps in (("base", {0: before}), ("rl", {0: before, 5: after})):
        with open(run / stage / "evaluations.jsonl", "w") as lines:
            for step, count in steps.items():
                outcomes = [
                    OutcomeSummary(
                        "demo/a", f"demo/a/{n}", n < count, 0.0, {}, "answered", False, (), 0, (), (), (), 0, 1, 0.1
                    )
                    for n in range(10)
                ]
                lines.write(json.dumps({"step": step, "outcomes": [o.to_dict() for o in outcomes]}) + "\n")
