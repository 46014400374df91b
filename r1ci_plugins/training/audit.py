"""The audit: whether the ids, the texts and the mask of a recorded trajectory agree, token by token."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from r1ci_plugins.errors import LossMaskError, TrajectoryFileError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.rollout.trajectory_file import read_records
from r1ci_plugins.training.loss_mask import LossMask, Range, check_invariants, log_prob_problem, trained_ranges
from r1ci_plugins.training.supervised import segments_for

_OTHER_TOKENIZER = "name the tokenizer that made the file; or record the trajectories again with this one"
_OTHER_PROMPT = f"{_OTHER_TOKENIZER}; where a recipe has its own instructions or answer format, name the recipe"
_DAMAGED = "record the trajectory again, or leave it out of training"
_AFTER: Mapping[SegmentKind | None, Set[SegmentKind]] = {
    None: {SegmentKind.PROMPT},
    SegmentKind.PROMPT: {SegmentKind.ACTION},
    SegmentKind.ACTION: {SegmentKind.SEPARATOR},
    SegmentKind.CODE_OUTPUT: {SegmentKind.SEPARATOR},
}


@dataclass(frozen=True)
class Offence:
    """One thing that is wrong with a trajectory.

    Attributes:
        what: What is wrong.
        fix: What to do about it.
        position: Index of the first token concerned; None if it concerns no single token.
    """

    what: str
    fix: str
    position: int | None = None


@dataclass
class Tally:
    """What an audit has looked at.

    Attributes:
        trajectories: Number of trajectories.
        excluded: How many of them are excluded from training.
        textual: How many of them are recorded as text alone.
        tokens: Tokens by kind.
        trained: Trained tokens by kind.
    """

    trajectories: int = 0
    excluded: int = 0
    textual: int = 0
    tokens: Counter[SegmentKind] = field(default_factory=Counter)
    trained: Counter[SegmentKind] = field(default_factory=Counter)

    def count(self, trajectory: Trajectory, ranges: Sequence[Range], *, textual: bool) -> None:
        """Add one trajectory."""
        kinds = trajectory.token_kinds
        self.trajectories += 1
        self.excluded += trajectory.excluded
        self.textual += textual
        self.tokens.update(kinds)
        for start, end in ranges:
            self.trained.update(kinds[max(0, start) : max(0, end)])


@dataclass(frozen=True)
class Audit:
    """Checks trajectories against a tokenizer and a loss mask, and counts what it has looked at.

    ``template`` is the chat template of the tokenizer that made them, with the instructions of their prompts.
    """

    template: ChatTemplate
    loss_mask: LossMask
    tally: Tally = field(default_factory=Tally)

    def offences(self, trajectory: Trajectory) -> Iterator[Offence]:
        """Count a trajectory and yield what is wrong with it. Text alone is rendered first, as for SFT."""
        textual = trajectory.textual
        if textual:
            try:
                trajectory = replace(trajectory, segments=segments_for(trajectory, self.template))
            except TrajectoryFileError as error:
                yield Offence(error.what, _DAMAGED)
                return
        ranges: list[Range] = []
        mask_offence = None
        try:
            ranges = trained_ranges(trajectory, self.loss_mask)
            check_invariants(trajectory, ranges, self.loss_mask)
        except LossMaskError as error:
            mask_offence = Offence(error.what, error.fix or _DAMAGED, self._offending_token(trajectory, ranges))
        self.tally.count(trajectory, ranges, textual=textual)
        if trajectory.stop_reason is StopReason.INFRASTRUCTURE_FAULT and not trajectory.excluded:
            trained = sum(end - start for start, end in ranges)
            yield Offence(f"it ended with an infrastructure fault, but {trained} of its tokens are trained", _DAMAGED)
        if mask_offence:
            yield mask_offence
        # A vocabulary may have holes, so that its largest id is beyond its size.
        size = max(len(self.template.tokenizer), 1 + max(self.template.tokenizer.added_tokens_decoder, default=0))
        for position, token in enumerate(trajectory.token_ids):
            if not 0 <= token < size:
                yield Offence(
                    f"{token} is not an id of the tokenizer, whose largest is {size - 1}", _OTHER_TOKENIZER, position
                )
                return
        yield from self._wrong_segments(trajectory)

    def _offending_token(self, trajectory: Trajectory, ranges: Sequence[Range]) -> int | None:
        """The first token that is trained but must not be, or else of the first segment with wrong log-probs."""
        kinds = trajectory.token_kinds
        for position in chain.from_iterable(range(start, end) for start, end in ranges):
            if not 0 <= position < len(kinds) or kinds[position] not in self.loss_mask.trainable:
                return position
        for position, segment in _placed(trajectory):
            if log_prob_problem(segment):
                return position
        return None

    def _wrong_segments(self, trajectory: Trajectory) -> Iterator[Offence]:
        """Segments out of order, and those whose ids differ from what the template and the tokenizer make."""
        placed = list(_placed(trajectory))
        expected = [self.template.prompt(trajectory.question.text)]
        kind: SegmentKind | None = None
        fed_back = 0  # separators since the last action
        for index, (position, segment) in enumerate(placed):
            allowed = _AFTER.get(kind) or ({SegmentKind.CODE_OUTPUT} if fed_back == 1 else {SegmentKind.ACTION})
            if segment.kind not in allowed:
                place = f"after {kind.value}" if kind else "first"
                yield Offence(f"a segment of kind {segment.kind.value} cannot stand {place}", _DAMAGED, position)
                return
            kind = segment.kind
            if kind is SegmentKind.ACTION:
                fed_back = 0
                if self.template.decode(segment.token_ids) != segment.text:
                    yield Offence("the ids of an action do not spell its text", _OTHER_TOKENIZER, position)
                following = [other for _, other in placed[index + 1 : index + 4]]
                if len(following) > 1:
                    last = segment.token_ids[-1] if segment.token_ids else None
                    expected = list(self.template.feedback(following[1].text, last))
                continue
            if kind is SegmentKind.SEPARATOR:
                fed_back += 1
            rendered = expected.pop(0) if expected else None
            if rendered and (rendered.token_ids, rendered.text) != (segment.token_ids, segment.text):
                what = f"a segment of kind {kind.value} is not what this tokenizer's chat template makes of it"
                fix = _OTHER_PROMPT if kind is SegmentKind.PROMPT else _OTHER_TOKENIZER
                pairs = enumerate(zip(rendered.token_ids, segment.token_ids, strict=False))
                shorter = min(len(rendered.token_ids), len(segment.token_ids))
                different = next((place for place, (ours, theirs) in pairs if ours != theirs), shorter)
                yield Offence(what, fix, position + different)
        if kind is SegmentKind.CODE_OUTPUT or (kind is SegmentKind.SEPARATOR and fed_back == 1):
            yield Offence("it breaks off in the middle of a message", _DAMAGED, len(trajectory.token_ids))


def audited(file: Path, audit: Audit) -> Iterator[tuple[int, str, list[Offence]]]:
    """The number, the question's key and the offences of every line of a trajectory file."""
    for line, record in enumerate(read_records(file), 1):
        if isinstance(record, TrajectoryFileError):
            yield line, "", [Offence(record.what, record.fix or "remove the line, or record the trajectories again")]
        else:
            yield line, record.question.key, list(audit.offences(record))


def _placed(trajectory: Trajectory) -> Iterator[tuple[int, Segment]]:
    """Segments with the position of their first token."""
    position = 0
    for segment in trajectory.segments:
        yield position, segment
        position += len(segment.token_ids)
