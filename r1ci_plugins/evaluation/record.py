"""An evaluation as it is kept: one line of a run's ``evaluations.jsonl``, with the outcome of every sample."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from r1ci_plugins.evaluation.statistics import Estimate, accuracy_by_question, estimate
from r1ci_plugins.rollout.metrics import OutcomeSummary


@dataclass(frozen=True)
class Evaluation:
    """One evaluation.

    Attributes:
        label: When it was made, such as ``base`` or ``after rl``.
        outcomes: One per sample.
    """

    label: str
    outcomes: Sequence[OutcomeSummary]

    @property
    def accuracy(self) -> Estimate:
        """Mean over questions with its standard error, without excluded samples."""
        return estimate(list(accuracy_by_question(self.outcomes).values()))

    def to_line(self, step: int) -> dict[str, Any]:
        """The line, ready for JSON; ``step`` is the last training step before the evaluation."""
        accuracy = self.accuracy
        return {
            "step": step,
            "accuracy": _known(accuracy.mean),
            "standard_error": _known(accuracy.standard_error),
            "questions": accuracy.count,
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }

    @classmethod
    def from_line(cls, label: str, line: Mapping[str, Any]) -> Self:
        """Read back what ``to_line`` wrote."""
        return cls(label, [OutcomeSummary(**values) for values in line["outcomes"]])

    def __str__(self) -> str:
        """One line for the terminal."""
        accuracy, samples = self.accuracy, len(self.outcomes)
        excluded = sum(outcome.excluded for outcome in self.outcomes)
        return (
            f"evaluation {self.label}: accuracy {accuracy.mean:.1%} +- {accuracy.standard_error:.1%} "
            f"({accuracy.count} questions, {samples} samples" + (f", {excluded} excluded)" if excluded else ")")
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value  # JSON has no NaN
