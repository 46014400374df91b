"""A picture of a profile: accuracy by question, the groups of a curriculum, and accuracy by task."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from r1ci_plugins.curriculum.table import Row

_TASKS = 40


def draw(path: Path, rows: Sequence[Row], groups: Sequence[Sequence[int]]) -> Path | None:
    """Draw a profile into a file ``*.png``.

    Args:
        path: The file.
        rows: Of the table.
        groups: Numbers of the rows of each group, the most promising first.

    Returns:
        The path, or None if matplotlib is not installed or no question has an answer.
    """
    known = [row for row in rows if row.samples]
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    if not known:
        return None
    figure = Figure(figsize=(15, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    left.hist([row.accuracy for row in known], bins=[n / 20 - 1e-9 for n in range(22)], color="tab:blue")
    left.set(title=f"{len(known)} questions", xlabel="share of right answers, p", ylabel="questions")
    start = 0
    for number, group in enumerate(groups, 1):
        values = sorted((rows[one].potential for one in group), reverse=True)
        places = range(start, start + len(values))
        middle.fill_between(places, values, alpha=0.6, label=f"group {number}: {len(values)}", step="mid")
        start += len(values)
    middle.set(title="improvement potential 4p(1-p)", xlabel="questions, most promising first", ylim=(0, 1.03))
    middle.legend()
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in known:
        by_task[row.task].append(row)
    means = sorted((fmean(one.accuracy for one in group), task) for task, group in by_task.items())
    shown = means[:: max(1, -(-len(means) // _TASKS))]
    right.barh([task for _, task in shown], [mean for mean, _ in shown], color="tab:green")
    of = f"{len(shown)} of {len(means)}" if len(shown) < len(means) else f"{len(means)}"
    right.set(title=f"accuracy by task, {of} tasks", xlim=(0, 1))
    right.tick_params(axis="y", labelsize=6 if len(shown) > 20 else 8)
    for axis in (left, middle, right):
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    return path
