"""A speaker in the rollout loop: text turns become token segments exactly as in RL, because the loop makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from r1ci_plugins.protocol import feedback
from r1ci_plugins.protocol.answer_format import ActionKind, AnswerFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rollout.engine import Ended, Generation
from r1ci_plugins.rollout.loop import Budget, CodeRunner, run_episode
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.sandbox.contract import ExecutionResult, Limits, Sandbox
from r1ci_plugins.synthesis.teacher import Order, Reply, Speaker, Usage


@dataclass
class Dialogue:
    """One conversation, seen by the loop as an engine and as the sandbox that it listens to.

    A turn is what the speaker says up to the end of its first program, special tokens broken up, and the template's
    end-of-turn token: the form in which a chat template renders an assistant's message.
    """

    order: Order
    speaker: Speaker
    template: ChatTemplate
    answer_format: AnswerFormat
    code_runner: CodeRunner
    max_output_chars: int
    isolation: str = ""
    usage: Usage = Usage()
    turns: list[str] = field(default_factory=list)

    async def generate(
        self, token_ids: Sequence[int], *, max_tokens: int, stop: Sequence[str], stop_token_ids: Sequence[int]
    ) -> Generation:
        """The speaker's next turn, as ids of the template's tokenizer."""
        if not self.turns:
            self.turns.append(self.order.question.text)
        reply: Reply = await self.speaker.reply(self.turns)
        self.usage += reply.usage
        text = self.template.plain(reply.text)
        action = self.answer_format.parse(text)
        text = text[: action.end]
        self.turns.append(text)
        ids, ended = self.template.action(text).token_ids, Ended.END_OF_TURN
        if not reply.complete and action.kind is not ActionKind.CODE:
            ids, ended = ids[:-1], Ended.LENGTH
        if len(ids) > max_tokens:
            ids, ended = ids[:max_tokens], Ended.LENGTH
        return Generation(ids, None, ended)

    async def start(self) -> None:
        """Nothing: the sandbox is started by who made it."""

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        """Run a program and tell the speaker what it did, in the words that the model gets."""
        result = await self.code_runner.sandbox.run(code, limits)
        self.turns.append(feedback.render(result, limits, self.max_output_chars))
        return result

    async def close(self) -> None:
        """Nothing, as ``start``."""


async def converse(dialogue: Dialogue, budget: Budget) -> Trajectory:
    """Let a speaker work on a question. The trajectory is not yet verified.

    Raises:
        TeacherFault, BudgetSpent, MachineProblem: As ``Speaker.reply``.
    """
    sandbox: Sandbox = dialogue
    return await run_episode(
        dialogue.order.question,
        engine=dialogue,
        template=dialogue.template,
        answer_format=dialogue.answer_format,
        code_runner=replace(dialogue.code_runner, sandbox=sandbox),
        budget=budget,
    )
