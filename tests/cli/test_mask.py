from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from r1ci_plugins.cli.main import app
from r1ci_plugins.errors import R1CIError, RecipeError, TrajectoryFileError
from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.conversation import Turn, render
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question

pytestmark = pytest.mark.stack
TURNS = [Turn("I compute it.\n```python\nprint(6 * 7)\n```", "Code Execution Results:\n42"), Turn("It is <<<42>>>.")]


@pytest.fixture(scope="module")
def model(tokenizers, tmp_path_factory):
    """A model folder with a tokenizer and nothing else to load."""
    folder = tmp_path_factory.mktemp("model")
    tokenizers["chatml"].save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return str(folder)


@pytest.fixture(scope="module")
def trajectories(tokenizers):
    template = ChatTemplate(tokenizers["chatml"], NaturalFormat().instructions)
    made = []
    for index in range(3):
        question = Question(f"What is {index} + 42?", "42", task="demo/sum", split="rl", index=index)
        segments = render(question.text, TURNS, template)
        made.append(Trajectory(question, segments, (), StopReason.ANSWERED, "42", 1.0, "", {"correctness": 1.0}))
    return made


@pytest.fixture
def file(tmp_path, trajectories):
    path = tmp_path / "some.jsonl"
    path.write_text("".join(trajectory.to_json() + "\n" for trajectory in trajectories))
    return path


def r1ci(*arguments, code=0):
    result = CliRunner().invoke(app, ["mask", *map(str, arguments)])
    if isinstance(result.exception, R1CIError):
        raise result.exception  # as main() sees it
    assert result.exit_code == code, result.output
    return result.stdout


def test_show_tells_trained_tokens_without_colours(file, model):
    shown = r1ci("show", file, "--tokenizer", model)
    assert "demo/sum/rl/0/0" in shown and "\x1b" not in shown
    assert "   1 action      trained          | I compute it.↵\n" in shown
    assert "   1 code_output                  | 42\n" in shown and " leak" not in shown


def test_show_finds_a_trajectory_by_line_and_by_key_past_a_broken_line(file, model, trajectories):
    broken = file.with_name("broken.jsonl")
    broken.write_text("{\n" + trajectories[1].to_json() + "\n")
    for arguments in (["--number", "2"], ["--key", "demo/sum/rl/1"]):
        assert "What is 1 + 42?" in r1ci("show", broken, "--tokenizer", model, *arguments)
    with pytest.raises(TrajectoryFileError, match="line 1"):
        r1ci("show", broken, "--tokenizer", model)
    with pytest.raises(TrajectoryFileError, match="no line 9 among 3 lines"):
        r1ci("show", file, "--tokenizer", model, "--number", "9")
    with pytest.raises(TrajectoryFileError, match="no trajectory of a question 'x'"):
        r1ci("show", file, "--tokenizer", model, "--key", "x")


def test_show_marks_the_leaks_of_the_ablation_in_the_terminal_and_on_a_page(file, model, trajectories, tmp_path):
    count = sum(len(s.token_ids) for s in trajectories[0].segments if s.kind is SegmentKind.CODE_OUTPUT)
    shown = r1ci("show", file, "--tokenizer", model, "--mask", "unmasked")
    assert f"{count} tokens are trained though" in shown
    assert "   1 code_output leak             | 42\n" in shown
    page = tmp_path / "page.html"
    assert str(page) in r1ci("show", file, "--tokenizer", model, "--mask", "unmasked", "--html", page).replace(
        "\n", ""
    )
    assert page.read_text().count('class="t leak" title') == count
    table = r1ci("show", file, "--tokenizer", model, "--mask", "unmasked", "--tokens")
    assert sum(line.split()[3:5] == ["code_output", "leak"] for line in table.splitlines()) == count


def test_show_of_text_alone_renders_it(tmp_path, model, trajectories):
    segments = tuple(replace(segment, token_ids=()) for segment in trajectories[0].segments)
    (tmp_path / "text.jsonl").write_text(replace(trajectories[0], segments=segments).to_json() + "\n")
    shown = r1ci("show", tmp_path / "text.jsonl", "--tokenizer", model)
    assert "   1 action      trained          | I compute it.↵\n" in shown


def test_the_recipe_beside_the_file_says_tokenizer_and_mask(trajectories, model, tmp_path):
    folder = tmp_path / "run" / "trajectories"
    folder.mkdir(parents=True)
    (folder / "train.jsonl.gz").write_bytes(gzip.compress((trajectories[0].to_json() + "\n").encode()))
    (tmp_path / "run" / "recipe.yaml").write_text(f"output_dir: x\nmodel: {model}\nmask: {{code_outputs: unmasked}}\n")
    shown = r1ci("audit", "--trajectories", folder / "train.jsonl.gz")
    assert "1 trajectories, mask unmasked" in shown and shown.endswith("ok\n")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "t.jsonl").write_text(trajectories[0].to_json() + "\n")
    (tmp_path / "made" / "build.json").write_text(json.dumps({"recipe": f"output_dir: x\nmodel: {model}\n"}))
    assert r1ci("audit", "--trajectories", tmp_path / "made" / "t.jsonl").endswith("ok\n")
    (tmp_path / "made" / "build.json").write_text("{}")
    with pytest.raises(RecipeError, match="recorded with the file"):
        r1ci("audit", "--trajectories", tmp_path / "made" / "t.jsonl")


def test_the_advantage_is_found_beside_the_file(trajectories, model, tmp_path):
    folder = tmp_path / "run" / "trajectories"
    folder.mkdir(parents=True)
    file = folder / "train.jsonl.gz"
    file.write_bytes(gzip.compress((trajectories[0].to_json() + "\n").encode()))
    assert "advantage  none recorded" in r1ci("show", file, "--tokenizer", model)
    line = {"step": 1, "trajectory": trajectories[0].fingerprint, "advantage": -0.75}
    known = tmp_path / "run" / "advantages.jsonl"
    known.write_text(json.dumps(line | {"trajectory": "another"}) + "\n" + json.dumps(line) + "\n")
    assert "advantage  -0.750 for each trained token\n" in r1ci("show", file, "--tokenizer", model)
    known.write_text(json.dumps(line | {"lowest": -1.0, "highest": 0.5}) + "\n")
    assert "-0.750 on average over trained tokens (-1.000 to 0.500)" in r1ci("show", file, "--tokenizer", model)


def test_what_is_not_known_is_asked_for(file, model):
    with pytest.raises(RecipeError, match="--tokenizer"):
        r1ci("show", file)
    with pytest.raises(RecipeError, match="unmaskd"):
        r1ci("show", file, "--tokenizer", model, "--mask", "unmaskd")
    r1ci("show", "--tokenizer", model, code=2)
    r1ci("show", file, "--task", "a/b", "--tokenizer", model, code=2)


def test_audit_of_a_sound_file_counts(file, model, trajectories):
    shown = r1ci("audit", "--trajectories", file, "--tokenizer", model)
    total = sum(len(trajectory.token_ids) for trajectory in trajectories)
    assert f"all{total:>21}" in shown and shown.endswith("ok\n")


def test_audit_names_the_first_offender_or_all(file, model, trajectories):
    output = trajectories[1].segments[3]
    wrong = replace(output, token_ids=(*output.token_ids[:-1], 10**7))
    segments = (*trajectories[1].segments[:3], wrong, *trajectories[1].segments[4:])
    lines = [
        trajectories[0].to_json(),
        replace(trajectories[1], segments=segments).to_json(),
        "not JSON",
        trajectories[2].to_json().replace('"version": 1', '"version": 99'),
        trajectories[2].to_json(),
    ]
    file.write_text("\n".join(lines) + "\n")
    position = sum(len(segment.token_ids) for segment in trajectories[1].segments[:4]) - 1
    first = r1ci("audit", "--trajectories", file, "--tokenizer", model, code=1)
    assert f"line 2, token {position}: demo/sum/rl/1/0\n  what:  10000000 is not an id" in first and "  fix:" in first
    assert "line 3" not in first and "looked at 2 of 5" in first
    every = r1ci("audit", "--trajectories", file, "--tokenizer", model, "--all", code=1)
    assert all(f"line {line}" in every for line in (2, 3, 4)) and "version 99 is unknown" in every
    assert "3 of the lines are wrong" in every and "3 trajectories, mask masked" in every


def test_audit_of_no_file_and_of_an_empty_one(tmp_path, model):
    with pytest.raises(TrajectoryFileError, match="cannot read"):
        r1ci("audit", "--trajectories", tmp_path / "missing.jsonl", "--tokenizer", model)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(TrajectoryFileError, match="no trajectory in it"):
        r1ci("audit", "--trajectories", tmp_path / "empty.jsonl", "--tokenizer", model)


@pytest.mark.firejail
def test_show_plays_a_task_through_the_real_loop_and_sandbox(model):
    pytest.importorskip("r1ci_tasks_symbench")
    shown = r1ci("show", "--task", "symbench/game24", "--tokenizer", model, "--mask", "unmasked")
    assert "answered; " in shown and "score 1" in shown
    assert "   1 code_output leak             | Code Execution Results:↵\n" in shown
