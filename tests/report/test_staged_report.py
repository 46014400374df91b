"""Whether a staged run improved its model, as ``--must-improve`` asks."""

from __future__ import annotations

import pytest
from rich.table import Table

from r1ci_plugins.evaluation.statistics import Estimate
from r1ci_plugins.report.comparison import Gain
from r1ci_plugins.report.staged_report import StagedReport


def gain(start: float, difference: float, error: float = 0.03) -> Gain:
    return Gain("before", "after", Estimate(start, error, 105), Estimate(difference, error, 105))


@pytest.mark.parametrize(
    ("gains", "improved"),
    [
        ([gain(0.0, 0.72), gain(0.72, 0.27)], True),
        ([gain(0.0, 0.93), gain(0.93, -0.01)], True),  # SFT left RL no room
        ([gain(0.0, 0.93), gain(0.93, -0.2)], False),
        ([gain(0.0, 0.5), gain(0.5, 0.01)], False),
        ([gain(0.95, 0.0), gain(0.95, 0.0)], False),  # nothing rose at all
        ([], False),
    ],
)
def test_a_run_improves_where_something_rose_and_the_rest_had_no_room(gains, improved):
    assert StagedReport(Table(), gains, None).improved is improved


def test_without_two_evaluations_nothing_improved():
    assert not StagedReport(None, [], None).improved
