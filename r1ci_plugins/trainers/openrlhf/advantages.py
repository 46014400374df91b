"""Advantages of a batch in which samples may be unknown and trajectories hold tokens that the policy did not sample.

Every estimator gives what it would give on the known samples and on the policy's own tokens alone. Shapes: P prompts
with n samples each, B rows, A tokens. Masks are boolean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GROUPED = ("rloo", "reinforce_baseline", "dr_grpo", "group_norm")
"""Estimators whose baseline is a prompt's other samples."""


def shaped_rewards(rewards: torch.Tensor, known: torch.Tensor, estimator: str) -> torch.Tensor:
    """Subtract the estimator's baseline, and divide where it does (OpenRLHF 0.11.2, ``experience_maker``).

    A sample without another known one in its group has nothing to be compared with: 0.

    Args:
        rewards: Shape (P, n), float.
        known: Shape (P, n); False for a sample that is excluded.
        estimator: ``--algo.advantage.estimator``.

    Returns:
        Shape (P, n), of the rewards' dtype; 0 where not known.
    """
    import torch

    counts = known.sum(-1, keepdim=True)
    sums = (rewards * known).sum(-1, keepdim=True)
    means = sums / counts.clamp(min=1)
    if estimator == "rloo":
        shaped = rewards - (sums - rewards) / (counts - 1).clamp(min=1)
    elif estimator in ("reinforce_baseline", "dr_grpo"):
        shaped = rewards - means
    elif estimator == "group_norm":
        shaped = (rewards - means) / (group_deviations(rewards, known) + 1e-9)
    elif estimator == "flash_reinforce":
        return (rewards - (rewards * known).sum() / known.sum().clamp(min=1)) * known
    else:
        return rewards * known
    return torch.where(known & (counts > 1), shaped, torch.zeros_like(shaped))


def group_deviations(rewards: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Standard deviation (divisor: one less than the count) of each group's known rewards.

    Args:
        rewards: Shape (P, n), float.
        known: Shape (P, n).

    Returns:
        Shape (P, 1); 0 for a group with fewer than two known samples.
    """
    counts = known.sum(-1, keepdim=True)
    means = (rewards * known).sum(-1, keepdim=True) / counts.clamp(min=1)
    squares = ((rewards - means) * known).pow(2).sum(-1, keepdim=True)
    return (squares / (counts - 1).clamp(min=1)).sqrt()


def generalized_advantages(
    values: torch.Tensor, rewards: torch.Tensor, own: torch.Tensor, gamma: float, lambd: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """GAE (arXiv 1506.02438) over the policy's own tokens, as if nothing stood between them.

    Args:
        values: Shape (B, A).
        rewards: Shape (B, A).
        own: Shape (B, A); tokens whose sampling was an action.
        gamma: Discount per own token.
        lambd: GAE's lambda.

    Returns:
        Advantages and returns, shape (B, A) each; 0 outside ``own``.
    """
    import torch

    advantages = torch.zeros_like(rewards)
    next_value, advantage = torch.zeros_like(rewards[:, 0]), torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        here = own[:, t]
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        advantage = torch.where(here, delta + gamma * lambd * advantage, advantage)
        next_value = torch.where(here, values[:, t], next_value)
        advantages[:, t] = advantage
    return advantages * own, (advantages + values) * own


def discounted_returns(rewards: torch.Tensor, own: torch.Tensor, gamma: float) -> torch.Tensor:
    """Discounted sums of the rewards that follow, over the policy's own tokens.

    Args:
        rewards: Shape (B, A).
        own: Shape (B, A).
        gamma: Discount per own token.

    Returns:
        Shape (B, A); 0 outside ``own``.
    """
    import torch

    returns = torch.zeros_like(rewards)
    total = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        total = torch.where(own[:, t], rewards[:, t] + gamma * total, total)
        returns[:, t] = total
    return returns * own


def standardized(
    advantages: Sequence[torch.Tensor], own: Sequence[torch.Tensor], *, divide: bool
) -> list[torch.Tensor]:
    """Subtract the mean over all own tokens of the batch; with ``divide``, divide by their deviation (divisor: n).

    Args:
        advantages: One tensor per micro-batch, shape (B, A), float.
        own: Their masks.
        divide: Whether to divide.

    Returns:
        As ``advantages``; unchanged without any own token.
    """
    import torch

    values = torch.cat([one[mask] for one, mask in zip(advantages, own, strict=True)]).float()
    if not len(values):
        return list(advantages)
    scale = values.var(correction=0).clamp(min=1e-8).rsqrt() if divide else 1.0
    return [(one - values.mean()) * scale for one in advantages]
