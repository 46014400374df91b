"""An evaluation as it is kept: one line of a run's ``evaluations.jsonl``, with the outcome of every sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1ci_plugins.evaluation.statistics import Estimate, accuracy_by_question, estimate
from r1ci_plugins.rollout.metrics import OutcomeSummary


@dataclass(frozen=True)
class Evaluation:
    """One evaluation.

    Attributes:
        label: When it was, such as ``base`` or ``after rl``.
        outcomes: Of every sample.
    """

    label: str
    outcomes: Sequence[OutcomeSummary]

    @property
    def accuracy(self) -> Estimate:
        """Mean over questions with its standard error; excluded samples count for nothing."""
        return estimate(list(accuracy_by_question(self.outcomes).values()))

    def to_line(self, step: int) -> dict[str, Any]:
        """The line, JSON-ready; ``step`` is that of the training so far."""
        accuracy = self.accuracy
        return {
            "step": step,
            "accuracy": _known(accuracy.mean),
            "standard_error": _known(accuracy.standard_error),
            "questions": accuracy.count,
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }

    @classmethod
    def from_line(cls, label: str, line: Mapping[str, Any]) -> Evaluation:
        """Read it back."""
        return cls(label, [OutcomeSummary(**values) for values in line["outcomes"]])

    def __str__(self) -> str:
        """For the terminal."""
        accuracy, samples = self.accuracy, len(self.outcomes)
        return (
            f"evaluation {self.label}: accuracy {accuracy.mean:.1%} +- {accuracy.standard_error:.1%} "
            f"({accuracy.count} questions, {samples} samples)"
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value  # JSON has no NaN
