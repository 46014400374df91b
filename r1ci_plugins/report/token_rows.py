"""A trajectory as rows, one per token, that say who wrote it and whether it is trained; for people to look at."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from r1ci_plugins.protocol.chat_template import Tokenizer
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.training.loss_mask import Range

_REPLACEMENT = "\ufffd"
_VISIBLE_NAMES = {" ": "·", "\n": "↵", "\t": "⇥", "\x7f": "␡"}
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}


@dataclass(frozen=True)
class TokenRow:
    """One token.

    Attributes:
        position: Its place in ``Trajectory.token_ids``.
        token_id: Its id.
        text: Its text. A character that several tokens spell stands at the first of them; the others have no text.
        kind: Who wrote it.
        segment: Index of its segment.
        turn: 0 for the prompt; then the number of the model's turn, which its feedback shares.
        trained: Whether it is in the mask.
        predicted: Whether it is in the loss's second term, which learns to predict code outputs.
        special: Whether it is a special token of the tokenizer.
        log_prob: Under the sampling policy; None where the record has none.
    """

    position: int
    token_id: int
    text: str
    kind: SegmentKind
    segment: int
    turn: int
    trained: bool
    predicted: bool
    special: bool
    log_prob: float | None

    @property
    def leaks(self) -> bool:
        """Whether it is trained though the policy did not write it."""
        return self.trained and self.kind is not SegmentKind.ACTION

    @property
    def verdict(self) -> str:
        """``leak``, ``trained``, ``predict`` or empty."""
        return "leak" if self.leaks else "trained" if self.trained else "predict" if self.predicted else ""


def token_rows(
    trajectory: Trajectory, ranges: Sequence[Range], tokenizer: Tokenizer, outputs: Sequence[Range] = ()
) -> list[TokenRow]:
    """Every token of a trajectory, in order.

    Args:
        trajectory: Recorded or played.
        ranges: Its loss mask.
        tokenizer: What made its ids.
        outputs: Code outputs in the loss's second term.
    """
    trained = {position for start, end in ranges for position in range(start, end)}
    predicted = {position for start, end in outputs for position in range(start, end)}
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if getattr(added, "special", True)}
    rows: list[TokenRow] = []
    turn = 0
    for index, segment in enumerate(trajectory.segments):
        if segment.kind is SegmentKind.ACTION:
            turn += 1
        log_probs = segment.log_probs or ()
        before = [rows[-1].token_id] if rows else []
        for place, (token, text) in enumerate(
            zip(segment.token_ids, _pieces(segment.token_ids, before, tokenizer), strict=True)
        ):
            rows.append(
                TokenRow(
                    position=len(rows),
                    token_id=token,
                    text=text,
                    kind=segment.kind,
                    segment=index,
                    turn=turn,
                    trained=len(rows) in trained,
                    predicted=len(rows) in predicted,
                    special=token in special,
                    log_prob=log_probs[place] if place < len(log_probs) else None,
                )
            )
    return rows


def runs(rows: Sequence[TokenRow]) -> list[list[TokenRow]]:
    """Neighbouring rows of one segment and one verdict, together."""
    return [list(group) for _, group in groupby(rows, key=lambda row: (row.segment, row.verdict))]


def mean_log_prob(rows: Sequence[TokenRow]) -> float | None:
    """Mean over the rows that have a log-prob; None if none has."""
    known = [row.log_prob for row in rows if row.log_prob is not None]
    return sum(known) / len(known) if known else None


def facts(
    trajectory: Trajectory, rows: Sequence[TokenRow], advantage: Mapping[str, float] | None = None
) -> dict[str, str]:
    """What to know about a trajectory besides its tokens, by heading.

    ``advantage`` is its line of ``advantages.jsonl``, if it was trained on.
    """
    question, terms = trajectory.question, trajectory.reward_terms
    verdict = "not verified" if trajectory.score is None else f"score {trajectory.score:g}"
    if trajectory.score_detail:
        verdict += f" ({trajectory.score_detail})"
    answer = "no answer" if trajectory.answer is None else f"answer {trajectory.answer}"
    summed = " ".join(f"{'-' if value < 0 else '+'} {name} {abs(value):g}" for name, value in terms.items())
    mean = mean_log_prob(rows)
    sampled = sum(row.kind is SegmentKind.ACTION for row in rows)
    trained = sum(row.trained for row in rows)
    predicted = sum(row.predicted for row in rows)
    leaks = [row for row in rows if row.leaks]
    shown = {
        "question": question.key,
        "outcome": f"{trajectory.stop_reason.value}; {answer}; {verdict}; reference {question.answer}",
        "excluded": f"nothing is trained: {trajectory.fault}" if trajectory.excluded else "",
        "origin": ", ".join(f"{name} {value}" for name, value in trajectory.origin.items()),
        "reward": f"{trajectory.reward:g} = {summed.removeprefix('+ ')}" if terms else "not in the record",
        "advantage": _advantage(advantage) if advantage else "none recorded: RL has not trained on it",
        "log-probs": "not in the record" if mean is None else f"mean {mean:.3f} over {sampled} sampled tokens",
        "tokens": f"{len(rows)}: {_by_kind(rows)}",
        "trained": f"{trained} of {len(rows)} ({trained / max(1, len(rows)):.1%})",
    }
    if predicted:
        shown["predicted"] = f"{predicted} tokens of code outputs, in the loss's second term"
    if leaks:
        count = f"{len(leaks)} tokens are trained though the policy did not write them"
        shown["leaks"] = f"{count}: {_by_kind(leaks)}"
    return {heading: text for heading, text in shown.items() if text}


def _advantage(line: Mapping[str, float]) -> str:
    if "lowest" not in line:
        return f"{line['advantage']:.3f} for each trained token"
    return f"{line['advantage']:.3f} on average over trained tokens ({line['lowest']:.3f} to {line['highest']:.3f})"


def reveal(character: str) -> str:
    """A sign for a character that cannot be seen (white space, controls, joiners); any other character itself."""
    if character in _VISIBLE_NAMES:
        return _VISIBLE_NAMES[character]
    if character < " ":
        return chr(0x2400 + ord(character))
    return f"⟨U+{ord(character):04X}⟩" if unicodedata.category(character) in _INVISIBLE else character


def plain(text: str) -> str:
    """Text that is safe to print on one line: signs for what cannot be seen, but blanks stay blanks."""
    return "".join(character if character == " " else reveal(character) for character in text)


def _pieces(token_ids: Sequence[int], before: Sequence[int], tokenizer: Tokenizer) -> list[str]:
    """The text of each token in its context, however the tokenizer treats blanks and split characters."""

    def decode(ids: Sequence[int]) -> str:
        try:
            return tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        except (ValueError, OverflowError):  # a file may hold numbers that are not ids
            return ""

    ids = [*before, *token_ids]
    texts: list[str] = []
    start, read = 0, len(before)  # ids[start:read] is the context of ids[read:end]
    for end in range(read + 1, len(ids) + 1):
        context, whole = decode(ids[start:read]), decode(ids[start:end])
        if whole.endswith(_REPLACEMENT) and end < len(ids):  # perhaps in the middle of a character
            continue
        text, alone = whole[len(context) :], [decode([token]) for token in ids[read:end]]
        texts += alone if "".join(alone) == text else [text, *[""] * (end - read - 1)]
        start, read = read, end
    return texts


def _by_kind(rows: Sequence[TokenRow]) -> str:
    counts = Counter(row.kind for row in rows)
    return ", ".join(f"{kind.value} {counts[kind]}" for kind in SegmentKind if counts[kind])
