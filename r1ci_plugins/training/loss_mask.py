"""The loss mask: which tokens of a trajectory are trained.

The paper leaves code outputs out; ``unmasked`` is its ablation; ``auxiliary`` learns to predict them in a term of the
loss of its own (a world model: arXiv 2605.24517 and 2609.20715). A mask that breaks an invariant is an error, not a
silently wrong gradient.
"""

import math
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from r1ci_plugins.errors import LossMaskError, plugin_error
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.trajectory import Trajectory

Range = tuple[int, int]
"""Half-open range of positions in ``Trajectory.token_ids``."""

_SAMPLED = frozenset({SegmentKind.ACTION})
_OUTPUTS = frozenset({SegmentKind.CODE_OUTPUT})
_SAMPLED_AND_OUTPUTS = frozenset({SegmentKind.ACTION, SegmentKind.CODE_OUTPUT})


@dataclass(frozen=True)
class LossMask:
    """Which tokens of a trajectory are trained.

    Attributes:
        ranges: Trajectory to the sorted, disjoint, non-empty ranges of trained tokens.
        sampled_only: Whether it promises to train only tokens that the policy sampled. RL, SFT and the audit hold
            every mask to that, a plugin's too; False for one that trains code outputs on purpose.
        outputs_weight: Weight of a second term of the loss: the mean cross-entropy of the code outputs' tokens. 0 for
            none. Those tokens are not in ``ranges``: they have no advantage and no KL.
    """

    ranges: Callable[[Trajectory], list[Range]]
    sampled_only: bool = True
    outputs_weight: float = 0.0

    @property
    def trainable(self) -> Set[SegmentKind]:
        """The kinds of tokens that it may train."""
        return _SAMPLED if self.sampled_only else _SAMPLED_AND_OUTPUTS


def as_loss_mask(made: LossMask | Callable[[Trajectory], list[Range]]) -> LossMask:
    """A plugin's loss mask; a plain function, as plugins wrote it in 0.1, promises to train sampled tokens only."""
    return made if isinstance(made, LossMask) else LossMask(made)


def _ranges(trajectory: Trajectory, kinds: Set[SegmentKind]) -> list[Range]:
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


MASKED = LossMask(partial(_ranges, kinds=_SAMPLED))
"""Trains what the policy sampled: prompts, separators and code outputs are left out."""

UNMASKED = LossMask(partial(_ranges, kinds=_SAMPLED_AND_OUTPUTS), sampled_only=False)
"""The paper's ablation: code outputs are trained too, though the policy did not write them."""


def auxiliary(weight: float) -> LossMask:
    """Trains what the policy sampled, and beside it to predict code outputs, with a weight above 0."""
    return LossMask(MASKED.ranges, outputs_weight=weight)


def output_ranges(trajectory: Trajectory, loss_mask: LossMask) -> list[Range]:
    """The tokens of the loss's second term, sorted and disjoint; none where the mask has no such term."""
    if trajectory.excluded or not loss_mask.outputs_weight:
        return []
    return _ranges(trajectory, _OUTPUTS)


def trained_ranges(trajectory: Trajectory, loss_mask: LossMask) -> list[Range]:
    """What a mask trains of a trajectory: nothing if it is excluded. Check it with ``check_invariants``.

    Raises LossMaskError if the mask, perhaps a plugin's, raises.
    """
    try:
        return [] if trajectory.excluded else loss_mask.ranges(trajectory)
    except Exception as error:
        where = f"trajectory of {trajectory.question.key}"
        fix = "correct the loss mask, or use another one"
        raise plugin_error(LossMaskError, "the loss mask raised", error, where=where, fix=fix) from error


def check_invariants(trajectory: Trajectory, ranges: list[Range], loss_mask: LossMask) -> None:
    """Raise unless the trained ranges and the log-probs fit the trajectory.

    Args:
        trajectory: What was sampled.
        ranges: What is trained of it.
        loss_mask: The mask that made the ranges; it says whether code outputs may be trained.

    Raises:
        LossMaskError: Ranges out of bounds, empty, unsorted or overlapping; a token trained that the policy did not
            sample; a prompt token trained; log-probs that do not fit (see ``log_prob_problem``).
    """
    kinds = trajectory.token_kinds
    where = f"trajectory of {trajectory.question.key}"
    if any(not 0 <= start < end <= len(kinds) for start, end in ranges):
        raise LossMaskError(f"mask ranges {ranges} do not fit {len(kinds)} tokens", where=where)
    if any(left[1] > right[0] for left, right in pairwise(ranges)):
        raise LossMaskError(f"mask ranges {ranges} overlap or are unsorted", where=where)
    trained = {kinds[position] for start, end in ranges for position in range(start, end)}
    forbidden = trained - loss_mask.trainable
    if forbidden:
        raise LossMaskError(
            f"the mask trains tokens of kind {', '.join(sorted(forbidden))}, which the policy did not sample",
            where=where,
            fix="correct the mask; if it trains code outputs on purpose, the plugin returns "
            "LossMask(function, sampled_only=False)",
        )
    for segment in trajectory.segments:
        problem = log_prob_problem(segment)
        if problem:
            raise LossMaskError(problem, where=where)


def log_prob_problem(segment: Segment) -> str:
    """What is wrong with a segment's log-probs: their number, or one that is positive or not finite; else empty."""
    if segment.log_probs is None:
        return ""
    if len(segment.log_probs) != len(segment.token_ids):
        return f"{len(segment.log_probs)} log-probs for {len(segment.token_ids)} tokens"
    if any(not math.isfinite(value) or value > 1e-4 for value in segment.log_probs):
        return "a log-prob is positive or not finite"
    return ""


def rollout_log_probs(trajectory: Trajectory) -> list[float] | None:
    """Log-probs aligned with ``token_ids``: the sampling policy's for actions, 0.0 elsewhere.

    Returns:
        Floats, shape (T,), or None if the engine reported none.
    """
    actions = [segment for segment in trajectory.segments if segment.kind is SegmentKind.ACTION]
    if not actions or any(segment.log_probs is None for segment in actions):
        return None
    return [value for s in trajectory.segments for value in (s.log_probs or [0.0] * len(s.token_ids))]
