"""Evaluations of one model at several times, on the same questions: a table, the gains, and which are certain."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.table import Table

from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.evaluation.statistics import Estimate, accuracy_by_question, by_question, estimate, paired_difference
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.trajectory import StopReason

NEARLY_ALL = 0.9
"""From this share of correct answers on, a few dozen questions can hardly show a further rise."""


@dataclass(frozen=True)
class Gain:
    """How accuracy, as a share, changed between two evaluations, which are named by their labels.

    ``start`` is the earlier accuracy, ``difference`` its change over the questions that both have.
    """

    before: str
    after: str
    start: Estimate
    difference: Estimate

    @property
    def certain(self) -> bool:
        """Whether accuracy rose by more than two standard errors; never with fewer than two questions."""
        return self.difference.mean > 2 * self.difference.standard_error

    @property
    def without_room(self) -> bool:
        """Whether nearly every answer was right before, and accuracy did not fall by more than two standard errors."""
        return self.start.mean >= NEARLY_ALL and self.difference.mean >= -2 * self.difference.standard_error

    @property
    def verdict(self) -> str:
        """The difference in words."""
        if self.certain:
            return "a rise of more than two standard errors"
        if self.without_room:
            return f"no room to rise: {self.start.mean:.1%} were right before this stage"
        return "NO rise beyond two standard errors"

    def __str__(self) -> str:
        return f"{self.before} -> {self.after}: {percent(self.difference, sign=True)}"


def gains(evaluations: Sequence[Evaluation]) -> list[Gain]:
    """The gain from each evaluation to the next."""
    accuracies = [accuracy_by_question(one.outcomes) for one in evaluations]
    return [
        Gain(before.label, after.label, estimate(list(old.values())), paired_difference(old, new))
        for (before, old), (after, new) in pairwise(zip(evaluations, accuracies, strict=True))
    ]


def comparison_table(evaluations: Sequence[Evaluation]) -> Table | None:
    """Accuracy per task and overall at each time, with the paired difference to the time before.

    The last rows say how many of the trajectories ended with a final answer in the protocol's form, how many ran a
    program and, if there are any, how many samples an infrastructure fault has excluded. None for fewer than two
    evaluations.
    """
    if len(evaluations) < 2:
        return None
    table = Table(title="Accuracy on held-out questions (standard errors over questions)", title_justify="left")
    table.add_column("task", overflow="fold")
    table.add_column("questions", justify="right")
    for number, one in enumerate(evaluations):
        table.add_column(one.label, justify="right")
        if number:
            table.add_column("difference", justify="right")
    tasks = sorted({outcome.task for one in evaluations for outcome in one.outcomes})
    for name in [*tasks, "all"] if len(tasks) > 1 else tasks:
        sides = [accuracy_by_question(o for o in one.outcomes if name in ("all", o.task)) for one in evaluations]
        table.add_row(name, str(len(sides[-1])), *_cells(sides), style="bold" if name == "all" else None)
    if tasks:
        table.add_section()
        for name, holds in _SHARES.items():
            sides = [by_question(one.outcomes, holds) for one in evaluations]
            table.add_row(name, str(len(sides[-1])), *_cells(sides))
    counts = [sum(outcome.excluded for outcome in one.outcomes) for one in evaluations]
    if any(counts):
        cells = [str(counts[0])]
        for count in counts[1:]:
            cells += [str(count), ""]
        table.add_row("excluded samples", "", *cells)
    return table


_SHARES: Mapping[str, Callable[[OutcomeSummary], float]] = {
    "gave a final answer": lambda outcome: float(outcome.stop_reason == StopReason.ANSWERED),
    "ran a program": lambda outcome: float(bool(outcome.tool_errors)),
}


def _cells(sides: Sequence[Mapping[str, float]]) -> Iterable[str]:
    for number, side in enumerate(sides):
        yield percent(estimate(list(side.values())))
        if number:
            yield percent(paired_difference(sides[number - 1], side), sign=True)


def percent(value: Estimate, *, sign: bool = False) -> str:
    """A share with its standard error, in per cent; ``-`` without observations."""
    if not value.count:
        return "-"
    mean = f"{100 * value.mean:+.1f} %" if sign else f"{100 * value.mean:.1f} %"
    return mean if math.isnan(value.standard_error) else f"{mean} ± {100 * value.standard_error:.1f}"
