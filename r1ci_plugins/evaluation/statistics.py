"""Means over questions with standard errors, and paired differences between two evaluations."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from r1ci_plugins.rollout.metrics import OutcomeSummary


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error; the error is NaN for a single observation."""

    mean: float
    standard_error: float
    count: int


def accuracy_by_question(outcomes: Iterable[OutcomeSummary]) -> dict[str, float]:
    """Share of correct samples per question key, without excluded trajectories."""
    return by_question(outcomes, lambda outcome: float(outcome.correct))


def by_question(outcomes: Iterable[OutcomeSummary], value: Callable[[OutcomeSummary], float]) -> dict[str, float]:
    """Mean of a value per question key, without excluded trajectories."""
    found: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        if not outcome.excluded:
            found[outcome.question].append(value(outcome))
    return {question: statistics.fmean(values) for question, values in found.items()}


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and standard error of independent values: one per question, since samples of one question depend."""
    count = len(values)
    mean = statistics.fmean(values) if count else math.nan
    error = statistics.stdev(values) / math.sqrt(count) if count > 1 else math.nan
    return Estimate(mean, error, count)


def paired_difference(before: Mapping[str, float], after: Mapping[str, float]) -> Estimate:
    """Mean difference and its standard error over the questions that both evaluations have."""
    return estimate([after[question] - before[question] for question in before if question in after])
