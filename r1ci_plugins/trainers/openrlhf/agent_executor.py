"""What OpenRLHF loads by ``--train.agent_func_path``: our loop behind its ``AgentExecutor`` interface.

One instance lives in each ``RolloutRayActor`` (OpenRLHF 0.11.2, trainer/ray/vllm_engine.py) and runs all episodes of
that engine concurrently in its event loop. What OpenRLHF's own ``MultiTurnAgentExecutor`` leaves open, and where it
stands here:

| limit of the stock executor | here |
|---|---|
| a turn may use the whole budget; no stop strings at first; end-of-turn doubled | ``rollout/loop.py``, chat template |
| the samples of a prompt share and change one SamplingParams | ``VLLMEngine`` copies it for every turn |
| feedback that does not fit ends the episode without a trace | recorded: ``StopReason.CONTEXT_OVERFLOW`` |
| ``truncated`` is the last turn's; feedback stays after the end | from the stop reason; none is added after the end |
| ``response_length`` counts feedback | it counts what was sampled (``seams/samples.py``) |
| an exception in a step kills the run; nothing closes sandboxes | faults are recorded; jails and workers die with us |
| ``extra_logs`` of the last step only, same keys for all | empty; metrics come from the trajectories |
| steps see text, ids do not survive encoding | sampled ids are kept, only feedback is tokenised |
| the tokenizer is pickled with every prompt | its name travels, and each worker loads it once |
| GAE and returns step through feedback | over own tokens alone (``advantages.py``) |
| top_p biases log-probs | refused at start where wrong (``plan.py``) |
| groups by order: a dropped sample would shift them | excluded samples stay in place, with an empty mask |
| a resumed run loses rollouts that were buffered | it still does; what was recorded is on disk |
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from openrlhf.utils.agent import AgentExecutorBase
from vllm.sampling_params import RequestOutputKind

from r1ci_plugins.engines.vllm import generation_of
from r1ci_plugins.environment import prepare
from r1ci_plugins.errors import LossMaskError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.engine import Generation
from r1ci_plugins.rollout.run_folder import RunFolder
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.loss_mask import (
    Range,
    check_invariants,
    output_ranges,
    rollout_log_probs,
    trained_ranges,
)

log = logging.getLogger(__name__)

_TRUNCATED = {StopReason.TOKEN_BUDGET, StopReason.CONTEXT_OVERFLOW, StopReason.DEADLINE}


class VLLMEngine:
    """The engine contract over OpenRLHF's ``RolloutRayActor.generate``."""

    def __init__(self, actor: Any, sampling_params: Any) -> None:
        self._actor = actor
        self._params = sampling_params  # shared by all samples of a prompt: never changed, only copied

    async def generate(
        self, token_ids: Sequence[int], *, max_tokens: int, stop: Sequence[str], stop_token_ids: Sequence[int]
    ) -> Generation:
        """Sample with vLLM; cancelling this coroutine aborts the request in the engine."""
        params = msgspec.structs.replace(
            self._params,
            max_tokens=max_tokens,
            min_tokens=min(self._params.min_tokens, max_tokens),
            stop=list(stop),
            stop_token_ids=list(stop_token_ids),
            output_kind=RequestOutputKind.FINAL_ONLY,  # else every token sends all tokens so far again
            _all_stop_token_ids=set(),  # derived from the fields above, but in place: not in the shared object's set
        )
        return generation_of((await self._actor.generate(list(token_ids), params)).outputs[0])


class AgentExecutor(AgentExecutorBase):
    """Runs and judges one episode per call, and reports it in the form that OpenRLHF trains on."""

    def __init__(self) -> None:
        folder = RunFolder.of_this_process()
        run = folder.read_run()
        prepared = prepare(folder.recipe, plugins=run["plugins"], command=None)
        self._prepared, self._loss_mask = prepared, prepared.loss_mask()
        # The context's length comes with every call.
        self._environment = prepared.environment(packs=run["packs"], context=sys.maxsize)
        self._template: ChatTemplate | None = None
        self._starting = asyncio.Lock()
        self._ready = False

    async def execute(
        self,
        prompt: str,
        label: str,
        sampling_params: Any,
        max_length: int,
        hf_tokenizer: str,
        llm_engine: Any,
        images: Any = None,
    ) -> dict[str, Any]:
        """Run one episode.

        Args:
            prompt: The rendered prompt; the tokens come from the question in ``label``.
            label: ``Question.to_json()``.
            sampling_params: vLLM's, shared with the other samples of the prompt.
            max_length: ``--data.max_len``: cap on the whole sequence, in tokens.
            hf_tokenizer: The name of the policy's tokenizer (``seams/samples.py``).
            llm_engine: The ``RolloutRayActor`` that holds the engine.
            images: Not supported; must be empty.

        Returns:
            The dict that ``SamplesGenerator._process_response_into_experience`` reads. ``label`` carries the whole
            judged trajectory as JSON; ``seams/samples.py`` records it and puts a summary in its place.
        """
        if images:
            raise ValueError("r1ci episodes are text only; leave the data set's image column out")
        async with self._starting:
            if not self._ready:
                self._template = await asyncio.to_thread(self._prepared.template, hf_tokenizer)
                await self._environment.start()
                self._ready = True
        assert self._template is not None
        engine = VLLMEngine(llm_engine, sampling_params)
        trajectory = await self._environment.episode(Question.from_json(label), engine, self._template, max_length)
        ranges: list[Range] = []
        try:
            ranges = trained_ranges(trajectory, self._loss_mask)
        except LossMaskError as error:  # a mask that raises costs one trajectory; a wrong one, below, stops the run
            trajectory = replace(trajectory, fault=str(error))
        await asyncio.to_thread(self._prepared.plugins.notify, trajectory)
        check_invariants(trajectory, ranges, self._loss_mask)
        outputs = output_ranges(trajectory, self._loss_mask)
        return response(prompt, trajectory, ranges, outputs, log_probs=sampling_params.logprobs is not None)


def response(
    prompt: str, trajectory: Trajectory, ranges: list[Range], outputs: Sequence[Range] = (), *, log_probs: bool
) -> dict[str, Any]:
    """A trajectory as OpenRLHF's agent response; an excluded one has no action range and trains nothing.

    Args:
        prompt: As OpenRLHF gave it.
        trajectory: Judged.
        ranges: Its loss mask.
        outputs: Code outputs in the loss's second term.
        log_probs: Whether the trainer asked for log-probs. It then needs them of every sample, also of one whose
            episode ended before anything was sampled.
    """
    sampled = rollout_log_probs(trajectory)
    if log_probs and all(segment.kind is not SegmentKind.ACTION for segment in trajectory.segments):
        sampled = [0.0] * len(trajectory.token_ids)
    return {
        "prompt": prompt,
        "label": trajectory.to_json(),
        "images": None,
        "mm_train_inputs": None,
        "reward": trajectory.reward,
        "scores": float(trajectory.correct),
        "excluded": trajectory.excluded,  # for seams/samples.py, as outputs
        "outputs": outputs,
        "observation_tokens": trajectory.token_ids,
        "action_ranges": ranges,
        "rollout_log_probs": sampled,
        "truncated": trajectory.stop_reason in _TRUNCATED,
        "extra_logs": {},  # metrics of ours are computed from the trajectories, per task (seams/trainer.py)
    }
