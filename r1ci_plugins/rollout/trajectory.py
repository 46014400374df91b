"""The trajectory record: what one episode was, token by token, and how it was judged.

Loss masks, metrics, files and reports read this record; none of them tokenises its text again or recomputes a reward.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.tasks.task import Question

VERSION = 1


class StopReason(StrEnum):
    """Why an episode ended."""

    ANSWERED = "answered"
    CODE_CALL_CAP = "code_call_cap"  # asked for one more code call than allowed
    TOKEN_BUDGET = "token_budget"  # hit the cap per turn or in total in the middle of a turn
    CONTEXT_OVERFLOW = "context_overflow"  # the prompt, or the next feedback, does not fit
    VOID_TURN = "void_turn"  # ended a turn with neither code nor answer
    DEADLINE = "deadline"  # wall-clock limit of the trajectory
    INFRASTRUCTURE_FAULT = "infrastructure_fault"  # the sandbox or a plugin failed; never the policy's fault


@dataclass(frozen=True)
class ToolCall:
    """One program that was run.

    Attributes:
        code: The program.
        status: An ``ExecutionStatus`` value.
        error: Exception type or signal when the program failed, else empty.
        wall_s: Seconds it ran.
        cpu_s: CPU seconds.
        queue_s: Seconds it waited for a slot.
        truncated: Bytes of output that were dropped.
        isolation: What isolated it.
        attempts: How often it was started: more than once when the sandbox failed.
    """

    code: str
    status: str
    error: str
    wall_s: float
    cpu_s: float
    queue_s: float
    truncated: int
    isolation: str
    attempts: int = 1


@dataclass(frozen=True)
class Trajectory:
    """One episode.

    Attributes:
        question: What was asked.
        segments: The token sequence in order; the first is the prompt.
        tool_calls: Programs in order.
        stop_reason: Why it ended.
        answer: Text inside the final marker, or None.
        score: The verifier's value in [0, 1]; None until verified, and when the verifier failed.
        score_detail: The verifier's reason.
        reward_terms: Value of each reward term by name.
        fault: Empty, or the fault (of sandbox, checker or plugin, not of the policy) that makes the outcome unknown.
        wall_s: Seconds from first to last token, tools included.
        generation_s: Seconds spent waiting for the engine.
        step: The rollout batch it belongs to (the trainer's global step before the update); -1 outside training.
        origin: Where it comes from, as far as the rest does not tell: a synthesised one has teacher, variant, style
            and attempt; one of an endpoint has ``model``, as the endpoint names it, ``prompt_tokens`` and
            ``completion_tokens``, as it counts them; an evaluated one has ``agent``.
        version: Format version of the record.
    """

    question: Question
    segments: tuple[Segment, ...]
    tool_calls: tuple[ToolCall, ...]
    stop_reason: StopReason
    answer: str | None = None
    score: float | None = None
    score_detail: str = ""
    reward_terms: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    wall_s: float = 0.0
    generation_s: float = 0.0
    step: int = -1
    origin: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    @property
    def token_ids(self) -> list[int]:
        """The whole sequence, prompt included."""
        return [token for segment in self.segments for token in segment.token_ids]

    @property
    def token_kinds(self) -> list[SegmentKind]:
        """Who wrote each token, aligned with ``token_ids``."""
        return [segment.kind for segment in self.segments for _ in segment.token_ids]

    @property
    def textual(self) -> bool:
        """Whether it is recorded as text alone, as from an endpoint, which gives no token ids."""
        return not any(segment.token_ids for segment in self.segments)

    @property
    def action_tokens(self) -> int:
        """Tokens that the model sampled; of text alone, those that the endpoint has counted."""
        if self.textual:
            counted = self.origin.get("completion_tokens", 0)
            return counted if isinstance(counted, int) else 0
        return sum(len(segment.token_ids) for segment in self.segments if segment.kind is SegmentKind.ACTION)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, computed from question and tokens, that tell it from other trajectories.

        Without tokens they are computed from the texts.
        """
        said: object = [segment.text for segment in self.segments] if self.textual else self.token_ids
        content = json.dumps([self.question.key, said], separators=(",", ":"))
        return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @property
    def correct(self) -> bool:
        """Whether the verifier accepted the answer fully."""
        return self.score == 1.0

    @property
    def excluded(self) -> bool:
        """Whether it must stay out of the loss and of its group's baseline: its outcome is unknown."""
        return bool(self.fault)

    @property
    def reward(self) -> float:
        """Sum of the reward terms; 0.0 when excluded."""
        return 0.0 if self.excluded else float(sum(self.reward_terms.values()))

    def to_json(self) -> str:
        """One line of JSON."""
        # vars, not dataclasses.asdict: that copies every token, which takes 40 times as long.
        return json.dumps(self, ensure_ascii=False, default=vars)

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read back what ``to_json`` wrote.

        Raises TrajectoryFileError if the line is not a trajectory of a known version.
        """
        try:
            raw: dict[str, Any] = json.loads(line)
            if raw.get("version") != VERSION:
                raise TrajectoryFileError(
                    f"trajectory version {raw.get('version')!r} is unknown",
                    fix=f"this release reads version {VERSION}; use the release that wrote the file",
                )
            segments = tuple(_segment(segment) for segment in raw.pop("segments"))
            _check_types(raw, _RECORD_TYPES)
            _check_types(raw["question"], {"text": str, "answer": str, "task": str})
            terms = raw.get("reward_terms", {})
            _check_types(terms, {name: (int, float) for name in terms})
            return cls(
                question=Question(**raw.pop("question")),
                segments=segments,
                tool_calls=tuple(ToolCall(**call) for call in raw.pop("tool_calls")),
                stop_reason=StopReason(raw.pop("stop_reason")),
                **raw,
            )
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise TrajectoryFileError(f"not a trajectory record: {error}", where=line[:120]) from error


def _segment(raw: Mapping[str, Any]) -> Segment:
    token_ids, text, log_probs = raw["token_ids"], raw["text"], raw["log_probs"]
    if not isinstance(text, str) or not all(type(token) is int for token in token_ids):
        raise TypeError("a segment's text must be text, and its token ids integers")
    if log_probs is not None and not all(type(value) in (int, float) for value in log_probs):
        raise TypeError("a segment's log-probs must be numbers")
    kind = SegmentKind(raw["kind"])
    return Segment(kind, tuple(token_ids), text, None if log_probs is None else tuple(log_probs))


_RECORD_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "answer": (str, type(None)),
    "score": (int, float, type(None)),
    "score_detail": str,
    "reward_terms": dict,
    "fault": str,
    "origin": dict,
}


def _check_types(raw: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]]) -> None:
    for name, kinds in types.items():
        if name in raw and not isinstance(raw[name], kinds):
            raise TypeError(f"{name} is {str(raw[name])[:40]!r}")
