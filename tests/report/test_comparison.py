from __future__ import annotations

import io
import json
import re

from rich.console import Console

from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.report.comparison import comparison_table, gains
from r1ci_plugins.rollout.metrics import OutcomeSummary


def outcome(task, question, one):
    return OutcomeSummary(task, question, bool(one), 0.0, {}, "answered", one is None, (), 0, (), (), (), 0, 1, 0.1)


def evaluation(step, **correct):
    """A line of evaluations.jsonl; ``a1=[1, None]`` is question 1 of task demo/a: one sample right, one excluded."""
    outcomes = [
        outcome(f"demo/{name[0]}", f"demo/{name}", one).to_dict()
        for name, samples in correct.items()
        for one in samples
    ]
    return Evaluation.from_line(f"step {step}", json.loads(json.dumps({"outcomes": outcomes})))


def cells(*evaluations):
    """Rows of the printed table, by first column."""
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(comparison_table(evaluations))
    rows = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in console.export_text().splitlines()]
    return {row[0]: row[1:] for row in rows if row}


def test_the_numbers_are_those_worked_out_by_hand():
    rows = cells(
        evaluation(0, a1=[0, 0], a2=[1, 0], b1=[0, 0]),
        evaluation(9, a1=[1, 1], a2=[1, 0], b1=[0, 1]),
    )
    assert rows["task"] == ["questions", "step 0", "step 9", "difference"]
    assert rows["demo/a"] == ["2", "25.0 % ± 25.0", "75.0 % ± 25.0", "+50.0 % ± 50.0"]
    assert rows["demo/b"] == ["1", "0.0 %", "50.0 %", "+50.0 %"]
    assert rows["all"] == ["3", "16.7 % ± 16.7", "66.7 % ± 16.7", "+50.0 % ± 28.9"]


def test_one_task_needs_no_total():
    rows = cells(evaluation(0, a1=[1], a2=[1]), evaluation(4, a1=[1], a2=[0]))
    assert set(rows) == {"task", "demo/a", "gave a final answer", "ran a program"}
    assert rows["demo/a"] == ["2", "100.0 % ± 0.0", "50.0 % ± 50.0", "-50.0 % ± 50.0"]


def test_faults_count_for_neither_side():
    rows = cells(evaluation(0, a1=[None], a2=[1]), evaluation(4, a1=[1], a2=[1, None], b1=[1]))
    assert rows["demo/a"] == ["2", "100.0 %", "100.0 % ± 0.0", "+0.0 %"]
    assert rows["demo/b"] == ["1", "-", "100.0 %", "-"]


def test_three_evaluations_are_compared_with_the_one_before():
    rows = cells(evaluation(0, a1=[0], a2=[0]), evaluation(5, a1=[1], a2=[0]), evaluation(9, a1=[1], a2=[1]))
    assert rows["task"] == ["questions", "step 0", "step 5", "difference", "step 9", "difference"]
    assert rows["demo/a"][1:] == [
        "0.0 % ± 0.0",
        "50.0 % ± 50.0",
        "+50.0 % ± 50.0",
        "100.0 % ± 0.0",
        "+50.0 % ± 50.0",
    ]


def test_only_a_rise_beyond_two_standard_errors_is_certain():
    def one(step, right):
        return evaluation(step, **{f"a{n}": [n < right] for n in range(10)})

    steps = gains([one(0, 0), one(1, 9), one(2, 9), one(3, 10), one(4, 2)])
    assert [gain.certain for gain in steps] == [True, False, False, False]
    assert str(steps[0]) == "step 0 -> step 1: +90.0 % ± 10.0"
    assert not gains([evaluation(0, a1=[0]), evaluation(1, a1=[1])])[0].certain  # one question shows nothing


def test_fewer_than_two_evaluations_have_no_table():
    assert comparison_table([]) is None and comparison_table([evaluation(0, a1=[1])]) is None
    assert comparison_table([evaluation(0), evaluation(1)]).row_count == 0  # evaluated nothing
