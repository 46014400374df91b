"""One episode: reasoning, code, its result, ..., the final answer. It works with any engine and only sequences parts.

A turn ends in one of three ways, wherever trajectories are made:

1. at the model's own end-of-turn token, which is kept as a sampled token (an end-of-sequence token that is not the
   template's end of turn is not, where the conversation goes on); or
2. right after the token that completes a program, by the answer format's own reading of the turn, so that the model
   cannot invent the output (a final answer is not cut: the model ends that turn itself); or
3. at a token cap.

Sampled ids are never tokenised again: a turn that must be cut keeps a prefix of its sampled ids.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from r1ci_plugins.errors import InfrastructureFault, plugin_error
from r1ci_plugins.protocol import feedback
from r1ci_plugins.protocol.actions import Action, ActionKind
from r1ci_plugins.protocol.answer_format import AnswerFormat, read_turn
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.engine import Ended, Engine
from r1ci_plugins.rollout.trajectory import StopReason, ToolCall, Trajectory
from r1ci_plugins.sandbox.contract import ExecutionResult, Limits, Sandbox
from r1ci_plugins.tasks.task import Question

_MAX_IDLE_STOPS = 8
"""Stop strings in one turn that ended no program, after which the turn is sampled to its end and cut then: a turn of
thousands of text blocks would otherwise be sent and read thousands of times."""


@dataclass(frozen=True)
class Budget:
    """Caps of one episode.

    Attributes:
        max_code_calls: Programs that may run (8 in the paper's v2, 5 in v1).
        max_turn_tokens: Sampled tokens per turn.
        max_action_tokens: Sampled tokens of the whole episode.
        max_total_tokens: Length of the whole sequence, prompt and feedback included.
        max_output_chars: Characters of a program's output that are fed back; its head and tail are kept.
        deadline_s: Wall-clock seconds for the whole episode.
    """

    max_code_calls: int
    max_turn_tokens: int
    max_action_tokens: int
    max_total_tokens: int
    max_output_chars: int
    deadline_s: float


@dataclass(frozen=True)
class CodeRunner:
    """Where programs run: a sandbox, what one program may use, and how often a sandbox fault is retried."""

    sandbox: Sandbox
    limits: Limits
    retries: int

    async def run(self, code: str) -> ExecutionResult:
        """Run a program, retrying faults of the sandbox itself (each program is stateless, so that is safe).

        Raises InfrastructureFault if the sandbox failed ``retries + 1`` times.
        """
        for attempt in range(self.retries + 1):
            try:
                return await self.sandbox.run(code, self.limits)
            except Exception as error:  # a backend may raise anything; none of it may kill the run
                fault = error
                if attempt < self.retries:
                    await asyncio.sleep(0.05 * 2**attempt)
        raise InfrastructureFault(
            f"the sandbox failed {self.retries + 1} times: {type(fault).__name__}: {fault}",
            fix="run `r1ci doctor`",
        ) from fault


async def run_episode(
    question: Question,
    *,
    engine: Engine,
    template: ChatTemplate,
    answer_format: AnswerFormat,
    code_runner: CodeRunner,
    budget: Budget,
) -> Trajectory:
    """Let a policy work on a question until it answers or a limit ends the episode.

    Whatever the model, its programs or the sandbox do, this returns a trajectory with the tokens of every finished
    turn and a stop reason. It is not verified or rewarded yet (see ``r1ci_plugins.rewards.judge``).

    Raises:
        Exception: Only what ``engine.generate`` raises: without an engine there is no run.
    """
    started = time.monotonic()
    episode = _Episode(engine, template, answer_format, code_runner, budget, [template.prompt(question.text)])
    fault = ""
    try:
        async with asyncio.timeout(budget.deadline_s) as deadline:
            reason = await episode.play()
    except InfrastructureFault as error:
        reason, fault = StopReason.INFRASTRUCTURE_FAULT, str(error)
    except TimeoutError:
        if not deadline.expired():  # the engine's own time-out, not ours
            raise
        reason = StopReason.DEADLINE
    return Trajectory(
        question=question,
        segments=tuple(episode.segments),
        tool_calls=tuple(episode.tool_calls),
        stop_reason=reason,
        answer=episode.answer,
        fault=fault,
        wall_s=time.monotonic() - started,
        generation_s=episode.generation_s,
    )


@dataclass
class _Episode:
    """What has happened so far. Every step leaves it consistent, so that the deadline may fall at any await."""

    engine: Engine
    template: ChatTemplate
    answer_format: AnswerFormat
    code_runner: CodeRunner
    budget: Budget
    segments: list[Segment]
    tool_calls: list[ToolCall] = field(default_factory=list)
    sampled: int = 0
    generation_s: float = 0.0
    answer: str | None = None

    async def play(self) -> StopReason:
        """Take turns until one ends the episode. Raises InfrastructureFault if sandbox or answer format fail."""
        budget = self.budget
        while True:
            context = list(chain.from_iterable(segment.token_ids for segment in self.segments))
            room = budget.max_total_tokens - len(context)
            if room <= 0:
                return StopReason.CONTEXT_OVERFLOW
            left = budget.max_action_tokens - self.sampled
            if left <= 0:
                return StopReason.TOKEN_BUDGET
            segment, action, ended = await self._turn(context, min(budget.max_turn_tokens, room, left))
            self.sampled += len(segment.token_ids)
            self.segments.append(segment)
            if action.kind is ActionKind.ANSWER:
                self.answer = action.content
                return StopReason.ANSWERED
            if action.kind is ActionKind.VOID:
                return StopReason.TOKEN_BUDGET if ended is Ended.LENGTH else StopReason.VOID_TURN
            if len(self.tool_calls) >= budget.max_code_calls:
                return StopReason.CODE_CALL_CAP
            message = await self._answer_call(action)
            pieces = self.template.feedback(message, segment.token_ids[-1] if segment.token_ids else None)
            used = sum(len(piece.token_ids) for piece in (segment, *pieces))
            if used >= room:
                return StopReason.CONTEXT_OVERFLOW
            self.segments.extend(pieces)

    async def _answer_call(self, action: Action) -> str:
        """Run a program, or refuse a call that cannot be used; returns what the model is told."""
        if action.kind is ActionKind.REFUSED:
            self.tool_calls.append(_REFUSED)
            return feedback.cut(action.content, self.budget.max_output_chars)
        result = await self.code_runner.run(action.content)
        self.tool_calls.append(_tool_call(action.content, result))
        return feedback.render(result, self.code_runner.limits, self.budget.max_output_chars)

    async def _turn(self, context: Sequence[int], cap: int) -> tuple[Segment, Action, Ended]:
        """Sample one turn. Where a stop string does not end it (that of a text block, say), sampling goes on."""
        tokens: list[int] = []
        log_probs: list[float] | None = []
        idle_stops = 0
        while True:
            before = time.monotonic()
            try:
                generation = await self.engine.generate(
                    [*context, *tokens],
                    max_tokens=cap - len(tokens),
                    stop=self.answer_format.stop if idle_stops < _MAX_IDLE_STOPS else (),
                    stop_token_ids=self.template.ends,
                )
            finally:
                self.generation_s += time.monotonic() - before
            tokens.extend(generation.token_ids)
            if log_probs is not None:
                log_probs = None if generation.log_probs is None else log_probs + list(generation.log_probs)
            text = self.template.decode(tokens)
            try:
                action = read_turn(self.answer_format, text, self.template.opening)
            except Exception as error:  # a plugin's format may raise anything; none of it may kill the run
                raise plugin_error(InfrastructureFault, "the answer format raised", error) from error
            ended = generation.ended
            if action.kind in (ActionKind.CODE, ActionKind.REFUSED):
                keep = _tokens_past(self.template, tokens, action.end)
                kept_tokens = self.template.without_end(tokens[:keep])
                if len(kept_tokens) < len(tokens):
                    tokens, ended = kept_tokens, Ended.STOP_STRING
                    text = self.template.decode(tokens)
                break
            if len(tokens) >= cap and ended is Ended.STOP_STRING:
                ended = Ended.LENGTH
            if ended is not Ended.STOP_STRING or not generation.token_ids:
                break
            idle_stops += 1
        kept = None if log_probs is None else tuple(log_probs[: len(tokens)])
        return Segment(SegmentKind.ACTION, tuple(tokens), text, kept), action, ended


def _tokens_past(template: ChatTemplate, tokens: Sequence[int], end: int) -> int:
    """Length of the shortest prefix of ``tokens`` whose text goes past character ``end``, or all of them.

    Text past the closing fence, not just up to it, shows that the fence's line is complete. An end-of-turn token
    right after the fence decodes to nothing and is therefore kept.
    """

    def length(count: int) -> int:
        return len(template.decode(tokens[:count]))

    # Engines stop at the fence, so the prefix is nearly always all of them: look from the end in growing steps first.
    low, high, step = 0, len(tokens), 1
    while high > 0 and length(low := max(0, high - step)) > end:
        high, step = low, 2 * step
    return bisect_right(range(high), end, lo=min(high, low + 1), key=length)


_REFUSED = ToolCall(
    code="",
    status="error",
    error="MalformedCall",
    wall_s=0.0,
    cpu_s=0.0,
    queue_s=0.0,
    truncated=0,
    isolation="none",
    attempts=0,
)
"""A call that could not be used: nothing was run, and it counts as a code call."""


def _tool_call(code: str, result: ExecutionResult) -> ToolCall:
    return ToolCall(
        code=code,
        status=result.status.value,
        error=feedback.error_kind(result),
        wall_s=result.wall_s,
        cpu_s=result.cpu_s,
        queue_s=result.queue_s,
        truncated=result.truncated,
        isolation=result.isolation,
        attempts=result.attempts,
    )
