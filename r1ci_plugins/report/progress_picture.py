"""A picture of a training run: loss, reward and accuracy by step, and accuracy on held-out questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.evaluation.statistics import accuracy_by_question, estimate


def draw(
    path: Path, evaluations: Sequence[Evaluation], curves: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Path | None:
    """Draw the picture into a file ``*.png``, from evaluations in order of time and ``metrics.jsonl`` by stage.

    Returns the path, or None if matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    rewarded = {name: lines for name, lines in curves.items() if any("rollout/reward" in line for line in lines)}
    fitted = {name: lines for name, lines in curves.items() if any("gpt_loss" in line for line in lines)}
    panels = len(rewarded) + len(fitted) + 1
    figure = Figure(figsize=(5.2 * panels, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = iter(figure.subplots(1, panels, squeeze=False)[0])
    for name, lines in fitted.items():
        axis = next(axes)
        axis.plot([line["step"] for line in lines], [line.get("gpt_loss") for line in lines], color="tab:gray")
        axis.set(title=f"{name}: loss on trained tokens", xlabel="step", ylabel="nats per token", ylim=(0, None))
    for name, lines in rewarded.items():
        axis = next(axes)
        steps = [line["step"] for line in lines]
        for key, label, colour in (
            ("rollout/reward", "reward", "tab:blue"),
            ("rollout/accuracy", "share correct", "tab:green"),
            ("rollout/code_share", "share with code", "tab:orange"),
        ):
            axis.plot(steps, [line.get(key, float("nan")) for line in lines], ".-", label=label, color=colour)
        axis.set(title=f"{name}: rollouts of each step", xlabel="step")
        axis.legend(loc="lower right")
    _accuracies(next(axes), evaluations)
    for axis in figure.axes:
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    return path


def _accuracies(axis: Any, evaluations: Sequence[Evaluation]) -> None:
    """A line for each task, and a thick one with standard errors for all of them."""
    tasks = sorted({outcome.task for one in evaluations for outcome in one.outcomes})
    labels = [one.label for one in evaluations]
    for name in [*tasks, "all"]:
        values = [
            estimate(list(accuracy_by_question(o for o in one.outcomes if name in ("all", o.task)).values()))
            for one in evaluations
        ]
        whole = name == "all"
        axis.errorbar(
            labels,
            [100 * value.mean for value in values],
            yerr=[100 * value.standard_error for value in values] if whole else None,
            label=name,
            color="black" if whole else None,
            linewidth=2.5 if whole else 1,
            marker=".",
            capsize=4 if whole else 0,
            zorder=3 if whole else 2,
        )
    axis.set(title="correct answers to held-out questions", ylabel="%", ylim=(-2, 102))
    if len(tasks) <= 10:
        handles, names = axis.get_legend_handles_labels()
        axis.figure.legend(handles, names, loc="outside lower right", ncols=3, fontsize="small")
