"""A local model in vLLM: what becomes of the output of its engine, which is played here."""

from __future__ import annotations

import asyncio
import importlib.util
from types import SimpleNamespace

import pytest

from r1ci_plugins.engines.vllm import LocalVLLM, generation_of
from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.rollout.engine import Ended, Generation

REASONS = [
    ("stop", "```\n", Ended.STOP_STRING),
    ("stop", 2, Ended.END_OF_TURN),
    ("stop", None, Ended.END_OF_TURN),
    ("length", None, Ended.LENGTH),
]
NOT_THE_MODELS = ["abort", "error", "repetition", None]


class PlayedEngine:
    """vLLM's engine as far as ``generate`` uses it: each output holds all tokens so far."""

    def __init__(self, finish: str | None, stop: object = None) -> None:
        self.finish, self.stop, self.asked = finish, stop, []

    async def generate(self, prompt, params, number):
        self.asked.append((prompt["prompt_token_ids"], params, number))
        for ids, last in (((5,), False), ((5, 6, 2), True)):
            yield SimpleNamespace(
                outputs=[completion(ids, self.finish if last else None, self.stop if last else None)]
            )


def completion(ids, finish, stop=None):
    return SimpleNamespace(token_ids=list(ids), logprobs=None, finish_reason=finish, stop_reason=stop)


def sample(engine, ids=(1, 2), max_tokens=9):
    local = LocalVLLM(
        model="m", max_total_tokens=8, temperature=0.5, seed=1, tensor_parallel_size=1, gpu_memory_utilization=0.5
    )
    local._engine = engine
    return asyncio.run(local.generate(ids, max_tokens=max_tokens, stop=("```\n",), stop_token_ids=(2,)))


@pytest.mark.parametrize(("finish", "stop", "ended"), REASONS)
def test_each_finish_reason_of_vllm(finish, stop, ended):
    assert generation_of(completion((5, 6, 2), finish, stop)) == Generation((5, 6, 2), None, ended)


@pytest.mark.parametrize("finish", NOT_THE_MODELS)
def test_a_request_that_the_model_did_not_end_is_an_error(finish):
    with pytest.raises(RuntimeError, match="finish_reason"):
        generation_of(completion((5,), finish))


@pytest.mark.stack
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM")
class TestLocalModel:
    @pytest.mark.parametrize(("finish", "stop", "ended"), REASONS)
    def test_it_reports_why_a_turn_ended(self, finish, stop, ended):
        assert sample(PlayedEngine(finish, stop)) == Generation((5, 6, 2), None, ended)

    @pytest.mark.parametrize("finish", NOT_THE_MODELS)
    def test_an_aborted_request_is_an_error_and_no_finished_turn(self, finish):
        with pytest.raises(MachineProblem, match="vLLM failed.*finish_reason"):
            sample(PlayedEngine(finish))

    def test_it_never_asks_for_more_than_the_context_holds(self):
        engine = PlayedEngine("stop")
        sample(engine)
        ((ids, params, _),) = engine.asked
        assert (ids, params.max_tokens, params.temperature, params.stop) == ([1, 2], 6, 0.5, ["```\n"])
        assert sample(engine, ids=range(8)) == Generation((), None, Ended.LENGTH)
        assert len(engine.asked) == 1
