from __future__ import annotations

import csv
import io
import json
import math

import pytest
from typer.testing import CliRunner

from r1ci_plugins.cli.main import app
from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.evaluation.comparison import compare
from r1ci_plugins.evaluation.evaluated_run import EvaluatedRun, load_runs
from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.report.comparison_tables import markdown, to_csv
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.run_folder import RunFolder, append_line
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter
from r1ci_plugins.tasks.task import Question


def outcome(task, number, right, excluded=False):
    return OutcomeSummary(
        task, f"{task}/test/42/{number}", right, 0.0, {}, "answered", excluded, (), 0, (), (), (), 0, 1, 0.1
    )


def run(name, *rights, start=0):
    """Outcomes of two tasks, as strings of 1 and 0, one for each question; x is excluded."""
    tasks = ("bbh/navigate", "symbench/boxlift")
    return EvaluatedRun(
        name,
        [
            outcome(task, number, one == "1", one == "x")
            for task, right in zip(tasks, rights, strict=True)
            for number, one in enumerate(right, start)
        ],
    )


def rows(comparison):
    return {(row.kind, row.name): row for row in comparison.rows}


def test_two_runs_are_compared_in_pairs_per_task_suite_and_on_average():
    found = rows(compare([run("a", "0000", "11"), run("b", "1100", "10")]))
    navigate = found["task", "bbh/navigate"].pairings[0]
    assert (navigate.difference.mean, navigate.wins, navigate.losses) == (0.5, 2, 0)
    average = found["macro", "average over 2 tasks"]
    assert [one.mean for one in average.accuracies] == [0.5, 0.5]
    assert (average.pairings[0].difference.mean, average.pairings[0].wins, average.pairings[0].losses) == (0.0, 1, 1)
    assert found["all", "all questions"].accuracies[0].mean == pytest.approx(1 / 3)
    assert ("suite", "bbh") in found and ("class", "planning") not in found  # both tasks are of one class


def test_p_values_of_tasks_are_corrected_for_their_number():
    found = rows(compare([run("a", "0" * 12, "0" * 12), run("b", "1" * 12, "01" * 6)]))
    assert found["task", "bbh/navigate"].pairings[0].p == pytest.approx(2 * 2 * 0.5**12)
    assert found["task", "symbench/boxlift"].pairings[0].p == pytest.approx(2 * 0.5**6)


def test_what_is_not_shared_is_said_and_left_out():
    found = compare([run("a", "01", "1"), run("b", "11", "1x", start=1)])
    assert rows(found)["all", "all questions"].pairings[0].questions == 1
    assert any("share 1 questions" in note and "2 only in a" in note for note in found.notes)
    assert any(note.startswith("b: 1 of 4 samples are excluded") for note in found.notes)
    nothing = rows(compare([run("a", "1", "1"), run("b", "1", "1", start=7)]))["all", "all questions"].pairings[0]
    assert nothing.questions == 0 and math.isnan(nothing.difference.mean)


def test_names_are_inert_in_every_form():
    comparison = compare([run("=1+1 <b>|\x1b[31m", "1", "1"), run("b", "0", "1")])
    assert "\x1b" not in markdown(comparison) and "<b>" not in markdown(comparison)
    table = list(csv.reader(io.StringIO(to_csv(comparison))))
    assert table[1][2].startswith("'=1+1") and "\x1b" not in to_csv(comparison)
    assert {len(line) for line in table if line[2].startswith("'")} == {6}


def write(folder, *evaluations):
    folder.mkdir(parents=True)
    for step, one in evaluations:
        append_line(RunFolder(folder).evaluations, Evaluation("", one.outcomes).to_line(step))


def test_the_last_evaluation_of_each_folder_is_compared_by_the_command(tmp_path):
    write(tmp_path / "a", (0, run("", "0000", "0")), (8, run("", "1100", "0")))
    write(tmp_path / "b", (0, run("", "1110", "1")))
    shown = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--format", "csv"])
    assert shown.exit_code == 0, shown.output
    table = {(line["kind"], line["name"], line["run"]): line for line in csv.DictReader(io.StringIO(shown.output))}
    assert table["task", "bbh/navigate", "a, step 8"]["accuracy"] == "0.5"
    assert table["task", "bbh/navigate", "b"]["difference"] == "0.25"
    for form in ("table", "markdown"):
        text = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--format", form]).output
        assert "bbh/navigate" in text and "Holm" in text


def test_a_staged_run_is_its_stages(tmp_path):
    write(tmp_path / "staged" / "rl", (0, run("", "01", "0")), (8, run("", "11", "1")))
    write(tmp_path / "staged" / "base", (0, run("", "00", "0")))
    for stage in ("base", "rl"):
        append_line(tmp_path / "staged" / "stages.jsonl", {"stage": stage, "seconds": 1})
    assert [one.name for one in load_runs([tmp_path / "staged"])] == ["base", "rl, step 8"]


def test_a_run_that_is_still_written_counts_as_far_as_it_is(tmp_path):
    file = RunFolder(tmp_path / "run").trajectories("eval")
    question = Question("?", "1", task="bbh/navigate", split="test")
    TrajectoryWriter(file, max_mb=9, sample_rate=1).write(
        [Trajectory(question, (), (), StopReason.ANSWERED, answer="1", score=1.0)]
    )
    with open(file, "ab") as torn:
        torn.write(b"\x1f\x8b\x08\x00half a member")
    (found,) = load_runs([tmp_path / "run"])
    assert len(found.outcomes) == 1 and "not finished" in found.notes[0]


def test_a_plain_file_may_hold_broken_lines(tmp_path):
    file = tmp_path / "mine.jsonl"
    good = Trajectory(Question("?", "1", task="a/b"), (), (), StopReason.ANSWERED, score=0.0).to_json()
    file.write_text(good + "\n" + '{"version": 99}\n' + good[:40])
    (found,) = load_runs([file])
    assert len(found.outcomes) == 1 and "2 lines cannot be read" in found.notes[0]


def test_folders_without_an_evaluation_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(MachineProblem, match="there is no"):
            load_runs([path])


def test_an_unknown_record_is_an_error_with_its_place(tmp_path):
    write(tmp_path / "a", (0, run("", "1", "1")))
    line = json.loads(RunFolder(tmp_path / "a").evaluations.read_text())
    line["outcomes"][0]["from the future"] = 1
    RunFolder(tmp_path / "a").evaluations.write_text(json.dumps(line))
    shown = CliRunner().invoke(app, ["compare", str(tmp_path / "a")])
    assert "from the future" in str(shown.exception) and "evaluations.jsonl" in str(shown.exception)
