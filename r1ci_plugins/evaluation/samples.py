"""What several samples of a question tell: average, pass@k, and the vote of the majority."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from r1ci_plugins.rollout.metrics import OutcomeSummary

_KS = (2, 4, 8, 16, 32)


def known_samples(outcomes: Iterable[OutcomeSummary]) -> dict[str, list[OutcomeSummary]]:
    """Samples by question key, in their order, without those that an infrastructure fault has excluded."""
    found: dict[str, list[OutcomeSummary]] = defaultdict(list)
    for outcome in outcomes:
        if not outcome.excluded:
            found[outcome.question].append(outcome)
    return dict(found)


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Probability that at least one of ``k`` samples, drawn from those of one question, is right.

    The unbiased estimator of Chen et al. 2021. Raises ValueError unless 1 <= k <= samples and 0 <= right <= samples.
    """
    if not 1 <= k <= samples or not 0 <= right <= samples:
        raise ValueError(f"pass@{k} of {right} right answers among {samples} samples is not defined")
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)


def majority(samples: Sequence[OutcomeSummary]) -> float:
    """Whether the answer given most often is right; several that are given equally often share the vote.

    Samples without an answer do not vote; nobody voting is wrong.
    """
    votes = Counter(sample.answer for sample in samples if sample.answer)
    if not votes:
        return 0.0
    most = max(votes.values())
    right = {sample.answer for sample in samples if sample.correct}
    return statistics.fmean(answer in right for answer, count in votes.items() if count == most)


def sample_statistics(outcomes: Iterable[OutcomeSummary]) -> dict[str, float]:
    """``avg@n``, ``pass@k`` and ``majority@n``, n being the samples of most questions; means over questions.

    A question with fewer than k samples left does not count in pass@k. Empty without outcomes.
    """
    questions = known_samples(outcomes)
    if not questions:
        return {}
    sizes = Counter(len(samples) for samples in questions.values())
    size = max(sizes, key=lambda one: (sizes[one], one))
    counts = [(len(samples), sum(sample.correct for sample in samples)) for samples in questions.values()]
    found = {f"avg@{size}": statistics.fmean(right / of for of, right in counts)}
    for k in sorted({*(k for k in _KS if k <= size), size} - {1}):
        found[f"pass@{k}"] = statistics.fmean(pass_at_k(of, right, k) for of, right in counts if of >= k)
    if size > 1 and _has_answers(questions):
        found[f"majority@{size}"] = statistics.fmean(majority(samples) for samples in questions.values())
    return found


def _has_answers(questions: Mapping[str, Sequence[OutcomeSummary]]) -> bool:
    """Whether the answers are in the record, which those of the first releases are not."""
    return any(sample.answer for samples in questions.values() for sample in samples)
