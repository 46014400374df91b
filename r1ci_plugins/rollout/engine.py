"""The engine contract: token ids in, token ids out.

vLLM inside OpenRLHF implements it for training; a scripted fake implements it for tests. The loop sees only this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Ended(StrEnum):
    """Why a generation stopped."""

    END_OF_TURN = "end_of_turn"  # the model sampled an end-of-turn or end-of-sequence token; it is in token_ids
    STOP_STRING = "stop_string"  # a stop string appeared; the tokens that spell it are in token_ids
    LENGTH = "length"  # max_tokens sampled


@dataclass(frozen=True)
class Generation:
    """What the policy sampled.

    Attributes:
        token_ids: Sampled ids, verbatim; the token that ended the generation included.
        log_probs: Log-probability of each sampled id under the sampling policy, or None when not asked for.
        ended: Why it stopped.
    """

    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...] | None
    ended: Ended


class Engine(Protocol):
    """A policy that continues a token sequence. Temperature and the like are the engine's own business."""

    async def generate(
        self, token_ids: Sequence[int], *, max_tokens: int, stop: Sequence[str], stop_token_ids: Sequence[int]
    ) -> Generation:
        """Sample up to ``max_tokens`` ids after ``token_ids``; cancellation must abort the request."""
        ...
