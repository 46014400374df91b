"""Stretches of tokens and who wrote them: what prompts, turns and feedback are made of."""

from dataclasses import dataclass
from enum import StrEnum


class SegmentKind(StrEnum):
    """Who wrote a stretch of tokens."""

    PROMPT = "prompt"
    ACTION = "action"  # sampled by the policy, end-of-turn token included when it was sampled
    SEPARATOR = "separator"  # the chat template's turn boundary
    CODE_OUTPUT = "code_output"  # what the program printed, as fed back


@dataclass(frozen=True)
class Segment:
    """Consecutive tokens with one origin.

    Attributes:
        kind: Who wrote them.
        token_ids: The ids, verbatim.
        text: Their text, for people.
        log_probs: Under the sampling policy; only of actions. None when the engine was not asked.
    """

    kind: SegmentKind
    token_ids: tuple[int, ...]
    text: str
    log_probs: tuple[float, ...] | None = None
