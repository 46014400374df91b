from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1ci_plugins.engines.scripted import ScriptedEngine
from r1ci_plugins.environment import episode_budget
from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.protocol.tool_calls import ToolCallsFormat
from r1ci_plugins.recipe.schema import ProtocolConfig
from r1ci_plugins.rollout.engine import Ended, Generation
from r1ci_plugins.rollout.loop import CodeRunner, run_episode
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED, check_invariants, rollout_log_probs

pytestmark = pytest.mark.stack
CODE = "I compute it.\n```python\nprint(6 * 7)\n```"
ANSWER = "It is <<<42>>>.<|im_end|>"
BUDGET = episode_budget(ProtocolConfig(), 8192)
QUESTION = Question("What is 6 * 7?", "42", task="demo/product", split="rl", index=0)


class FakeSandbox:
    """Says what it is told to, for tests of the loop alone; the real sandbox has tests of its own."""

    isolation = "fake"

    def __init__(self, stdout="42\n", fail=0, delay=0.0):
        self.stdout, self.fail, self.delay, self.programs = stdout, fail, delay, []

    async def start(self):
        pass

    async def close(self):
        pass

    async def run(self, code, limits):
        self.programs.append(code)
        await asyncio.sleep(self.delay)
        if self.fail:
            self.fail -= 1
            raise OSError("slot lost")
        return ExecutionResult(self.stdout, "", self.stdout, ExecutionStatus.OK, 0, 0.1, 0.1, 0.0, 0, self.isolation)


@pytest.fixture
def play(tokenizers):
    """Run an episode with a scripted model; returns (trajectory, template, sandbox)."""

    def run(texts, *, name="chatml", sandbox=None, engine=None, answer_format=None, retries=2, **caps):
        template = ChatTemplate(tokenizers[name], NaturalFormat().instructions)
        sandbox = sandbox or FakeSandbox()
        episode = run_episode(
            QUESTION,
            engine=engine or ScriptedEngine(texts, template.encode),
            template=template,
            answer_format=answer_format or NaturalFormat(),
            code_runner=CodeRunner(sandbox, Limits(), retries),
            budget=replace(BUDGET, **caps),
        )
        return asyncio.run(episode), template, sandbox

    return run


def actions(trajectory):
    return [s for s in trajectory.segments if s.kind is SegmentKind.ACTION]


@pytest.mark.parametrize(("name", "end"), [("chatml", "<|im_end|>"), ("llama3", "<|eot_id|>"), ("mistral", "</s>")])
def test_reasoning_code_result_answer(play, name, end):
    trajectory, template, sandbox = play([CODE + "\n", f"It is <<<42>>>.{end}"], name=name)
    assert trajectory.stop_reason is StopReason.ANSWERED and trajectory.answer == "42"
    assert sandbox.programs == ["print(6 * 7)"]
    assert [s.kind.value for s in trajectory.segments] == [
        "prompt", "action", "separator", "code_output", "separator", "action",
    ]  # fmt: skip
    assert trajectory.segments[3].text == "Code Execution Results:\n42"
    assert trajectory.segments[-1].token_ids[-1] == template.end_of_turn  # the model's own end of turn is trained


def test_the_model_cannot_invent_an_output(play):
    invented = CODE + "\nCode Execution Results:\n41\nSo it is <<<41>>>.<|im_end|>"
    trajectory, template, _ = play([invented, ANSWER])
    assert trajectory.answer == "42"
    assert "41" not in "".join(s.text for s in trajectory.segments)
    first = actions(trajectory)[0]
    assert list(first.token_ids) == template.encode(invented)[: len(first.token_ids)]  # a prefix, not re-tokenised
    assert len(first.log_probs) == len(first.token_ids)


def test_an_end_of_turn_right_after_the_fence_is_kept_and_not_doubled(play):
    trajectory, template, _ = play([CODE + "<|im_end|>", ANSWER])
    ids = trajectory.token_ids
    assert actions(trajectory)[0].token_ids[-1] == template.end_of_turn
    assert not any(a == b == template.end_of_turn for a, b in zip(ids, ids[1:], strict=False))


def test_an_end_of_sequence_right_after_the_fence_is_cut_off(play):
    class Ends(ScriptedEngine):
        async def generate(self, token_ids, **options):
            made = await super().generate(token_ids, **options)
            return replace(made, ended=Ended.END_OF_TURN)

    encode = play([ANSWER])[1].encode
    trajectory, template, _ = play(None, engine=Ends([CODE + "<|endoftext|>", ANSWER], encode))
    assert trajectory.answer == "42"
    assert template.decode(actions(trajectory)[0].token_ids) == CODE
    assert not {template.encode("<|endoftext|>")[0]} & set(trajectory.token_ids)


def test_text_blocks_without_number_do_not_send_the_turn_without_number(play):
    class Counts(ScriptedEngine):
        async def generate(self, token_ids, *, max_tokens, stop, stop_token_ids):
            self.stops.append(tuple(stop))
            made = await super().generate(token_ids, max_tokens=max_tokens, stop=stop, stop_token_ids=stop_token_ids)
            return made if stop else replace(made, ended=Ended.END_OF_TURN)

    engine = Counts(["```text\nno\n```\n"], play([ANSWER])[1].encode)
    engine.stops = []
    trajectory, _, _ = play(None, engine=engine, max_turn_tokens=4000)
    assert trajectory.stop_reason is StopReason.VOID_TURN
    assert len(engine.stops) < 20 and engine.stops[-1] == ()


def test_a_malformed_call_is_answered_and_counts(play):
    calls = [f"<tool_call>{call}</tool_call>" for call in ('{"name": "search"}', '{"name": "python", "arguments": 1}')]
    right = '<tool_call>{"name": "python", "arguments": {"code": "print(42)"}}</tool_call>'
    trajectory, _, sandbox = play([*calls, right, ANSWER], answer_format=ToolCallsFormat())
    assert trajectory.answer == "42" and sandbox.programs == ["print(42)"]
    told = [s.text for s in trajectory.segments if s.kind is SegmentKind.CODE_OUTPUT]
    assert "there is no tool 'search'" in told[0] and 'needs the argument "code"' in told[1]
    assert [call.error for call in trajectory.tool_calls] == ["MalformedCall", "MalformedCall", ""]
    trajectory, _, _ = play(calls[:1], answer_format=ToolCallsFormat(), max_code_calls=3)
    assert trajectory.stop_reason is StopReason.CODE_CALL_CAP
    half = '<tool_call>{"name": "python", "arguments": {"code": "print(1)' + " " * 400
    assert play([half], answer_format=ToolCallsFormat(), max_turn_tokens=20)[0].stop_reason is StopReason.TOKEN_BUDGET


def test_a_stop_string_in_a_text_block_does_not_end_the_turn(play):
    trajectory, _, sandbox = play(["```text\nnot code\n```\n", "So <<<42>>><|im_end|>"])
    assert trajectory.answer == "42" and not sandbox.programs
    assert len(actions(trajectory)) == 1


@pytest.mark.parametrize("runs", [True, False])
def test_a_program_in_thinking_runs_or_is_sampled_past(play, runs):
    # The engine stops at the block's end, whether that ends the turn or not.
    texts = ["<think>\n```python\nprint(1)\n```\n", "</think>\nSo <<<42>>>.<|im_end|>"]
    trajectory, _, sandbox = play(texts, answer_format=NaturalFormat(code_in_thinking=runs))
    assert trajectory.answer == "42"
    assert sandbox.programs == (["print(1)"] if runs else [])
    assert len(actions(trajectory)) == (2 if runs else 1)


@pytest.mark.parametrize(
    ("texts", "caps", "reason", "programs"),
    [
        (["I do not know.<|im_end|>"], {}, StopReason.VOID_TURN, 0),
        ([CODE], {"max_code_calls": 3}, StopReason.CODE_CALL_CAP, 3),
        (["word " * 50], {"max_turn_tokens": 20}, StopReason.TOKEN_BUDGET, 0),
        (["word " * 5000], {"max_total_tokens": 400}, StopReason.TOKEN_BUDGET, 0),
        (["word " * 5000], {"max_action_tokens": 30}, StopReason.TOKEN_BUDGET, 0),
        ([CODE] * 9, {"max_action_tokens": 20}, StopReason.TOKEN_BUDGET, 1),  # a turn, and not all of another
        ([CODE], {"max_total_tokens": 60}, StopReason.CONTEXT_OVERFLOW, 0),  # the prompt alone is longer
    ],
)
def test_every_limit_ends_the_episode_with_its_reason(play, texts, caps, reason, programs):
    trajectory, _, sandbox = play(texts, **caps)
    assert trajectory.stop_reason is reason
    assert len(sandbox.programs) == programs
    assert trajectory.answer is None and not trajectory.excluded


def test_feedback_that_does_not_fit_ends_with_the_models_tokens_intact(play):
    room = len(play([CODE, ANSWER])[0].segments[0].token_ids) + 60
    trajectory, template, sandbox = play([CODE, ANSWER], sandbox=FakeSandbox("9 " * 500), max_total_tokens=room)
    assert trajectory.stop_reason is StopReason.CONTEXT_OVERFLOW
    assert [s.kind for s in trajectory.segments] == [SegmentKind.PROMPT, SegmentKind.ACTION]
    assert trajectory.segments[1].token_ids == tuple(template.encode(CODE))
    assert len(sandbox.programs) == len(trajectory.tool_calls) == 1


def test_long_output_is_cut_in_the_middle(play):
    trajectory, _, _ = play([CODE, ANSWER], sandbox=FakeSandbox("a" * 3000 + "z" * 3000), max_output_chars=200)
    shown = trajectory.segments[3].text
    assert "characters cut" in shown and "aaa" in shown and "zzz" in shown and len(shown) < 300


def test_a_sandbox_fault_is_retried(play):
    trajectory, _, sandbox = play([CODE, ANSWER], sandbox=FakeSandbox(fail=2))
    assert trajectory.stop_reason is StopReason.ANSWERED and len(sandbox.programs) == 3


def test_a_lasting_sandbox_fault_excludes_the_trajectory(play):
    trajectory, _, _ = play([CODE, ANSWER], sandbox=FakeSandbox(fail=99), retries=1)
    assert trajectory.stop_reason is StopReason.INFRASTRUCTURE_FAULT
    assert trajectory.excluded and "slot lost" in trajectory.fault


def test_an_answer_format_that_raises_excludes_the_trajectory(play):
    class Broken(NaturalFormat):
        def parse(self, text):
            raise RecursionError("too deep")

    trajectory, _, _ = play([CODE, ANSWER], answer_format=Broken())
    assert trajectory.excluded and "RecursionError: too deep" in trajectory.fault


def test_the_deadline_keeps_finished_turns(play):
    trajectory, _, _ = play([CODE, ANSWER], sandbox=FakeSandbox(delay=30), deadline_s=0.3)
    assert trajectory.stop_reason is StopReason.DEADLINE
    assert [s.kind for s in trajectory.segments] == [SegmentKind.PROMPT, SegmentKind.ACTION]


def test_an_engine_failure_is_not_swallowed(play):
    class Broken:
        async def generate(self, *_, **__):
            raise ConnectionError("engine died")

    with pytest.raises(ConnectionError):
        play([], engine=Broken())


def test_an_engine_that_says_nothing_cannot_hang_the_loop(play):
    class Mute:
        async def generate(self, *_, **__):
            return Generation((), (), Ended.STOP_STRING)

    assert play([], engine=Mute())[0].stop_reason is StopReason.VOID_TURN


PIECES = [
    CODE,
    CODE + "\n",
    "<|im_end|>",
    "<<<42>>>",
    "```text\n1\n```\n",
    "```",
    "\n",
    "思考 ",
    "é",
    "🙂",
    " x",
    "\t",
]


class Babbler:
    """An engine that samples the given ids, token by token and cut by max_tokens, stop ids and stop strings."""

    def __init__(self, ids, decode):
        self.ids, self.decode, self.sampled = list(ids), decode, []

    def _generation(self, taken, ended):
        self.sampled.extend(taken)
        return Generation(tuple(taken), (-0.25,) * len(taken), ended)

    async def generate(self, token_ids, *, max_tokens, stop, stop_token_ids):
        taken = []
        while self.ids and len(taken) < max_tokens:
            taken.append(self.ids.pop(0))
            if taken[-1] in stop_token_ids:
                return self._generation(taken, Ended.END_OF_TURN)
            if any(word in self.decode(taken) for word in stop):
                return self._generation(taken, Ended.STOP_STRING)
        if len(taken) < max_tokens:
            taken.append(stop_token_ids[0])
            return self._generation(taken, Ended.END_OF_TURN)
        return self._generation(taken, Ended.LENGTH)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=25),
    output=st.text(max_size=60),
    total=st.integers(100, 600),
    turn=st.integers(1, 200),
)
@pytest.mark.parametrize("name", ["chatml", "llama3", "mistral"])
def test_whatever_the_model_says_the_record_and_its_masks_hold(play, tokenizers, name, texts, output, total, turn):
    tokenizer = tokenizers[name]
    ids = [t for text in texts for t in tokenizer(text, add_special_tokens=False)["input_ids"]]
    babbler = Babbler(ids, lambda taken: tokenizer.decode(taken, skip_special_tokens=True))
    trajectory, template, sandbox = play(
        [], name=name, engine=babbler, sandbox=FakeSandbox(output), max_total_tokens=total, max_turn_tokens=turn,
        max_code_calls=3,
    )  # fmt: skip
    tokens = trajectory.token_ids
    assert len(tokens) <= max(total, len(trajectory.segments[0].token_ids))
    assert len(sandbox.programs) == len(trajectory.tool_calls) <= 3
    # Every sampled token is one the engine sampled, in order; turns may only lose a tail.
    stream = iter(babbler.sampled)
    assert all(token in stream for segment in actions(trajectory) for token in segment.token_ids)
    for segment in actions(trajectory):
        assert len(segment.token_ids) <= turn
        assert len(segment.log_probs) == len(segment.token_ids)
    ranges = MASKED.ranges(trajectory)
    check_invariants(trajectory, ranges, MASKED)
    check_invariants(trajectory, UNMASKED.ranges(trajectory), UNMASKED)
    trained = [tokens[i] for start, end in ranges for i in range(start, end)]
    assert trained == [t for s in actions(trajectory) for t in s.token_ids]
    log_probs = rollout_log_probs(trajectory)
    assert log_probs is None or (
        len(log_probs) == len(tokens)
        and all((log_probs[i] != 0.0) == any(a <= i < b for a, b in ranges) for i in range(len(tokens)))
    )
    assert Trajectory.from_json(trajectory.to_json()) == trajectory


def test_episodes_run_concurrently(play, tokenizers):
    # 20 episodes whose tools sleep together must not take 20 times as long: checked by interleaving, not by a clock.
    running = peak = 0

    class Counting(FakeSandbox):
        async def run(self, code, limits):
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            try:
                return await super().run(code, limits)
            finally:
                running -= 1

    template = ChatTemplate(tokenizers["chatml"], "x")

    async def many():
        sandbox = Counting(delay=0.05)
        return await asyncio.gather(
            *(
                run_episode(
                    QUESTION,
                    engine=ScriptedEngine([CODE, ANSWER], template.encode),
                    template=template,
                    answer_format=NaturalFormat(),
                    code_runner=CodeRunner(sandbox, Limits(), 2),
                    budget=BUDGET,
                )
                for _ in range(20)
            )
        )

    assert all(t.answer == "42" for t in asyncio.run(many()))
    assert peak == 20
