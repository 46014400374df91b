from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1ci_plugins import Question
from r1ci_plugins.cli.tasks import app
from r1ci_plugins.errors import PluginError, TaskError

PACK = """
from r1ci_plugins import Question, Task, TaskPack, hookimpl

class Doubling(Task):
    name = "doubling"
    description = "Double an integer [of any size]."
    levels = 2

    def generate(self, rng, difficulty):
        n = rng.randrange(10 ** (4 + 4 * (difficulty or 0)))
        return Question(text=f"What is twice {n}?", answer=str(2 * n), metadata={"n": n})

    def check(self, question, answer):
        return answer.strip() == question.answer

class Halving(Doubling):
    name = "halving"
    levels = 1

@hookimpl
def r1ci_task_packs():
    return [TaskPack("NAME", [Doubling(), Halving()] if "NAME" == "cli_demo" else [Halving()])]
"""


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two distributions on ``sys.path``: cli_demo (doubling, halving) and cli_other (halving)."""
    for name in ("cli_demo", "cli_other"):
        (tmp_path / f"{name}_pack.py").write_text(PACK.replace("NAME", name))
        info = tmp_path / f"{name}_pack-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-pack\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[r1ci.task_packs]\n{name} = {name}_pack\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_is_one_tab_separated_line_a_task_away_from_a_terminal(packs):
    lines = [line.split("\t") for line in run("list").splitlines()]
    assert ["cli_demo", "doubling", "2", "Double an integer [of any size]."] in lines
    assert [line[:2] for line in lines if line[0].startswith("cli_")] == [
        ["cli_demo", "doubling"],
        ["cli_demo", "halving"],
        ["cli_other", "halving"],
    ]


def test_list_of_one_pack(packs):
    assert {line.split("\t")[0] for line in run("list", "--pack", "cli_other").splitlines()} == {"cli_other"}


def on_a_terminal(code: str, packs: Path) -> str:
    """What a program shows on a terminal of 120 columns, its standard output only."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(packs), "COLUMNS": "120", "TERM": "dumb"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=theirs, env=environment) as process:
        assert process.wait() == 0
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    return shown


def test_list_is_a_table_on_a_terminal(packs):
    shown = on_a_terminal("from r1ci_plugins.cli.tasks import app; app(['list', '--pack', 'cli_demo'])", packs)
    assert re.search(r"pack +task +levels +asks", shown) and "\t" not in shown
    assert "Double an integer [of any size]." in shown  # brackets are text here, not markup


def test_show_describes_the_task_and_one_question(packs):
    shown = run("show", "doubling")
    assert "cli_demo/doubling: Double an integer" in shown and "difficulty 0 to 1" in shown
    n = int(re.search(r"What is twice (\d+)\?", shown)[1])
    assert f"--- reference answer\n{2 * n}\n" in shown
    assert "split rl, seed 0" in shown


def test_sample_is_the_same_each_time_and_another_for_another_seed_split_or_level(packs):
    first = run("sample", "cli_demo/doubling", "-n", "4", "--seed", "7")
    assert first == run("sample", "doubling", "-n", "4", "--seed", "7")
    assert first.count("What is twice") == 4
    for other in (["--seed", "8"], ["--seed", "7", "--split", "test"], ["--seed", "7", "--difficulty", "1"]):
        assert not set(re.findall(r"twice \d+", first)) & set(
            re.findall(r"twice \d+", run("sample", "doubling", *other))
        )


def test_sample_as_json_can_be_read_back(packs):
    lines = run("sample", "doubling", "-n", "2", "--json").splitlines()
    questions = [Question.from_json(line) for line in lines]
    assert [q.task for q in questions] == ["cli_demo/doubling"] * 2
    assert all(int(q.answer) == 2 * q.metadata["n"] for q in questions)
    assert all(json.loads(line)["split"] == "rl" for line in lines)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["show", "doublin"], PluginError, "did you mean 'doubling'"),
        (["show", "cli_demo/dubling"], PluginError, "did you mean 'cli_demo/doubling'"),
        (["show", "cli_dmo/doubling"], PluginError, "did you mean 'cli_demo'"),
        (["show", "halving"], PluginError, "cli_demo/halving, cli_other/halving"),
        (["list", "--pack", "cli_dem"], PluginError, "did you mean 'cli_demo'"),
        (["sample", "doubling", "--split", "dev"], TaskError, "no split 'dev'"),
        (["sample", "doubling", "--difficulty", "5"], TaskError, "difficulty 5 does not exist"),
    ],
)
def test_mistakes_are_named_and_the_nearest_right_name_suggested(packs, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_table_measures_each_task_and_names_its_place_in_the_default_suite(packs):
    heads, *rows = [line.split("\t") for line in run("table", "--pack", "cli_demo", "--seconds", "5").splitlines()]
    assert heads[:6] == ["pack", "task", "class", "part", "questions", "questions/s"]
    assert [row[:2] for row in rows] == [["cli_demo", "doubling"], ["cli_demo", "halving"]]
    for row in rows:
        assert row[2:5] == ["", "", ">2000"] and int(row[5]) > 0 and float(row[6]) >= 0 and row[7] == ""


def test_table_as_json(packs):
    lines = [json.loads(line) for line in run("table", "--pack", "cli_other", "--seconds", "5", "--json").splitlines()]
    assert [(one["task"], one["questions"], one["counted"]) for one in lines] == [("cli_other/halving", 2000, False)]
    assert lines[0]["questions_per_s"] > 0 and lines[0]["problem"] == ""


def test_table_is_a_table_on_a_terminal(packs):
    code = "from r1ci_plugins.cli.tasks import app; app(['table', '--pack', 'cli_demo', '--seconds', '0.2'])"
    shown = on_a_terminal(code, packs)
    assert re.search(r"pack +task +class +part +questions", shown) and "\t" not in shown


def test_the_reasoning_gym_pack_is_listed_when_installed():
    pytest.importorskip("r1ci_tasks_reasoning_gym")
    assert len(run("list", "--pack", "reasoning_gym").splitlines()) == 84


def test_a_broken_pack_hides_no_other(tmp_path, monkeypatch):
    for name, source in {
        "whole_pack": PACK.replace("NAME", "whole_pack"),
        "broken_pack": "raise OSError('no disk')",
    }.items():
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[r1ci.task_packs]\n{name} = {name}\n")
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = CliRunner().invoke(app, ["list"])
    assert "whole_pack\thalving" in result.output and "OSError: no disk" in result.output and result.exit_code == 1
    assert CliRunner().invoke(app, ["show", "whole_pack/halving"]).exit_code == 0


def test_a_question_of_the_wrong_kind_is_described():
    from r1ci_plugins.questions.splits import candidate
    from r1ci_plugins.tasks.task import Task

    class Odd(Task):
        name = "odd"

        def generate(self, rng, difficulty):
            return Question(text="x", answer=8398)

        def check(self, question, answer):
            return False

    with pytest.raises(TaskError, match="whose answer is 8398, not a text but int"):
        candidate("demo", Odd(), "rl", 0, 0, None)
