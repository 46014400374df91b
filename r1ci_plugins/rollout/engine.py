"""The engine contract: token ids in, token ids out. The rollout loop sees nothing else of a model.

vLLM inside OpenRLHF implements it for training; a scripted fake implements it for tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Ended(StrEnum):
    """Why a generation stopped."""

    END_OF_TURN = "end_of_turn"  # the model sampled an end-of-turn or end-of-sequence token; it is in token_ids
    STOP_STRING = "stop_string"  # a stop string appeared; the tokens that spell it are in token_ids
    LENGTH = "length"  # max_tokens were sampled


@dataclass(frozen=True)
class Generation:
    """What the policy sampled.

    Attributes:
        token_ids: Sampled ids, verbatim, with the token that ended the generation.
        log_probs: Log-probability of each sampled id under the sampling policy, or None if nobody asked.
        ended: Why it stopped.
    """

    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...] | None
    ended: Ended


class Engine(Protocol):
    """A policy that continues a token sequence. It knows its temperature and other sampling settings itself."""

    async def generate(
        self, token_ids: Sequence[int], *, max_tokens: int, stop: Sequence[str], stop_token_ids: Sequence[int]
    ) -> Generation:
        """Sample up to ``max_tokens`` ids after ``token_ids``; cancellation must abort the request."""
        ...
