"""The code-output loss mask: which tokens of a trajectory are trained on.

The paper masks code outputs by default; ``unmasked`` is its ablation. The invariants make a wrong mask an error rather
than a silently wrong gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from r1ci_plugins.errors import LossMaskError
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.trajectory import Trajectory

Range = tuple[int, int]
"""Half-open range of positions in ``Trajectory.token_ids``."""


@dataclass(frozen=True)
class LossMask:
    """Which tokens of a trajectory are trained.

    Attributes:
        ranges: Trajectory to the sorted, disjoint, non-empty ranges of trained tokens.
        sampled_only: Whether it promises to train only tokens that the policy sampled. RL, SFT and the audit hold
            every mask to that, a plugin's too; False for one that trains code outputs on purpose.
    """

    ranges: Callable[[Trajectory], list[Range]]
    sampled_only: bool = True


def as_loss_mask(made: LossMask | Callable[[Trajectory], list[Range]]) -> LossMask:
    """A plugin's loss mask; a plain function, as plugins wrote it in 0.1, promises to train sampled tokens only."""
    return made if isinstance(made, LossMask) else LossMask(made)


def _masked(trajectory: Trajectory) -> list[Range]:
    return _ranges(trajectory, {SegmentKind.ACTION})


def _unmasked(trajectory: Trajectory) -> list[Range]:
    return _ranges(trajectory, {SegmentKind.ACTION, SegmentKind.CODE_OUTPUT})


MASKED = LossMask(_masked)
"""Trains what the policy sampled: prompts, separators and code outputs are left out."""

UNMASKED = LossMask(_unmasked, sampled_only=False)
"""The paper's ablation: code outputs are trained too, though the policy did not write them."""


def trained_ranges(trajectory: Trajectory, loss_mask: LossMask) -> list[Range]:
    """What a mask trains of a trajectory: nothing if it is excluded.

    Raises:
        LossMaskError: The mask, a plugin's perhaps, raises.
    """
    try:
        return [] if trajectory.excluded else loss_mask.ranges(trajectory)
    except Exception as error:
        where = f"trajectory of {trajectory.question.key}"
        raise LossMaskError(f"the loss mask raised {type(error).__name__}: {error}", where=where) from error


def _ranges(trajectory: Trajectory, kinds: set[SegmentKind]) -> list[Range]:
    ranges: list[Range] = []
    position = 0
    for segment in trajectory.segments:
        end = position + len(segment.token_ids)
        if segment.kind in kinds and end > position:
            if ranges and ranges[-1][1] == position:
                ranges[-1] = (ranges[-1][0], end)
            else:
                ranges.append((position, end))
        position = end
    return ranges


def rollout_log_probs(trajectory: Trajectory) -> list[float] | None:
    """Log-probs aligned with ``token_ids``: the sampling policy's for actions, 0.0 elsewhere.

    Returns:
        Floats, shape (T,), or None if the engine reported none.
    """
    actions = [s for s in trajectory.segments if s.kind is SegmentKind.ACTION]
    if not actions or any(s.log_probs is None for s in actions):
        return None
    return [p for s in trajectory.segments for p in (s.log_probs or [0.0] * len(s.token_ids))]


def check_invariants(trajectory: Trajectory, ranges: list[Range], *, sampled_only: bool = True) -> None:
    """Raise unless the mask and the log-probs fit the trajectory.

    Args:
        trajectory: What was sampled.
        ranges: The mask to check.
        sampled_only: Whether every trained token must have been sampled by the policy (masked mode).

    Raises:
        LossMaskError: Ranges out of bounds, empty, unsorted or overlapping; a trained token that the policy did not
            sample; a prompt token trained; log-probs of another length than their tokens, positive or not finite.
    """
    kinds = [segment.kind for segment in trajectory.segments for _ in segment.token_ids]
    where = f"trajectory of {trajectory.question.key}"
    if any(not 0 <= start < end <= len(kinds) for start, end in ranges):
        raise LossMaskError(f"mask ranges {ranges} do not fit {len(kinds)} tokens", where=where)
    if any(left[1] > right[0] for left, right in pairwise(ranges)):
        raise LossMaskError(f"mask ranges {ranges} overlap or are unsorted", where=where)
    trained = {kinds[position] for start, end in ranges for position in range(start, end)}
    forbidden = trained - ({SegmentKind.ACTION} if sampled_only else {SegmentKind.ACTION, SegmentKind.CODE_OUTPUT})
    if forbidden:
        raise LossMaskError(
            f"the mask trains tokens of kind {', '.join(sorted(forbidden))}, which the policy did not sample",
            where=where,
            fix="correct the mask; LossMask(ranges, sampled_only=False) is one that trains code outputs on purpose",
        )
    for segment in trajectory.segments:
        if segment.log_probs is None:
            continue
        if len(segment.log_probs) != len(segment.token_ids):
            raise LossMaskError(f"{len(segment.log_probs)} log-probs for {len(segment.token_ids)} tokens", where=where)
        if any(not math.isfinite(p) or p > 1e-4 for p in segment.log_probs):
            raise LossMaskError("a log-prob is positive or not finite", where=where)
