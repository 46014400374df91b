from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1ci_plugins.cli.main import app
from r1ci_plugins.errors import PluginError

PACK = """
from r1ci_plugins import Question, Task, TaskPack, hookimpl
from r1ci_plugins.tasks import answers

class Doubling(Task):
    name = "doubling"
    description = "Double an integer."

    def generate(self, rng, difficulty):
        n = rng.randrange(10**5, 10**6)
        return Question(f"What is twice {n}?", str(2 * n), {"n": n})

    def check(self, question, answer):
        return answers.integer(answer) == 2 * question.metadata["n"]

class Careless(Doubling):
    name = "careless"
    def check(self, question, answer):
        return question.answer in answer

@hookimpl
def r1ci_task_packs():
    return [TaskPack("numbers", [Careless(), Doubling()])]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A pack's module in a folder; ``sys.path`` and the imported module are put back afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "number_tasks.py").write_text(PACK)
    yield tmp_path
    sys.modules.pop("number_tasks", None)


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_broken_rule_is_shown_with_the_question_and_what_to_do(folder):
    shown = invoke("validate", "number_tasks.py", code=1)
    lines = [line.split() for line in shown.splitlines()]
    assert ["doubling", "ok"] in [line[:2] for line in lines] and ["careless", "failed"] in [
        line[:2] for line in lines
    ]
    assert "numbers/careless: echo scores 0: the answer 'What is twice" in shown
    assert "question: numbers/careless/rl/" in shown and "fix: let check read the whole answer" in shown
    assert shown.splitlines()[-1] == "1 passed, 1 failed"


def test_one_task_of_a_pack(folder):
    assert invoke("validate", folder / "number_tasks.py", "--task", "doubling", "-j", 1).endswith(
        "1 passed, 0 failed\n"
    )


def test_json_is_one_object_per_task(folder):
    lines = invoke("validate", "number_tasks.py", "--json", code=1).splitlines()
    found = {report["task"]: report for report in map(json.loads, lines)}
    assert found["doubling"]["passed"] and not found["careless"]["passed"]
    assert {"rule", "question", "text", "what", "fix"} == set(found["careless"]["failures"][0])


def test_a_folder_is_read_by_its_pyproject(folder):
    project = folder / "pyproject.toml"
    project.write_text('[project.entry-points."r1ci.task_packs"]\nnumbers = "number_tasks"\n')
    assert "ok" in invoke("validate", folder, "--task", "doubling")
    project.write_text('[project.entry-points."r1ci.task_packs"]\nother = "number_tasks"\n')
    with pytest.raises(PluginError, match="registers the task packs"):
        invoke("validate", folder)
    project.write_text("[project]\n")
    with pytest.raises(PluginError, match="announces 0 task packs"):
        invoke("validate", folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_pack"], "the task pack 'no_such_pack' is not installed"),
        (["./no/such/folder"], "there is no ./no/such/folder"),
        (["number_tasks.py", "--task", "dubling"], "did you mean 'doubling'"),
    ],
)
def test_what_cannot_be_validated_is_named(folder, arguments, message):
    with pytest.raises(PluginError, match=message):
        invoke("validate", *arguments)


def test_a_new_pack_passes_its_own_tests_and_the_rules(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    shown = invoke("new-pack", "my_new_tasks", "--dir", tmp_path)
    place = tmp_path / "my_new_tasks"
    assert f"pip install -e {place}" in shown
    assert {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()} == {
        *("pyproject.toml", "README.md", "my_new_tasks.py", "tests/test_my_new_tasks.py")
    }
    assert not any("$" in file.read_text() for file in place.rglob("*") if file.is_file())
    assert invoke("validate", place).endswith("1 passed, 0 failed\n")
    # What pip leaves behind, so that the pack's tests find it by its name.
    info = place / "my_new_tasks-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: r1ci-tasks-my-new-tasks\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[r1ci.task_packs]\nmy_new_tasks = my_new_tasks\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=place, capture_output=True, text=True)  # `python -m` puts the folder on the path
    assert run.returncode == 0, run.stdout
    assert "passed" in run.stdout and "failed" not in run.stdout
    for tool in (["check", "--select", "E,F,I,B,UP,SIM"], ["format", "--check"]):
        subprocess.run(
            [sys.executable, "-m", "ruff", *tool, "--isolated", "--line-length", "119"], cwd=place, check=True
        )
    sys.modules.pop("my_new_tasks", None)


@pytest.mark.parametrize("name", ["", "My_pack", "my-pack", "1st", "class", "json", "a/b", "../x", "my pack", "ä"])
def test_a_name_that_cannot_be_a_module_is_refused(tmp_path, name):
    with pytest.raises(PluginError, match="cannot be the name of a pack"):
        invoke("new-pack", name, "--dir", tmp_path)
    assert not any(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(PluginError, match="exists already"):
        invoke("new-pack", "mine", "--dir", tmp_path)
    assert not any((tmp_path / "mine").iterdir())


def test_the_name_of_an_installed_pack_is_refused(tmp_path, monkeypatch):
    info = tmp_path / "taken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: taken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[r1ci.task_packs]\ntaken = taken_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match="a pack of that name is installed"):
        invoke("new-pack", "taken", "--dir", Path(tmp_path))
