"""A local model as a teacher, behind the engine contract of the rollout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from r1ci_plugins.protocol.actions import ActionKind
from r1ci_plugins.protocol.answer_format import AnswerFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rollout.engine import Ended, Engine
from r1ci_plugins.synthesis.teacher import Attempt, Reply, Speaker, Usage
from r1ci_plugins.synthesis.variant import Variant


class LocalEngine(Engine, Protocol):
    """An engine that has to be started and closed."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(kw_only=True)
class ModelTeacher:
    """A model with any tokenizer; what it says is tokenised again for the model that learns.

    Attributes:
        templates: Its own chat template, with the head prompt of each variant.
        max_tokens: Sampled tokens per turn.
    """

    name: str
    engine: LocalEngine
    templates: Mapping[Variant, ChatTemplate]
    answer_format: AnswerFormat
    max_tokens: int

    def speaker(self, attempt: Attempt) -> Speaker:
        """A conversation of its own for every attempt."""
        return _Conversation(self, self.templates[attempt.variant])

    async def start(self) -> None:
        """Load the model."""
        await self.engine.start()

    async def close(self) -> None:
        """Unload it."""
        await self.engine.close()


@dataclass
class _Conversation:
    teacher: ModelTeacher
    template: ChatTemplate
    style: str = ""

    async def reply(self, turns: Sequence[str]) -> Reply:
        """Sample the next turn after the conversation so far."""
        opened = f"{self.template.opening}\n" if self.template.opening else ""
        ids = list(self.template.prompt(turns[0]).token_ids)
        for said, heard in zip(turns[1::2], turns[2::2], strict=True):
            ids += self.template.encode(said.removeprefix(opened))
            for piece in self.template.feedback(heard, None):
                ids += piece.token_ids
        sampled: list[int] = []
        while True:
            generation = await self.teacher.engine.generate(
                ids + sampled,
                max_tokens=self.teacher.max_tokens - len(sampled),
                stop=self.teacher.answer_format.stop,
                stop_token_ids=self.template.ends,
            )
            sampled += generation.token_ids
            text = opened + self.template.decode(sampled)
            # As in the loop, sampling goes on after a stop string that closes no program but, say, a block of text.
            open_turn = generation.ended is Ended.STOP_STRING and generation.token_ids
            if not open_turn or self.teacher.answer_format.parse(text).kind is ActionKind.CODE:
                break
            if len(sampled) >= self.teacher.max_tokens:
                return Reply(text, False, Usage(1, len(ids), len(sampled)))
        return Reply(text, generation.ended is not Ended.LENGTH, Usage(1, len(ids), len(sampled)))
