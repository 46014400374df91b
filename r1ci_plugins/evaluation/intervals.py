"""95 % confidence intervals of shares and of their differences, clustered by question.

Samples of one question depend on each other, so that a question counts once, with the mean of its samples. A share's
interval is Wilson's at the effective number of samples (Korn and Graubard 1998), with the modified limits of Brown,
Cai and DasGupta (2001) near 0 and 1. A difference's interval is Student's; where hardly any question differs, with
four pseudo-questions: a win, a loss and two ties (after Agresti and Min 2005). ``tests/evaluation/coverage.py``
simulates how often they cover the truth.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEW = 10
"""With fewer questions that carry information, the variance between them is not trusted."""

_LEVEL = 0.975  # each side of 95 %
_MANY = 50  # from this many questions on, the normal quantile
_NEAR_EDGE = 3.5  # successes up to which the lower limit is the modified one
_PSEUDO = 4  # pseudo-questions: a win, a loss, two ties


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval. ``mean`` is NaN without observations, the limits with too few of them."""

    mean: float
    low: float
    high: float

    def to_list(self) -> list[float | None]:
        """Mean, low and high for JSON, which has no NaN."""
        return [None if math.isnan(value) else value for value in (self.mean, self.low, self.high)]


UNKNOWN = Interval(math.nan, math.nan, math.nan)


def share_interval(values: Sequence[float], samples: int) -> Interval:
    """Interval of a mean share.

    Args:
        values: One share in [0, 1] per question.
        samples: Samples of all questions together, at least one for each.
    """
    count = len(values)
    if not count:
        return UNKNOWN
    mean = statistics.fmean(values)
    variance = _spread(values, mean) / count
    size = mean * (1 - mean) / variance if variance > 0 else count
    return _wilson(mean, _trusted(min(size, samples), values, count), _quantile(count - 1))


def macro_interval(tasks: Mapping[str, Sequence[float]]) -> Interval:
    """Interval of the mean over tasks of each task's mean share; the tasks are fixed, their questions are drawn.

    Args:
        tasks: One share per question, by task; tasks without questions are left out.
    """
    known = [values for values in tasks.values() if values]
    if not known:
        return UNKNOWN
    questions = [value for values in known for value in values]
    mean = statistics.fmean(statistics.fmean(values) for values in known)
    parts = [(_variance_of_mean(values) / len(known) ** 2, len(values)) for values in known]
    variance = sum(part for part, _ in parts)
    size = mean * (1 - mean) / variance if variance > 0 else len(questions)
    spread = sum(part**2 / max(1, count - 1) for part, count in parts)
    freedom = variance**2 / spread if spread > 0 else len(questions) - 1  # Satterthwaite's
    return _wilson(mean, _trusted(size, questions, len(questions)), _quantile(freedom))


def difference_interval(differences: Sequence[float]) -> Interval:
    """Interval of a mean difference; ``differences`` has one value in [-1, 1] per question. Limits need two."""
    count = len(differences)
    if not count:
        return UNKNOWN
    mean = statistics.fmean(differences)
    if count < 2:
        return Interval(mean, math.nan, math.nan)
    total, squares, size = sum(differences), sum(d * d for d in differences), float(count)
    if sum(d != 0 for d in differences) < FEW:
        squares, size = squares + 2, size + _PSEUDO
    centre = total / size
    error = math.sqrt(max(0.0, squares / size - centre * centre) / (size - 1))
    half = _student(count - 1) * error
    # The interval must hold what was observed, also where the pseudo-questions have moved its centre.
    return Interval(mean, max(-1.0, min(mean, centre - half)), min(1.0, max(mean, centre + half)))


def macro_difference(tasks: Mapping[str, Sequence[float]]) -> Interval:
    """Interval of the mean over tasks of each task's mean difference; every task has at least one question."""
    means = [statistics.fmean(differences) for differences in tasks.values()]
    mean = statistics.fmean(means)
    parts = []
    for differences in tasks.values():
        count, spread = len(differences), _spread(differences, statistics.fmean(differences))
        alike = 2 / (count + 2)  # as if a win and a loss had come in addition
        parts.append(((spread * count / max(1, count - 1) or alike) / count / len(tasks) ** 2, count))
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / max(1, count - 1) for part, count in parts)
    half = _student(freedom) * math.sqrt(variance)
    return Interval(mean, max(-1.0, mean - half), min(1.0, mean + half))


def _spread(values: Sequence[float], mean: float) -> float:
    """The population's variance; ``statistics`` computes it in fractions, which takes a hundred times as long."""
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def _variance_of_mean(values: Sequence[float]) -> float:
    """The variance of one task's mean. Where all its questions came out alike, one right and one wrong are added."""
    count = len(values)
    variance = _spread(values, statistics.fmean(values)) / (count - 1) if count > 1 else 0.0
    return variance or (count + 1) / (count + 2) ** 3


def _trusted(size: float, values: Sequence[float], count: int) -> float:
    """The effective number of samples; at most one a question where few questions went both ways."""
    informative = min(sum(value > 0 for value in values), sum(value < 1 for value in values))
    return max(1.0, min(size, count) if informative < FEW else size)


def _wilson(mean: float, size: float, quantile: float) -> Interval:
    square = quantile * quantile
    centre = (mean * size + square / 2) / (size + square)
    half = quantile * math.sqrt(mean * (1 - mean) / size + square / (4 * size * size)) / (1 + square / size)
    low = min(centre - half, _edge(mean, size))
    high = max(centre + half, 1 - _edge(1 - mean, size))
    return Interval(mean, 0.0 if mean <= 0 else max(0.0, low), 1.0 if mean >= 1 else min(1.0, high))


def _edge(mean: float, size: float) -> float:
    """The modified lower limit near 0: Poisson's, one-sided; 1 where Wilson's own is good."""
    from scipy.special import chdtri

    successes = mean * size
    return float(chdtri(2 * successes, 0.95)) / (2 * size) if 0 < successes <= _NEAR_EDGE else 1.0


def _quantile(freedom: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(_LEVEL)) if freedom >= _MANY - 1 else _student(freedom)


def _student(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(max(1.0, freedom), _LEVEL))
