from __future__ import annotations

import sys

import pytest

from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.report.progress_picture import draw
from r1ci_plugins.rollout.metrics import OutcomeSummary

EVALUATIONS = [
    Evaluation(
        label,
        [OutcomeSummary("demo/a", f"demo/a/{n}", n < right, 0.0, {}, "answered", False, (), 0, (), (), (), 0, 1, 0.1)
         for n in range(4)],
    )
    for label, right in (("base", 0), ("after sft", 2), ("after rl", 4))
]  # fmt: skip
CURVES = {
    "sft": [{"step": 1, "gpt_loss": 2.0}, {"step": 2, "gpt_loss": 1.0}],
    "rl": [{"step": 1, "rollout/reward": 0.1, "rollout/accuracy": 0.2}, {"step": 2, "rollout/reward": 0.5}],
}


@pytest.mark.parametrize("curves, panels", [(CURVES, 3), ({"rl": CURVES["rl"]}, 2), ({}, 1)])
def test_a_picture_has_a_panel_for_each_stage_and_one_for_the_evaluations(tmp_path, curves, panels):
    pytest.importorskip("matplotlib")
    path = draw(tmp_path / "progress.png", EVALUATIONS, curves)
    width, height = (int.from_bytes(path.read_bytes()[at : at + 4], "big") for at in (16, 20))
    assert path.read_bytes().startswith(b"\x89PNG") and width == pytest.approx(572 * panels, abs=2)


def test_without_matplotlib_there_is_no_picture_and_no_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert draw(tmp_path / "progress.png", EVALUATIONS, CURVES) is None
