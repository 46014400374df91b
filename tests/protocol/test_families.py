"""The chat templates of the field: all of TRL's wheel, and forms that it lacks, over markers special and plain.

TRL's templates are read where they lie (`make build/trl`), and never kept in this repository.
"""

from __future__ import annotations

import asyncio
import copy
import random
import re
import zipfile
from pathlib import Path

import pytest

from r1ci_plugins.environment import episode_budget
from r1ci_plugins.errors import TemplateError
from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.protocol.tool_calls import ToolCallsFormat
from r1ci_plugins.questions.fitting import check_calls, check_written_calls
from r1ci_plugins.recipe.schema import ProtocolConfig
from r1ci_plugins.rollout.conversation import Turn, render
from r1ci_plugins.rollout.engine import Ended, Generation
from r1ci_plugins.rollout.loop import CodeRunner, run_episode
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.loss_mask import MASKED, check_invariants

pytestmark = pytest.mark.stack
WHEELS = sorted((Path(__file__).parents[2] / "build" / "trl").glob("trl-*.whl"))
SYSTEM_IN_LAST = (  # Mistral 7B v0.3, Nemo and Pixtral put the system text into the last message of the user
    "{% set own = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}"
    "{% set rest = messages[1:] if own else messages %}{{ bos_token }}{% for m in rest %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if m['role'] == 'user' %}OPEN{% if loop.last and own %}{{ own + '\n\n' }}{% endif %}"
    "{{ m['content'] }}[/INST]{% else %}SPACE{{ m['content'] }}</s>{% endif %}{% endfor %}"
)
FORMS = {
    "mistral-v0.3": SYSTEM_IN_LAST.replace("OPEN", "[INST] ").replace("SPACE", " "),
    "mistral-nemo": SYSTEM_IN_LAST.replace("OPEN", "[INST]").replace("SPACE", ""),
    "pixtral": SYSTEM_IN_LAST.replace("OPEN", "[INST]").replace("SPACE", ""),
    "phi3": "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
}
FORM_MARKS = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"]
FORM_MARKS += ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
CALLED = "print('\"')\nx = 1"
_MARK = re.compile(r"<[^<>\s'{}%=]{1,40}>|\[/?[A-Z_]{3,}\]")


def templates():
    if not WHEELS:
        return {}
    with zipfile.ZipFile(WHEELS[-1]) as wheel:
        return {
            Path(name).stem: wheel.read(name).decode() for name in sorted(wheel.namelist()) if name.endswith(".jinja")
        }


TRL = templates()
needs_wheel = pytest.mark.skipif(not TRL, reason="needs TRL's wheel in build/trl: make build/trl")


@pytest.fixture(scope="module")
def tokenizer_for(tokenizers):
    """SmolLM2's vocabulary with the marks of every family added, and one family's template."""
    from transformers import AddedToken

    marks = {mark for source in TRL.values() for mark in _MARK.findall(source)}
    marks |= {"<s>", "</s>", "<｜end▁of▁sentence｜>", *FORM_MARKS}
    plain = re.compile(r"</?(?:think|tool|function|parameter|arg).*>")  # Qwen and GLM do not call them special
    made = {}

    def make(source, special, *, rstrip=False):
        if (special, rstrip) not in made:
            base = copy.deepcopy(tokenizers["chatml"])
            base.add_tokens(
                [
                    AddedToken(mark, special=special and not plain.fullmatch(mark), normalized=False, rstrip=rstrip)
                    for mark in sorted(marks - set(base.get_vocab()))
                ]
            )
            made[special, rstrip] = base
        tokenizer = copy.copy(made[special, rstrip])
        tokenizer.chat_template = source
        return tokenizer

    return make


class Sampler:
    """An engine that samples given turns, and a sandbox whose programs print given texts."""

    isolation = "none"

    def __init__(self, turns, outputs):
        self.turns, self.outputs = list(turns), list(outputs)

    async def generate(self, token_ids, *, max_tokens, stop, stop_token_ids):
        ids = self.turns.pop(0) if self.turns else [stop_token_ids[0]]
        ended = Ended.END_OF_TURN if ids[-1] in stop_token_ids else Ended.STOP_STRING
        return Generation(tuple(ids[:max_tokens]), None, ended if len(ids) <= max_tokens else Ended.LENGTH)

    async def start(self): ...

    async def close(self): ...

    async def run(self, code, limits):
        text = self.outputs.pop(0)
        return ExecutionResult(text, "", text, ExecutionStatus.OK, 0, 1.0, 0.5, 0.0, 0, "none")


def episode(template, rng, answer_format=NaturalFormat()):  # noqa: B008 - it is frozen
    """A trajectory that is played and the same one rendered from its texts."""
    words = [
        "I count. ",
        "思考 ",
        "<think>\nHm.\n</think>\n\n",
        "x\n\n",
        "  y\t",
        "<|im_end|>",
        "é",
        "```text\n1\n```\n",
    ]
    said = [
        "".join(rng.choices(words, k=rng.randint(0, 3))) + "\n```python\nprint(1)\n```"
        for _ in range(rng.randint(0, 2))
    ]
    if isinstance(answer_format, ToolCallsFormat):
        said = [answer_format.code_turn(rng.choice(["", "I count.", "é"]), CALLED) for _ in said]
    said.append(rng.choice(["So <<<3>>>.", "<think>\nYes.\n</think>\n\n<<<4>>>"]))
    marks = [*words, "</s>", "<|end|>", "[INST]", "<|user|>", "</think>", "<tool_call>", "\n", "7"]
    outputs = ["".join(rng.choices(marks, k=rng.randint(0, 4))) for _ in said]
    sampler = Sampler([list(template.action(text).token_ids) for text in said], outputs)
    question = "".join(rng.choices(marks, k=3)) + "?"
    played = asyncio.run(
        run_episode(
            Question(question, "3", task="demo/product", split="rl", index=0),
            engine=sampler,
            template=template,
            answer_format=answer_format,
            code_runner=CodeRunner(sampler, Limits(), 0),
            budget=episode_budget(ProtocolConfig(), 100_000),
        )
    )
    told = [s.text for s in played.segments if s.kind is SegmentKind.CODE_OUTPUT]
    turns = [Turn(text, told[i] if i < len(told) else None) for i, text in enumerate(said)]
    return played, render(question, turns, template)


def check_family(tokenizer, count, seed, answer_format=NaturalFormat()):  # noqa: B008 - it is frozen
    template = ChatTemplate(tokenizer, answer_format.instructions, tools=getattr(answer_format, "tools", ()))
    check_calls(answer_format, template)
    if template.sample_call:
        check_written_calls(answer_format, template)
    structure = template._structure.token_ids
    rng = random.Random(seed)
    plain = [template.feedback("plain", None), template.prompt("plain")]
    boundary = [sum(t in structure for piece in plain[0] for t in piece.token_ids)]
    boundary.append(sum(t in structure for t in plain[1].token_ids))
    for _ in range(count):
        played, rendered = episode(template, rng, answer_format)
        assert [(s.kind, s.token_ids) for s in played.segments] == [(s.kind, s.token_ids) for s in rendered]
        check_invariants(played, MASKED.ranges(played), MASKED)
        assert played.answer in ("3", "4"), played
        prompt, *rest = played.segments
        assert sum(t in structure for t in prompt.token_ids) == boundary[1]
        for index, segment in enumerate(rest):
            if segment.kind is SegmentKind.CODE_OUTPUT:
                pieces = rest[index - 1 : index + 2]
                assert not structure & set(segment.token_ids[1:-1])
                assert sum(t in structure for piece in pieces for t in piece.token_ids) == boundary[0] - 1


def count_of(config):
    return 500 if config.getoption("--hypothesis-profile", None) == "long" else 1


@needs_wheel
@pytest.mark.parametrize("special", [True, False], ids=["special", "plain"])
@pytest.mark.parametrize("name", TRL)
def test_every_template_of_trl_carries_the_protocol(tokenizer_for, request, name, special):
    check_family(tokenizer_for(TRL[name], special), count_of(request.config), name)


@pytest.mark.parametrize("special", [True, False], ids=["special", "plain"])
@pytest.mark.parametrize("name", FORMS)
def test_forms_that_trl_lacks(tokenizer_for, request, name, special):
    tokenizer = tokenizer_for(FORMS[name], special, rstrip=name == "phi3")
    check_family(tokenizer, count_of(request.config), name)


MISTRAL_TOOLS = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'user' %}{% if loop.first and tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]"
    "{% endif %}[INST]{{ m['content'] }}[/INST]"
    "{% elif m['tool_calls'] is defined %}[TOOL_CALLS][{% for call in m['tool_calls'] %}"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}, "id": "{{ call.id }}"}'
    "{% endfor %}]</s>"
    "{% elif m['role'] == 'tool' %}[TOOL_RESULTS]{{ m['content'] }}[/TOOL_RESULTS]"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] }}</s>{% else %}{{ raise_exception('no') }}{% endif %}"
    "{% endfor %}"
)
CALLS = {
    "qwen2_5": "hermes",
    "qwen3": "hermes",
    "qwen3_5_think": "qwen_xml",
    "qwen3_6": "qwen_xml",
    "nemotron_3_nano": "qwen_xml",
    "gptoss": "gpt_oss",
    "llama3_1": "llama",
}


@needs_wheel
@pytest.mark.parametrize("name", CALLS)
def test_native_tool_calls(tokenizer_for, request, name):
    tokenizer = tokenizer_for(TRL[name], True)
    check_family(tokenizer, count_of(request.config), name, ToolCallsFormat(dialect=CALLS[name]))


def test_native_tool_calls_of_mistral(tokenizer_for, request):
    tokenizer = tokenizer_for(MISTRAL_TOOLS, True)
    check_family(tokenizer, count_of(request.config), "mistral", ToolCallsFormat(dialect="mistral"))


@needs_wheel
@pytest.mark.parametrize("name", ["llama3", "glm4moe", "gemma4"])
def test_templates_without_such_calls_are_refused(tokenizer_for, name):
    with pytest.raises(TemplateError):
        check_family(tokenizer_for(TRL[name], True), 1, name, ToolCallsFormat())


@needs_wheel
def test_calls_are_not_written_in_another_form(tokenizer_for):
    with pytest.raises(TemplateError, match="another form"):
        check_family(tokenizer_for(TRL["qwen3_5_think"], True), 1, "x", ToolCallsFormat(dialect="hermes"))


@needs_wheel
def test_a_result_comes_in_the_role_of_the_tool(tokenizer_for):
    oss = ChatTemplate(tokenizer_for(TRL["gptoss"], True), "Think.", tools=ToolCallsFormat().tools)
    call = oss.action(ToolCallsFormat(dialect="gpt_oss").code_turn("", "print(1)"))
    left, body, right = oss.feedback('a "b"', call.token_ids[-1])
    assert oss.tokenizer.decode(call.token_ids[-1:]) == "<|call|>" and "python" in oss.prompt_text("q")
    assert oss.tokenizer.decode(left.token_ids).startswith("<|start|>functions.python to=assistant")
    assert body.text == 'a "b"' and 'a \\"b\\"' in oss.tokenizer.decode(body.token_ids)  # a string in JSON
    assert right.text.endswith("<|start|>assistant")


def test_instructions_go_where_the_template_keeps_them_in_front(tokenizer_for):
    template = ChatTemplate(tokenizer_for(FORMS["mistral-nemo"], True), "Think.")
    assert "[INST]Think.\n\nHow many?[/INST]" in template.prompt_text("How many?")
    assert "Think." not in template.feedback("3", None)[0].text + template.feedback("3", None)[2].text


@needs_wheel
def test_what_opens_and_ends_the_turns_of_some_families(tokenizer_for):
    def made(name):
        return ChatTemplate(tokenizer_for(TRL[name], True), "Think.")

    oss = made("gptoss")
    assert oss.decode(oss.encode("<|channel|>final<|message|>3<|return|>")) == "<|channel|>final<|message|>3"
    assert oss.tokenizer.decode(list(oss.ends)) == "<|return|>"  # <|end|> ends parts of a turn
    assert oss.feedback("x", None)[0].text.startswith("<|end|>")
    distill = made("deepseek_r1_distill")
    assert distill.opening == "<think>" and not distill.keeps_thinking and "<think>" in distill.rewrites
    assert made("qwen3_5_nothink").opening == "" and made("qwen3_5_think").opening == "<think>"
    assert made("smolvlm").prompt_text("How many?").count("How many?") == 1  # content goes in as parts
