from __future__ import annotations

import io
import json
import re

from rich.console import Console

from r1ci_plugins.evaluation.before_after import before_after
from r1ci_plugins.rollout.metrics import Outcome


def outcome(task, question, one):
    return Outcome(task, question, bool(one), 0.0, {}, "answered", one is None, (), 0, (), (), (), 0, 1, 0.1)


def evaluation(step, **correct):
    """A line of evaluations.jsonl; ``a1=[1, None]`` is question 1 of task demo/a: one sample right, one excluded."""
    outcomes = [
        outcome(f"demo/{name[0]}", f"demo/{name}", one).to_dict()
        for name, samples in correct.items()
        for one in samples
    ]
    return json.loads(json.dumps({"step": step, "outcomes": outcomes}))


def cells(*evaluations):
    """Rows of the printed table, by first column."""
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(before_after(evaluations))
    rows = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in console.export_text().splitlines()]
    return {row[0]: row[1:] for row in rows if row}


def test_the_numbers_are_those_worked_out_by_hand():
    rows = cells(
        evaluation(0, a1=[0, 0], a2=[1, 0], b1=[0, 0]),
        evaluation(5, a1=[0, 0], a2=[0, 0], b1=[0, 0]),
        evaluation(9, a1=[1, 1], a2=[1, 0], b1=[0, 1]),
    )
    assert rows["task"] == ["questions", "before (step 0)", "after (step 9)", "paired difference"]
    assert rows["demo/a"] == ["2", "25.0 % ± 25.0", "75.0 % ± 25.0", "+50.0 % ± 50.0"]
    assert rows["demo/b"] == ["1", "0.0 %", "50.0 %", "+50.0 %"]
    assert rows["all"] == ["3", "16.7 % ± 16.7", "66.7 % ± 16.7", "+50.0 % ± 28.9"]


def test_one_task_needs_no_total():
    rows = cells(evaluation(0, a1=[1], a2=[1]), evaluation(4, a1=[1], a2=[0]))
    assert set(rows) == {"task", "demo/a"}
    assert rows["demo/a"] == ["2", "100.0 % ± 0.0", "50.0 % ± 50.0", "-50.0 % ± 50.0"]


def test_faults_count_for_neither_side():
    rows = cells(evaluation(0, a1=[None], a2=[1]), evaluation(4, a1=[1], a2=[1, None], b1=[1]))
    assert rows["demo/a"] == ["2", "100.0 %", "100.0 % ± 0.0", "+0.0 %"]
    assert rows["demo/b"] == ["1", "-", "100.0 %", "-"]


def test_a_run_with_fewer_than_two_evaluations_has_no_table():
    assert before_after([]) is None and before_after([evaluation(0, a1=[1])]) is None
    assert before_after([evaluation(0), evaluation(1)]).row_count == 0  # evaluated nothing
