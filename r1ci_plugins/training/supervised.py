"""What supervised fine-tuning trains on: trajectories as token ids and trained ranges, as in RL.

The ids of a recorded trajectory are taken as they are. A record of text alone is rendered by ``conversation.render``.
A sequence that is too long is never cut in the middle of a turn.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.conversation import render, turns_of
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.training.loss_mask import LossMask, Range, check_invariants, output_ranges, trained_ranges

TooLong = Literal["drop", "cut_at_turn"]


@dataclass(frozen=True)
class Example:
    """One sequence to train on.

    Attributes:
        token_ids: The whole sequence, prompt included.
        ranges: Sorted, disjoint ranges of positions whose tokens are trained; at least one.
        outputs: Ranges of code outputs for the loss's second term; none without it.
    """

    token_ids: tuple[int, ...]
    ranges: tuple[Range, ...]
    outputs: tuple[Range, ...] = ()

    @property
    def trained(self) -> int:
        """Number of trained tokens."""
        return sum(end - start for start, end in self.ranges)


@dataclass(frozen=True)
class Examples:
    """A data set, and how many trajectories are not in it.

    Attributes:
        examples: In the order of the trajectories.
        cut: How many of them lost turns at their end.
        left_out: How many trajectories are not among them, by reason.
    """

    examples: Sequence[Example]
    cut: int
    left_out: Counter[str]

    def describe(self) -> str:
        """One line for people."""
        trained, tokens = sum(e.trained for e in self.examples), sum(len(e.token_ids) for e in self.examples)
        parts = [f"{len(self.examples)} trajectories, {trained} of {tokens} tokens trained"]
        if outputs := sum(end - start for example in self.examples for start, end in example.outputs):
            parts.append(f"{outputs} tokens of code outputs in the loss's second term")
        if self.cut:
            parts.append(f"{self.cut} cut at a turn")
        parts += [f"{count} left out: {reason}" for reason, count in sorted(self.left_out.items())]
        return "; ".join(parts)


def make_examples(
    trajectories: Iterable[Trajectory],
    template: ChatTemplate,
    loss_mask: LossMask,
    *,
    max_tokens: int,
    too_long: TooLong,
    only_correct: bool,
) -> Examples:
    """Choose, fit and mask trajectories.

    Args:
        trajectories: They must be judged if ``only_correct`` is set.
        template: The chat template of the model that will be trained.
        loss_mask: What is trained of each.
        max_tokens: The longest sequence that is allowed, in tokens.
        too_long: Whether a longer one is left out, or cut after the model's last turn that fits.
        only_correct: Whether trajectories without a correct answer are left out.

    Raises:
        TrajectoryFileError: The ids are another tokenizer's, or the segments stand in an impossible order.
        LossMaskError: The mask breaks an invariant.
    """
    examples: list[Example] = []
    left_out: Counter[str] = Counter()
    cut = 0
    for trajectory in trajectories:
        if trajectory.excluded:
            left_out["ended with an infrastructure fault"] += 1
            continue
        if only_correct and not trajectory.correct:
            left_out["no correct answer"] += 1
            continue
        whole = replace(trajectory, segments=segments_for(trajectory, template))
        fitted = fit(whole, max_tokens, too_long)
        if fitted is None:
            left_out[f"longer than {max_tokens} tokens"] += 1
            continue
        ranges = trained_ranges(fitted, loss_mask)
        check_invariants(fitted, ranges, loss_mask)
        if not ranges:
            left_out["no token is trained"] += 1
            continue
        examples.append(Example(tuple(fitted.token_ids), tuple(ranges), tuple(output_ranges(fitted, loss_mask))))
        if fitted is not whole:
            cut += 1
    return Examples(examples, cut, left_out)


def segments_for(trajectory: Trajectory, template: ChatTemplate) -> tuple[Segment, ...]:
    """The recorded segments, or rendered ones if the record has text alone.

    Raises TrajectoryFileError as ``make_examples`` does.
    """
    segments = trajectory.segments
    if not any(segment.token_ids for segment in segments):
        return render(trajectory.question.text, turns_of(segments), template)
    if not segments or segments[0].kind is not SegmentKind.PROMPT:
        raise TrajectoryFileError("a trajectory does not begin with its prompt", where=trajectory.question.key)
    for segment in segments:
        if not template.made(segment):
            raise TrajectoryFileError(
                f"a trajectory's {segment.kind} is not what this model's tokenizer and chat template make of it",
                where=f"{trajectory.question.key}, {segment.text[:60]!r}",
                fix="train the model that the file was made for, or make the trajectories with this one's tokenizer",
            )
    return segments


def fit(trajectory: Trajectory, max_tokens: int, too_long: TooLong) -> Trajectory | None:
    """The trajectory if it is short enough, else a prefix that ends with a turn of the model, or None."""
    lengths = [len(segment.token_ids) for segment in trajectory.segments]
    if sum(lengths) <= max_tokens:
        return trajectory
    if too_long == "drop":
        return None
    whole_turns = [
        end
        for end, segment in enumerate(trajectory.segments, 1)
        if segment.kind is SegmentKind.ACTION and sum(lengths[:end]) <= max_tokens
    ]
    return replace(trajectory, segments=trajectory.segments[: whole_turns[-1]]) if whole_turns else None
