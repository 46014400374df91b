"""How much a question has to teach: accuracy p and improvement potential 4p(1 - p), from answers that were checked."""

import math
from dataclasses import dataclass

_PRIOR = 0.5
"""Jeffreys' prior, a Beta(1/2, 1/2), as pseudo-counts of right and of wrong answers."""


@dataclass(frozen=True)
class Evidence:
    """Answers to one question, excluded ones left out.

    Attributes:
        correct: How many were right; a fraction where old answers have lost weight.
        count: How many there are.
    """

    correct: float = 0.0
    count: float = 0.0

    @property
    def accuracy(self) -> float:
        """The share that was right, the paper's p; NaN without answers."""
        return self.correct / self.count if self.count else math.nan

    @property
    def potential(self) -> float:
        """The paper's 4p(1 - p), in [0, 1]; 0 without answers."""
        return 4 * self.accuracy * (1 - self.accuracy) if self.count else 0.0

    @property
    def expected_potential(self) -> float:
        """The posterior mean of 4p(1 - p): near 1/2 without answers, never quite 0."""
        right, wrong = self._beta
        total = right + wrong
        return 4 * right * wrong / (total * (total + 1))

    @property
    def accuracy_error(self) -> float:
        """The posterior standard deviation of p."""
        right, wrong = self._beta
        total = right + wrong
        return math.sqrt(right * wrong / (total + 1)) / total

    @property
    def potential_error(self) -> float:
        """The posterior standard deviation of 4p(1 - p); that of p says little, as the slope is 0 at p = 1/2."""
        right, wrong = self._beta
        total = right + wrong
        second = right * (right + 1) * wrong * (wrong + 1) / (total * (total + 1) * (total + 2) * (total + 3))
        return math.sqrt(max(0.0, 16 * second - self.expected_potential**2))

    @property
    def _beta(self) -> tuple[float, float]:
        return self.correct + _PRIOR, self.count - self.correct + _PRIOR

    def then(self, correct: int, count: int, *, keeping: float) -> "Evidence":
        """With newer answers; the older ones keep this share of their weight, because the policy has moved on."""
        return Evidence(keeping * self.correct + correct, keeping * self.count + count)
