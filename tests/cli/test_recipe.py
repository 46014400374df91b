from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from r1ci_plugins.cli.recipe import app
from r1ci_plugins.errors import R1CIError, RecipeError
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.recipe.new_recipe import ALGORITHMS

SMOKE = str(Path(__file__).parents[2] / "recipes" / "cpu-smoke.yaml")


PACK = """
from r1ci_plugins import Question, Task, TaskPack, hookimpl

class Echo(Task):
    name = "echo"
    def generate(self, rng, difficulty):
        return Question(text="Say yes.", answer="yes")
    def check(self, question, answer):
        return answer == "yes"

@hookimpl
def r1ci_task_packs():
    return [TaskPack("demo_cli", [Echo()])]
"""


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task pack ``demo_cli``, installed on ``sys.path``."""
    info = tmp_path / "demo_cli-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-cli\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[r1ci.task_packs]\ndemo_cli = demo_cli_pack\n")
    (tmp_path / "demo_cli_pack.py").write_text(PACK)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_schema_is_json():
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0 and json.loads(result.stdout)["additionalProperties"] is False


def test_show_fills_in_defaults_and_overrides():
    result = CliRunner().invoke(app, ["show", SMOKE, "--set", "protocol.max_code_calls=3", "--set", "seed=9"])
    shown = yaml.safe_load(result.stdout)
    assert (shown["protocol"]["max_code_calls"], shown["seed"], shown["verifier"]["name"]) == (3, 9, "task")


def test_check_passes_a_recipe_that_is_right():
    pytest.importorskip("r1ci_tasks_reasoning_gym")
    result = CliRunner().invoke(app, ["check", SMOKE], catch_exceptions=False)
    assert result.exit_code == 0 and "2 tasks, 4 questions" in result.stdout


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("protocol.answer_format=natrual", "did you mean 'natural'?"),
        ("rewards.formt={}", "there is no reward term 'formt'"),
        ("rewards.format.bonnus=1", "did you mean 'bonus'?"),
        ("mask.code_outputs=mask", "did you mean 'masked'?"),
        ("sandbox.backend=docker", "there is no sandbox 'docker'"),
        ("verifier.name=tsk", "did you mean 'task'?"),
        ("tasks.train.0.tasks=[demo_cli/ecko]", "did you mean 'demo_cli/echo'?"),
        ("tasks.train.0.tasks=[demo_clj/echo]", "pip install r1ci-tasks-demo-clj"),
        ("tasks.train.0.difficulty=3", "has no difficulty 3"),
    ],
)
def test_check_finds_what_only_the_plugins_know(override, expected, pack, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("output_dir: x\nmodel: x\ntasks: {train: [{tasks: [demo_cli/*], count: 5}]}\n")
    result = CliRunner().invoke(app, ["check", str(recipe)], catch_exceptions=False)
    assert "1 tasks, 5 questions" in result.stdout
    with pytest.raises(R1CIError) as caught:
        CliRunner().invoke(app, ["check", str(recipe), "--set", override], catch_exceptions=False)
    assert expected in str(caught.value)


def test_list_shows_every_recipe():
    shown = CliRunner().invoke(app, ["list"]).stdout
    assert all(f"r1ci:{file.stem}\t" in shown for file in Path(SMOKE).parent.glob("*.yaml"))


def new(*arguments, **keywords):
    return CliRunner().invoke(app, ["new", *arguments], catch_exceptions=False, **keywords)


@pytest.mark.stack
@pytest.mark.parametrize(
    ("algorithm", "gpus"), [*((name, "8x80") for name in ALGORITHMS), ("grpo", "cpu"), ("sft", "cpu"), ("ppo", "3x24")]
)
def test_a_new_recipe_is_checked_and_its_dry_run_passes(algorithm, gpus, pack, tmp_path, monkeypatch):
    from r1ci_plugins.trainers.openrlhf.launcher import _run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("R1CI_CPU_BACKEND", "1")
    result = new("mine", "--gpus", gpus, "--algorithm", algorithm, "--tasks", "demo_cli/*")
    assert (
        result.exit_code == 0
        and f"--recipe mine.yaml --dry-run{'' if gpus == 'cpu' else f' --for {gpus}'}" in result.stdout
    )
    assert load_recipe("mine.yaml").output_dir == "runs/mine"
    if gpus != "cpu":
        command = "train_sft" if algorithm == "sft" else "train_ppo"
        assert _run(command, ["--plugin", "r1ci", "--recipe", "mine.yaml", "--dry-run", "--for", gpus]) == 0


def test_a_new_recipe_asks_on_a_terminal(pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "r1ci_plugins.cli.recipe.sys", type("sys", (), {"stdin": type("tty", (), {"isatty": lambda: True})})
    )
    result = new("mine", input="org/model: 7B\n2x8x80\ndr_grpo\ndemo_cli/echo\n")
    assert "model (folder or hub name)" in result.stdout
    recipe = load_recipe("mine.yaml")
    assert recipe.model == "org/model: 7B" and recipe.flags()["actor.num_nodes"] == 2
    assert recipe.flags()["algo.advantage.estimator"] == "dr_grpo"
    assert recipe.tasks.train[0].tasks == ["demo_cli/echo"] == recipe.tasks.eval[0].tasks


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--algorithm", "grppo"], "did you mean 'grpo'?"),
        (["--gpus", "eight"], "--gpus 8x80"),
        (["--tasks", "demo_cli/ecko"], "did you mean 'demo_cli/echo'?"),
        (["--from", "cpu-smok"], "did you mean 'cpu-smoke'?"),
    ],
)
def test_a_wrong_wish_writes_nothing(arguments, expected, pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(R1CIError) as caught:
        new("mine", *arguments)
    assert expected in str(caught.value) and not Path("mine.yaml").exists()


def test_a_copied_recipe_names_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new("mine", "--from", "cpu-smoke")
    text = Path("mine.yaml").read_text()
    assert "--recipe mine.yaml" in text and load_recipe("mine.yaml").output_dir == "runs/mine"
    with pytest.raises(RecipeError, match="exists already"):
        new("mine", "--from", "cpu-smoke")
