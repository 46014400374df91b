"""Reward terms of the paper. Each turns a trajectory into a float; the reward is their sum, and each is a metric.

v1 is correctness alone; v2 (the default) adds format and efficiency.
"""

from collections.abc import Callable
from dataclasses import dataclass

from r1ci_plugins.rollout.trajectory import StopReason, Trajectory

RewardTerm = Callable[[Trajectory], float]


@dataclass(frozen=True)
class Correctness:
    """``value`` for a fully correct answer, else 0."""

    value: float = 1.0

    def __call__(self, trajectory: Trajectory) -> float:
        return self.value if trajectory.correct else 0.0


@dataclass(frozen=True)
class Format:
    """``bonus`` if the episode ended with a well-formed final answer, else minus ``penalty``."""

    bonus: float = 0.1
    penalty: float = 0.1

    def __call__(self, trajectory: Trajectory) -> float:
        return self.bonus if trajectory.stop_reason is StopReason.ANSWERED else -self.penalty


@dataclass(frozen=True)
class Efficiency:
    """Minus ``penalty`` for more than ``free_calls`` code calls."""

    free_calls: int = 6
    penalty: float = 0.1

    def __call__(self, trajectory: Trajectory) -> float:
        return -self.penalty if len(trajectory.tool_calls) > self.free_calls else 0.0
