"""Our agent behind OpenRLHF's interface: vLLM's own parameter and output classes, real sandbox and pack, no engine."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from r1ci_plugins.errors import LossMaskError
from r1ci_plugins.plugins.packs import load_packs
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.rollout.engine import Ended
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED, check_invariants

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("vllm", "openrlhf")), reason="needs vLLM and OpenRLHF"
    ),
]
needs_firejail = pytest.mark.skipif(shutil.which("firejail") is None, reason="firejail is not installed")
UPSTREAM = {"temperature": 1.0, "max_tokens": None, "min_tokens": 1, "skip_special_tokens": False, "logprobs": 1}
"""What OpenRLHF's SamplesGenerator sets."""


def sampling(**changed):
    from vllm import SamplingParams

    return SamplingParams(**{**UPSTREAM, **changed})


def output(ids, *, finish="stop", stop=None, log_probs=True):
    """What ``RolloutRayActor.generate`` returns."""
    from vllm.logprobs import Logprob
    from vllm.outputs import CompletionOutput, RequestOutput

    # vLLM reports the sampled token and the most likely one; position i's log-prob is -i / 10.
    chosen = [{token: Logprob(-i / 10, 2), token + 1: Logprob(0.0, 1)} for i, token in enumerate(ids)]
    completion = CompletionOutput(0, "", list(ids), None, chosen if log_probs else None)
    completion.finish_reason, completion.stop_reason = finish, stop
    return RequestOutput("id", None, None, None, [completion], True)


class Actor:
    """In place of Ray's actor: answers by a function of token ids and parameters, and remembers what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked, self.cancelled = answer, [], False

    async def generate(self, token_ids, params):
        self.asked.append((list(token_ids), params))
        try:
            return await self.answer(token_ids, params)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def generate(answer, params, **options):
    from r1ci_plugins.trainers.openrlhf.agent_executor import VLLMEngine

    async def say(token_ids, given):
        return answer

    actor = Actor(say)
    options = {"max_tokens": 9, "stop": ("```\n", "longest"), "stop_token_ids": (2, 7)} | options
    return asyncio.run(VLLMEngine(actor, params).generate((5, 6), **options)), actor


# -- the engine -------------------------------------------------------------------------------------------------------


def test_the_shared_parameters_stay_as_they_are():
    """All samples of a prompt, and all their turns, share one object."""
    shared, untouched = sampling(), sampling()
    for _ in range(2):
        generate(output([5]), shared, stop=("x" * 9,), stop_token_ids=(4,))
    assert shared == untouched and shared.all_stop_token_ids == set()


def test_what_vllm_derives_from_the_parameters_is_that_of_new_ones():
    """``__post_init__`` must have run again: a stale hold-back buffer or stop set would be silent."""
    _, actor = generate(output([5]), sampling(stop=["a much longer stop string"], stop_token_ids=[99]))
    ((asked, params),) = actor.asked
    expected = sampling(max_tokens=9, stop=["```\n", "longest"], stop_token_ids=[2, 7])
    from vllm.sampling_params import RequestOutputKind

    expected.output_kind = RequestOutputKind.FINAL_ONLY  # every token would send all tokens so far again
    assert asked == [5, 6] and params == expected
    assert params.output_text_buffer_length == expected.output_text_buffer_length == len("longest") - 1
    assert params.all_stop_token_ids == expected.all_stop_token_ids == {2, 7}


def test_fewer_tokens_than_the_trainers_minimum_can_be_asked_for():
    _, actor = generate(output([5]), sampling(min_tokens=8), max_tokens=3)
    assert (actor.asked[0][1].min_tokens, actor.asked[0][1].max_tokens) == (3, 3)


@pytest.mark.parametrize(
    ("finish", "stop", "ended"),
    [
        ("stop", "```\n", Ended.STOP_STRING),
        ("stop", 2, Ended.END_OF_TURN),
        ("stop", None, Ended.END_OF_TURN),
        ("length", None, Ended.LENGTH),
    ],
)
def test_why_a_generation_ended(finish, stop, ended):
    generation, _ = generate(output([5, 6, 2], finish=finish, stop=stop), sampling())
    assert generation.ended is ended and generation.token_ids == (5, 6, 2)
    assert generation.log_probs == (-0.0, -0.1, -0.2)


def test_log_probs_that_were_not_asked_for_are_none():
    generation, _ = generate(output([5, 6], log_probs=False), sampling(logprobs=None))
    assert generation.log_probs is None


@pytest.mark.parametrize("finish", ["abort", "error", None])
def test_an_aborted_request_is_an_error_and_no_short_answer(finish):
    with pytest.raises(RuntimeError, match="finish_reason"):
        generate(output([5], finish=finish), sampling())


def test_cancelling_reaches_vllms_request():
    from r1ci_plugins.trainers.openrlhf.agent_executor import VLLMEngine

    async def never(token_ids, params):
        await asyncio.Event().wait()

    async def cancel():
        actor = Actor(never)
        task = asyncio.create_task(
            VLLMEngine(actor, sampling()).generate([1], max_tokens=4, stop=(), stop_token_ids=())
        )
        while not actor.asked:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return actor.cancelled

    assert asyncio.run(cancel())


# -- upstream's interface ---------------------------------------------------------------------------------------------


def upstream_keys() -> set[str]:
    """Keys of the dict that upstream's own agent returns, read from its source."""
    source = Path(importlib.util.find_spec("openrlhf").origin).parent / "utils" / "agent.py"
    (agent,) = (
        node
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "MultiTurnAgentExecutor"
    )
    (returned,) = (
        node.value
        for node in ast.walk(agent)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "final_response"
    )
    return {key.value for key in returned.keys}


def test_execute_takes_what_openrlhf_gives():
    from openrlhf.utils.agent import AgentExecutorBase

    from r1ci_plugins.trainers.openrlhf.agent_executor import AgentExecutor

    ours, theirs = (list(inspect.signature(kind.execute).parameters) for kind in (AgentExecutor, AgentExecutorBase))
    assert ours == theirs


# -- whole episodes ---------------------------------------------------------------------------------------------------

PLUGIN = """
from r1ci_plugins import hookimpl
from r1ci_plugins.training.loss_mask import UNMASKED, LossMask

@hookimpl
def r1ci_trajectory_finished(trajectory):
    raise RuntimeError("an observer may fail")

@hookimpl
def r1ci_loss_masks():
    return {
        "plain": lambda: UNMASKED.ranges,
        "declared": lambda: LossMask(UNMASKED.ranges, sampled_only=False),
        "raising": lambda: lambda trajectory: 1 / 0,
    }
"""


@pytest.fixture
def other_plugin(tmp_path, monkeypatch):
    """Installs a plugin, ``other``, whose observer raises and whose masks train code outputs."""
    site = tmp_path / "site"
    info = site / "other-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "r1ci_test_other.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[r1ci.plugins]\nother = r1ci_test_other\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
    return "other"


@pytest.fixture
def question():
    packs = load_packs({"reasoning_gym"})
    pack = packs["reasoning_gym"]
    return next(iter(draw("reasoning_gym", pack["gcd"], "rl", 3, 1)))


@pytest.fixture
def play(tmp_path, monkeypatch, tokenizers, question):
    """Run n episodes of one question at once, as OpenRLHF does, with a scripted policy; returns their responses."""
    tokenizer = tokenizers["chatml"]
    model = tmp_path / "model"
    tokenizer.save_pretrained(model)
    (model / "config.json").write_text("{}")

    def run(policy, count=1, *, plugins=("r1ci",), protocol=None, mask="masked", params=None, max_length=2000):
        recipe = {
            "output_dir": str(tmp_path),
            "model": "none",
            "tasks": {"train": [{"tasks": ["reasoning_gym/gcd"], "count": 1}]},
            "sandbox": {"concurrency": 2, "limits": {"wall_s": 20}},
            "mask": {"code_outputs": mask},
            "protocol": protocol or {},
        }
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        (tmp_path / "run.json").write_text(json.dumps({"plugins": list(plugins), "packs": ["reasoning_gym"]}))
        monkeypatch.setenv("R1CI_RUN", str(tmp_path))
        from r1ci_plugins.trainers.openrlhf.agent_executor import AgentExecutor

        async def answer(token_ids, given):
            return speak(tokenizer, policy, token_ids, given)

        async def episodes():
            executor, actor = AgentExecutor(), Actor(answer)
            try:
                template = ChatTemplate(tokenizer, executor._environment.instructions)
                prompt = template.prompt_text(question.text)
                return await asyncio.gather(
                    *(
                        executor.execute(prompt, question.to_json(), params, max_length, str(model), actor)
                        for _ in range(count)
                    )
                )
            finally:
                await executor._environment.close()

        params = params or sampling()
        return asyncio.run(episodes())

    return run


def speak(tokenizer, policy, token_ids, params):
    """One turn as vLLM samples it: cut at a stop string, a stop token or the cap."""
    ids = tokenizer.encode(policy(tokenizer.decode(token_ids)), add_special_tokens=False)
    wanted = params.logprobs is not None
    for i, token in enumerate(ids, 1):
        text = tokenizer.decode(ids[:i])
        if i == params.max_tokens:
            return output(ids[:i], finish="length", log_probs=wanted)
        if token in params.all_stop_token_ids:
            return output(ids[:i], stop=token, log_probs=wanted)
        hit = next((stop for stop in params.stop if stop in text), None)
        if hit:
            return output(ids[:i], stop=hit, log_probs=wanted)
    return output(ids, log_probs=wanted)


class Solver:
    """Runs a program that prints the answer plus n for the n-th sample, then repeats what it was shown."""

    def __init__(self, answer):
        self.answer, self.started = int(answer), 0

    def __call__(self, context):
        shown = re.findall(r"Code Execution Results:\n(-?\d+)", context)
        if shown:
            return f"It is <<<{shown[-1]}>>>.<|im_end|>"
        self.started += 1
        return f"I compute it.\n```python\nprint({self.answer} + {self.started - 1})\n```\nand it prints 0"


@pytest.mark.firejail
@needs_firejail
def test_samples_of_a_prompt_share_nothing(play, question):
    params = sampling()
    responses = play(Solver(question.answer), 4, params=params)
    assert params == sampling() and params.all_stop_token_ids == set()
    trajectories = [Trajectory.from_json(response["label"]) for response in responses]
    answers = [str(int(question.answer) + n) for n in range(4)]
    assert sorted(t.answer for t in trajectories) == sorted(answers)
    for response, trajectory in zip(responses, trajectories, strict=True):
        assert set(response) == {*upstream_keys(), "excluded", "outputs"}
        assert trajectory.stop_reason is StopReason.ANSWERED and not trajectory.excluded, trajectory.fault
        (call,) = trajectory.tool_calls
        assert (call.status, call.isolation) == ("ok", "firejail")
        assert trajectory.answer == str(sum(map(int, re.findall(r"\d+", call.code))))
        assert response["scores"] == float(trajectory.answer == question.answer)
        assert response["reward"] == pytest.approx(sum(trajectory.reward_terms.values()))
        assert response["observation_tokens"] == trajectory.token_ids
        assert len(response["rollout_log_probs"]) == len(trajectory.token_ids)
        check_invariants(trajectory, response["action_ranges"], MASKED)
    assert sum(response["scores"] for response in responses) == 1.0


@pytest.mark.firejail
@needs_firejail
def test_log_probs_belong_to_sampled_tokens_only(play, question):
    (response,) = play(Solver(question.answer))
    trajectory = Trajectory.from_json(response["label"])
    position = 0
    for segment in trajectory.segments:
        given = response["rollout_log_probs"][position : position + len(segment.token_ids)]
        sampled = segment.kind is SegmentKind.ACTION
        assert given == [-i / 10 if sampled else 0.0 for i in range(len(segment.token_ids))]
        position += len(segment.token_ids)
    (again,) = play(Solver(question.answer), params=sampling(logprobs=None))
    assert again["rollout_log_probs"] is None


@pytest.mark.firejail
@needs_firejail
def test_the_mask_of_the_recipe_decides_whether_code_outputs_are_trained(play, question):
    def trained(response):
        trajectory = Trajectory.from_json(response["label"])
        kinds = [segment.kind for segment in trajectory.segments for _ in segment.token_ids]
        return {kinds[i] for start, end in response["action_ranges"] for i in range(start, end)}

    (usual,), (ablation,) = (play(Solver(question.answer), mask=mask) for mask in ("masked", "unmasked"))
    assert trained(usual) == {SegmentKind.ACTION}
    assert trained(ablation) == {SegmentKind.ACTION, SegmentKind.CODE_OUTPUT}


@pytest.mark.firejail
@needs_firejail
def test_an_observer_that_raises_changes_nothing(play, question, other_plugin, caplog):
    (response,) = play(Solver(question.answer), plugins=("r1ci", other_plugin))
    assert response["scores"] == 1.0
    assert "an observer may fail" in caplog.text


@pytest.mark.firejail
@needs_firejail
def test_a_plugins_mask_is_held_to_what_it_promises(play, question, other_plugin):
    """As in SFT and in the audit, see tests/training/test_supervised.py."""
    plugins = ("r1ci", other_plugin)
    with pytest.raises(LossMaskError, match="kind code_output") as caught:
        play(Solver(question.answer), plugins=plugins, mask="plain")
    assert "LossMask(function, sampled_only=False)" in str(caught.value)
    (declared,) = play(Solver(question.answer), plugins=plugins, mask="declared")
    trajectory = Trajectory.from_json(declared["label"])
    assert declared["action_ranges"] == UNMASKED.ranges(trajectory) != MASKED.ranges(trajectory)
    (excluded,) = play(Solver(question.answer), plugins=plugins, mask="raising")
    assert excluded["action_ranges"] == []
    fault = Trajectory.from_json(excluded["label"]).fault
    assert (
        fault.startswith("the loss mask raised ZeroDivisionError: division by zero") and "r1ci_test_other.py:" in fault
    )


@pytest.mark.firejail
@needs_firejail
@pytest.mark.parametrize(
    ("policy", "options", "reason", "truncated"),
    [
        (lambda context: "I do not know.<|im_end|>", {}, StopReason.VOID_TURN, False),
        (lambda context: "word " * 99, {"protocol": {"max_turn_tokens": 20}}, StopReason.TOKEN_BUDGET, True),
        (lambda context: "word " * 99, {"max_length": 10}, StopReason.CONTEXT_OVERFLOW, True),
    ],
)
def test_an_episode_without_an_answer_is_scored_0_and_has_its_reason(play, policy, options, reason, truncated):
    (response,) = play(policy, **options)
    trajectory = Trajectory.from_json(response["label"])
    assert trajectory.stop_reason is reason and response["truncated"] is truncated
    assert response["scores"] == 0.0
    # Also where nothing was sampled: OpenRLHF needs log-probs of every sample or of none.
    assert len(response["rollout_log_probs"]) == len(response["observation_tokens"])


def test_images_are_refused():
    from r1ci_plugins.trainers.openrlhf.agent_executor import AgentExecutor

    with pytest.raises(ValueError, match="text only"):
        asyncio.run(AgentExecutor.execute(None, "p", "{}", sampling(), 10, None, None, images=["x.png"]))
