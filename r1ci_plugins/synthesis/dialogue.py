"""A speaker in the rollout loop. The loop makes the token segments, so they are those that RL would have made."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from r1ci_plugins.environment import Environment
from r1ci_plugins.protocol import feedback
from r1ci_plugins.protocol.actions import ActionKind
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rollout.engine import Ended, Generation
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.sandbox.contract import ExecutionResult, Limits
from r1ci_plugins.synthesis.teacher import Attempt, Speaker, Usage


@dataclass
class Dialogue:
    """One conversation. The loop sees it as an engine, and as a sandbox whose output the speaker hears.

    A turn is what the speaker says up to the end of its first program, with special tokens broken up, followed by the
    template's end-of-turn token: the form in which a chat template renders an assistant's message.

    Attributes:
        usage: What the speaker's replies took so far.
        turns: The question, then turns and feedback messages.
    """

    attempt: Attempt
    speaker: Speaker
    template: ChatTemplate
    environment: Environment
    isolation: str = field(default="", init=False)
    usage: Usage = field(default=Usage(), init=False)
    turns: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.turns = [self.attempt.question.text]

    async def generate(
        self, token_ids: Sequence[int], *, max_tokens: int, stop: Sequence[str], stop_token_ids: Sequence[int]
    ) -> Generation:
        """The speaker's next turn, as ids of the template's tokenizer."""
        reply = await self.speaker.reply(self.turns)
        self.usage += reply.usage
        text = self.template.written(reply.text)
        action = self.environment.answer_format.parse(text)
        text = text[: action.end]
        self.turns.append(text)
        ids, ended = self.template.action(text).token_ids, Ended.END_OF_TURN
        if not reply.complete and action.kind not in (ActionKind.CODE, ActionKind.REFUSED):
            ids, ended = ids[:-1], Ended.LENGTH
        if len(ids) > max_tokens:
            ids, ended = ids[:max_tokens], Ended.LENGTH
        return Generation(ids, None, ended)

    async def start(self) -> None:
        """Nothing to do: whoever made the sandbox starts and closes it."""

    async def run(self, code: str, limits: Limits) -> ExecutionResult:
        """Run a program and tell the speaker what it did, in the words that the model reads."""
        result = await self.environment.code_runner.sandbox.run(code, limits)
        self.turns.append(feedback.render(result, limits, self.environment.budget.max_output_chars))
        return result

    async def close(self) -> None:
        """Nothing to do, as in ``start``."""


async def converse(dialogue: Dialogue) -> Trajectory:
    """Let a speaker work on a question, and judge the answer. There are no reward terms: nothing is trained yet.

    Raises TeacherFault, BudgetSpent and MachineProblem as ``Speaker.reply`` does.
    """
    environment = dialogue.environment
    code_runner = replace(environment.code_runner, sandbox=dialogue)
    environment = replace(environment, code_runner=code_runner, reward_terms={})
    return await environment.episode(dialogue.attempt.question, dialogue, dialogue.template)
