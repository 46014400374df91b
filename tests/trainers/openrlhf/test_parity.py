"""Token for token: what SFT trains on is what RL trains on.

Trajectories are played by RL's own loop with a scripted engine. One side is OpenRLHF's own RL sample of each (ids and
action mask), the other our SFT data set, fed from the trajectory file. 100 trajectories per template and test here;
`pytest --hypothesis-profile long` makes 1,000 of each.
"""

from __future__ import annotations

import asyncio
import importlib.util
from dataclasses import replace
from itertools import zip_longest
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1ci_plugins.environment import episode_budget
from r1ci_plugins.errors import TemplateError
from r1ci_plugins.protocol.answer_format import BoxedFormat, NaturalFormat, TagsFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.recipe.schema import ProtocolConfig, Recipe
from r1ci_plugins.rollout.conversation import Turn, render
from r1ci_plugins.rollout.engine import Ended, Generation
from r1ci_plugins.rollout.loop import CodeRunner, run_episode
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED
from r1ci_plugins.training.supervised import make_examples

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("torch", "openrlhf", "vllm", "deepspeed", "ray")),
        reason="needs the trainer's stack: run `make setup`",
    ),
]
INSTRUCTIONS = NaturalFormat().instructions
TEMPLATES = ["smollm2", "qwen2.5", "qwen3", "llama3", "mistral"]
each_template = pytest.mark.parametrize("name", TEMPLATES)
# Every generated text goes through the loop and both trainers' data paths: no shrinking deadline.
generated = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def templates(tokenizers, qwen_tokenizers):
    chosen = {**tokenizers, "smollm2": tokenizers["chatml"], **qwen_tokenizers}
    return {name: ChatTemplate(chosen[name], INSTRUCTIONS) for name in TEMPLATES}


@pytest.fixture(scope="module")
def upstream():
    """OpenRLHF's own conversion of an agent's response, which a run wraps, and ours before and after it."""
    from openrlhf.trainer.ppo_utils import samples_generator  # noqa: F401 # its import fills upstream

    from r1ci_plugins.trainers.import_hooks import upstream
    from r1ci_plugins.trainers.openrlhf import agent_executor
    from r1ci_plugins.trainers.openrlhf.seams import samples, sft

    process = upstream[samples.process_response_into_experience]
    return SimpleNamespace(process=process, response=agent_executor.response, sft=sft)


class Sampler:
    """An engine that samples given turns: ids, and whether the last of them ends the turn."""

    def __init__(self, turns):
        self.turns = list(turns)

    async def generate(self, token_ids, *, max_tokens, stop, stop_token_ids):
        ids = self.turns.pop(0) if self.turns else [stop_token_ids[0]]
        if stop_token_ids[0] in ids:
            ids = ids[: ids.index(stop_token_ids[0]) + 1]
            ended = Ended.END_OF_TURN
        else:
            ended = Ended.STOP_STRING
        if len(ids) > max_tokens:
            ids, ended = ids[:max_tokens], Ended.LENGTH
        return Generation(tuple(ids), (-0.5,) * len(ids), ended)


class Printer:
    """A sandbox whose programs print given texts."""

    isolation = "none"

    def __init__(self, outputs):
        self.outputs = list(outputs)

    async def start(self): ...

    async def close(self): ...

    async def run(self, code, limits):
        text = self.outputs.pop(0) if self.outputs else ""
        return ExecutionResult(text, "", text, ExecutionStatus.OK, 0, 1.0, 0.5, 0.0, 0, "none")


def play(template, question, turns, outputs, answer_format, total=2000, per_turn=250):
    return asyncio.run(
        run_episode(
            Question(question, "42", task="demo/product", split="sft", index=0),
            engine=Sampler(turns),
            template=template,
            answer_format=answer_format,
            code_runner=CodeRunner(Printer(outputs), Limits(), 2),
            budget=episode_budget(
                ProtocolConfig(max_code_calls=4, max_turn_tokens=per_turn, max_output_chars=300), total
            ),
        )
    )


def check_parity(upstream, template, trajectory, recorded, mask):
    """SFT's view of ``recorded`` against RL's of ``trajectory``, ids and mask, token for token."""
    ranges = mask.ranges(trajectory)
    response = upstream.response("", trajectory, ranges, log_probs=False)
    rl = upstream.process(None, response, max_len=100_000)
    line = Trajectory.from_json(recorded.to_json())
    made = make_examples([line], template, mask, max_tokens=100_000, too_long="drop", only_correct=False).examples
    if not ranges:
        assert not made
        return
    tokenizer = SimpleNamespace(pad_token_id=0)
    token_ids, attention_mask, loss_mask = upstream.sft.TrajectoryDataset(
        upstream.sft.ExampleTable(made), tokenizer, 100_000
    )[0]
    assert token_ids.tolist() == rl.sequences.tolist()
    assert attention_mask.tolist() == rl.attention_mask.tolist()
    # SFTTrainer drops the last column of its mask; RL's action mask has no column for the first token.
    assert loss_mask[:, :-1].int().tolist() == rl.action_mask.int().tolist()


PROGRAM = "```python\nprint(6 * 7)\n```"
PIECES = [
    *(PROGRAM, PROGRAM + "\n", "<code>print(1)</code>", "```text\n1\n```\n", "```", "```python\n"),
    *("<think>\n", "\n</think>\n\n", "<<<42>>>", "<answer>42</answer>", "\\boxed{42}", "Code Execution Results:"),
    *("<|im_end|>", "<|im_start|>user\n", "</s>", "[INST]", "<|eot_id|>", "  def f():\n\treturn 1\n", " x"),
    *("\n", "\n\n\n", " ", "   ", "\t", "\r\n", "\u00a0", "\u200b", "\u3000", "\x00"),
    *("思考 ", "é", "e\u0301", "🙂", "👩\u200d👩\u200d👧"),
]
TEXT = st.lists(st.sampled_from(PIECES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=15), max_size=8)
TEXT = TEXT.map("".join)
FORMATS = [kind(code_in_thinking=runs) for kind in (NaturalFormat, TagsFormat, BoxedFormat) for runs in (True, False)]


@each_template
@generated
@given(data=st.data())
def test_a_recorded_trajectory_is_trained_as_it_was_sampled(upstream, templates, name, data):
    # Whatever the policy samples, special tokens, half turns and invented outputs included.
    template = templates[name]
    turns = [template.encode(text) for text in data.draw(st.lists(TEXT, max_size=5))]
    outputs = data.draw(st.lists(TEXT, max_size=4))
    answer_format, total = data.draw(st.sampled_from(FORMATS)), data.draw(st.integers(150, 700))
    trajectory = play(template, data.draw(TEXT), turns, outputs, answer_format, total)
    for mask in (MASKED, UNMASKED):
        check_parity(upstream, template, trajectory, trajectory, mask)


PROGRAMS = {NaturalFormat: PROGRAM, BoxedFormat: PROGRAM, TagsFormat: "<code>\nprint(6 * 7)\n</code>"}


@each_template
@generated
@given(data=st.data())
def test_a_written_conversation_is_rendered_as_it_would_be_sampled(upstream, templates, name, data):
    # A teacher's or a program's text, sampled turn by turn, against the same text rendered without an engine.
    template, answer_format = templates[name], data.draw(st.sampled_from(FORMATS))
    said = []
    for text in data.draw(st.lists(TEXT, min_size=1, max_size=4)):
        text = template.plain(text + data.draw(st.sampled_from(["", "\n" + PROGRAMS[type(answer_format)]])))
        said.append(text[: answer_format.parse(text).end])
    said.append("")  # a void turn ends what nothing else has ended
    outputs, question = data.draw(st.lists(TEXT, max_size=4)), data.draw(TEXT)
    sampled = [list(template.action(text).token_ids) for text in said]
    trajectory = play(template, question, sampled, outputs, answer_format, total=100_000, per_turn=50_000)
    taken = sum(segment.kind is SegmentKind.ACTION for segment in trajectory.segments)
    told = [segment.text for segment in trajectory.segments if segment.kind is SegmentKind.CODE_OUTPUT]
    turns = [Turn(text, answer) for text, answer in zip_longest(said[:taken], told)]
    rendered = render(question, turns, template)
    assert [(s.kind, s.token_ids) for s in rendered] == [(s.kind, s.token_ids) for s in trajectory.segments]
    # The same as a record without ids. A tokenizer may have no token for a character: the writer's text counts.
    words = iter(said)
    as_text = [
        Segment(segment.kind, (), next(words) if segment.kind is SegmentKind.ACTION else segment.text)
        for segment in trajectory.segments
    ]
    for mask in (MASKED, UNMASKED):
        check_parity(upstream, template, trajectory, replace(trajectory, segments=tuple(as_text)), mask)


def test_dropping_the_thinking_of_earlier_turns_is_refused_with_the_reason(templates):
    from r1ci_plugins.questions.fitting import check_thinking

    recipe = Recipe(output_dir="x", model="x", protocol={"earlier_thinking": "template"})
    for name in TEMPLATES:
        if name == "qwen3":
            with pytest.raises(TemplateError, match="a trajectory is one sequence of tokens"):
                check_thinking(recipe, templates[name])
        else:
            check_thinking(recipe, templates[name])
        check_thinking(Recipe(output_dir="x", model="x"), templates[name])


def test_thinking_of_earlier_turns_is_kept_also_where_the_template_would_drop_it(templates):
    said = ["<think>\nI count.\n</think>\n\n```python\nprint(3)\n```", "<think>\nGood.\n</think>\n\n<<<3>>>"]
    for name in TEMPLATES:
        template = templates[name]
        assert template.keeps_thinking == (name != "qwen3")
        trajectory = play(template, "How many?", [template.action(t).token_ids for t in said], ["3"], NaturalFormat())
        assert trajectory.answer == "3"
        trained = [trajectory.token_ids[i] for a, b in MASKED.ranges(trajectory) for i in range(a, b)]
        assert trained == [token for text in said for token in template.action(text).token_ids]
        assert "I count." in template.decode(trajectory.token_ids)
