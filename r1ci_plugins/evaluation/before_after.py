"""The table at the end of a run: accuracy on the held-out questions before and after training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from r1ci_plugins.evaluation.statistics import Estimate, accuracy_by_question, estimate, paired_difference
from r1ci_plugins.rollout.metrics import Outcome


def before_after(evaluations: Sequence[dict[str, Any]]) -> Table | None:
    """Compare the first and the last evaluation of a run, per task and overall.

    Args:
        evaluations: Lines of ``evaluations.jsonl``.

    Returns:
        The table; None if the run evaluated fewer than two times.
    """
    if len(evaluations) < 2:
        return None
    first, last = evaluations[0], evaluations[-1]
    old, new = ([Outcome(**values) for values in one["outcomes"]] for one in (first, last))
    table = Table(title="Accuracy on held-out questions (standard errors over questions)", title_justify="left")
    table.add_column("task", overflow="fold")
    table.add_column("questions", justify="right")
    table.add_column(f"before (step {first['step']})", justify="right")
    table.add_column(f"after (step {last['step']})", justify="right")
    table.add_column("paired difference", justify="right")
    tasks = sorted({outcome.task for outcome in [*old, *new]})
    for name in [*tasks, "all"] if len(tasks) > 1 else tasks:
        a, b = (accuracy_by_question(o for o in side if name in ("all", o.task)) for side in (old, new))
        table.add_row(
            name,
            str(len(b)),
            _percent(estimate(list(a.values()))),
            _percent(estimate(list(b.values()))),
            _percent(paired_difference(a, b), sign=True),
            style="bold" if name == "all" else None,
        )
    return table


def _percent(value: Estimate, *, sign: bool = False) -> str:
    if not value.count:
        return "-"
    mean = f"{100 * value.mean:+.1f} %" if sign else f"{100 * value.mean:.1f} %"
    return mean if math.isnan(value.standard_error) else f"{mean} ± {100 * value.standard_error:.1f}"
