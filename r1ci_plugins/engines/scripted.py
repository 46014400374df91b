"""A model that says given texts: for tests, and for looking at masks without a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from r1ci_plugins.rollout.engine import Ended, Generation


@dataclass
class ScriptedEngine:
    """A fake engine that says given texts in turn, for tests and for looking at masks without a model.

    Attributes:
        texts: One string per call of ``generate``; after the last one it says the last again.
        encode: Text to token ids, special tokens recognised (end-of-turn tokens are written as text).
        log_prob: Reported for every token; None reports no log-probs.
    """

    texts: Sequence[str]
    encode: Callable[[str], list[int]]
    log_prob: float | None = -0.5
    calls: int = 0

    async def generate(
        self, token_ids: Sequence[int], *, max_tokens: int, stop: Sequence[str], stop_token_ids: Sequence[int]
    ) -> Generation:
        """Return the next scripted text, cut at an end-of-turn token or ``max_tokens`` like a real engine."""
        ids = self.encode(self.texts[min(self.calls, len(self.texts) - 1)])
        self.calls += 1
        ended = Ended.STOP_STRING
        for position, token in enumerate(ids):
            if token in stop_token_ids:
                ids, ended = ids[: position + 1], Ended.END_OF_TURN
                break
        if len(ids) > max_tokens:
            ids, ended = ids[:max_tokens], Ended.LENGTH
        log_probs = None if self.log_prob is None else (self.log_prob,) * len(ids)
        return Generation(tuple(ids), log_probs, ended)
