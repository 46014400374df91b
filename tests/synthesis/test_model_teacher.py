from __future__ import annotations

import asyncio

import pytest

from r1ci_plugins.engines.scripted import ScriptedEngine
from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.synthesis.model_teacher import ModelTeacher
from r1ci_plugins.synthesis.teacher import Attempt
from r1ci_plugins.synthesis.variant import Variant, head_prompt
from r1ci_plugins.tasks.task import Question

pytestmark = pytest.mark.stack


class Recording(ScriptedEngine):
    """A scripted engine that keeps what it was asked."""

    async def start(self):
        self.contexts = []

    async def close(self):
        pass

    async def generate(self, token_ids, **options):
        self.contexts.append(list(token_ids))
        return await super().generate(token_ids, **options)


@pytest.fixture
def teach(tokenizers, total):
    """Replies of a scripted model in one conversation, and the engine."""

    def run(texts, conversations, *, variant=Variant.FREE, max_tokens=200):
        templates = {v: ChatTemplate(tokenizers["chatml"], head_prompt("Solve it.", v)) for v in Variant}
        engine = Recording(texts, templates[variant].encode)
        teacher = ModelTeacher(
            name="model", engine=engine, templates=templates, answer_format=NaturalFormat(), max_tokens=max_tokens
        )

        async def talk():
            await teacher.start()
            speaker = teacher.speaker(Attempt(total, Question("Sum?", "3"), variant, 0))
            return [await speaker.reply(turns) for turns in conversations]

        return asyncio.run(talk()), engine, tokenizers["chatml"]

    return run


def test_the_model_sees_the_conversation_through_its_own_template(teach):
    turns = ["Sum?", "```python\nprint(3)\n```", "Code Execution Results:\n3"]
    replies, engine, tokenizer = teach(["<<<3>>><|im_end|>"], [turns], variant=Variant.CODE_FIRST)
    assert replies[0].text == "<<<3>>>" and replies[0].complete
    chat = [
        {"role": "system", "content": head_prompt("Solve it.", Variant.CODE_FIRST)},
        *({"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)),
    ]
    expected = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(engine.contexts[0]) == expected


def test_a_model_that_never_stops(teach):
    replies, _, _ = teach(["on and on " * 100], [["Sum?"]], max_tokens=20)
    assert not replies[0].complete and replies[0].usage.completion_tokens == 20


def test_a_stop_string_that_ends_no_program_is_sampled_past(teach):
    replies, _, _ = teach(["```text\nnotes\n```\n", "<<<3>>><|im_end|>"], [["Sum?"]])
    assert replies[0].text == "```text\nnotes\n```\n<<<3>>>" and replies[0].complete
