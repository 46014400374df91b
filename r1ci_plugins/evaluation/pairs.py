"""Two evaluations on the same questions, compared in pairs: difference, interval, p-value, wins and losses."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from r1ci_plugins.evaluation.intervals import UNKNOWN, Interval, difference_interval, macro_difference


@dataclass(frozen=True)
class Pairing:
    """What two evaluations say about the questions that both have.

    Attributes:
        questions: How many.
        difference: Of the means, second minus first.
        p: Two-sided p-value of no difference: McNemar's exact test where every question has one sample on each side,
            else Student's paired test over questions (the sign test where all differ alike). NaN where nothing can
            be said.
        wins: Questions that the second answered better.
        losses: Questions that the first answered better.
    """

    questions: int
    difference: Interval
    p: float
    wins: int
    losses: int


def pair(before: Mapping[str, float], after: Mapping[str, float]) -> Pairing:
    """Compare shares per question key; questions that only one side has are left out."""
    differences = _differences(before, after)
    wins = sum(one > 0 for one in differences)
    losses = sum(one < 0 for one in differences)
    return Pairing(len(differences), difference_interval(differences), p_value(differences), wins, losses)


def pair_macro(before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]) -> Interval:
    """The difference of the macro averages over the tasks that both have. Arguments: shares by task and question."""
    tasks = {task: _differences(before[task], after[task]) for task in before if task in after}
    known = {task: differences for task, differences in tasks.items() if differences}
    return macro_difference(known) if known else UNKNOWN


def p_value(differences: Sequence[float]) -> float:
    """See ``Pairing.p``. Needs no more than the differences per question."""
    from scipy.special import bdtr, stdtr

    if not differences:
        return math.nan
    if all(one in (-1.0, 0.0, 1.0) for one in differences):
        wins, losses = sum(one > 0 for one in differences), sum(one < 0 for one in differences)
        return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))
    if len(differences) < 2:
        return math.nan
    mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
    if deviation == 0:
        return 1.0 if mean == 0 else min(1.0, 2 * 0.5 ** len(differences))  # the sign test
    return 2 * float(stdtr(len(differences) - 1, -abs(mean) / deviation * math.sqrt(len(differences))))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's correction of p-values for making several tests; NaN stays, and does not count as a test."""
    order = sorted((value, place) for place, value in enumerate(values) if not math.isnan(value))
    corrected, least = list(values), 0.0
    for rank, (value, place) in enumerate(order):
        least = max(least, min(1.0, value * (len(order) - rank)))
        corrected[place] = least
    return corrected


def _differences(before: Mapping[str, float], after: Mapping[str, float]) -> list[float]:
    return [after[question] - before[question] for question in before if question in after]
