"""vLLM behind the engine contract: its output as a ``Generation``, and a local model that is not being trained."""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.rollout.engine import Ended, Generation


def generation_of(output: Any) -> Generation:
    """What vLLM sampled, from its ``CompletionOutput``.

    Raises RuntimeError if the request was aborted, or ended in another way that is not the model's.
    """
    if output.finish_reason not in ("stop", "length"):
        raise RuntimeError(f"vLLM ended a request with finish_reason {output.finish_reason!r}")
    ids = tuple(output.token_ids)
    log_probs = None
    if output.logprobs is not None:
        log_probs = tuple(by_id[token].logprob for token, by_id in zip(ids, output.logprobs, strict=True))
    if output.finish_reason == "length":
        return Generation(ids, log_probs, Ended.LENGTH)
    # stop_reason is the stop string, the id of a stop token, or None for the model's own end of sequence.
    ended = Ended.STOP_STRING if isinstance(output.stop_reason, str) else Ended.END_OF_TURN
    return Generation(ids, log_probs, ended)


@dataclass(kw_only=True)
class LocalVLLM:
    """vLLM's asynchronous engine; it batches whatever runs at the same time.

    Attributes:
        max_total_tokens: Context, prompt included.
        seed: The seed of the engine; replies that are sampled together depend on each other's timing all the same.
        tensor_parallel_size: GPUs that share the model.
        gpu_memory_utilization: Share of the GPU's memory it may take.
    """

    model: str
    max_total_tokens: int
    temperature: float
    seed: int
    tensor_parallel_size: int
    gpu_memory_utilization: float
    _engine: Any = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def start(self) -> None:
        """Load the model. Raises MachineProblem if vLLM is not installed, or cannot load it."""
        on_cpu = not cpu_flags.cuda_available()
        if on_cpu:
            os.environ.update(cpu_flags.variables())
        try:
            from vllm import AsyncEngineArgs, AsyncLLMEngine
        except ImportError as error:
            raise MachineProblem(
                f"a local model runs in vLLM, which cannot be imported: {error}",
                fix="pip install 'r1ci-plugins[gpu]'; without a GPU, `make setup` in a clone of r1ci-plugins",
            ) from error
        try:
            self._engine = AsyncLLMEngine.from_engine_args(
                AsyncEngineArgs(
                    model=self.model,
                    max_model_len=self.max_total_tokens,
                    seed=self.seed,
                    tensor_parallel_size=self.tensor_parallel_size,
                    gpu_memory_utilization=self.gpu_memory_utilization,
                    enable_prefix_caching=True,
                    enforce_eager=on_cpu,
                )
            )
        except Exception as error:  # vLLM raises many types, and its engine dies in another process
            raise MachineProblem(
                f"vLLM cannot load the model: {type(error).__name__}: {error}",
                where=f"model {self.model!r}",
                fix="its own messages are above; a smaller context or gpu_memory_utilization may help",
            ) from error

    async def close(self) -> None:
        """Stop the engine and its processes."""
        if self._engine is not None:
            self._engine.shutdown()
            self._engine = None

    async def generate(
        self, token_ids: Sequence[int], *, max_tokens: int, stop: Sequence[str], stop_token_ids: Sequence[int]
    ) -> Generation:
        """Sample; cancelling this coroutine aborts the request. Raises MachineProblem if vLLM refuses or has died."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        room = self.max_total_tokens - len(token_ids)
        if room <= 0:
            return Generation((), None, Ended.LENGTH)
        params = SamplingParams(
            temperature=self.temperature,
            max_tokens=min(max_tokens, room),
            stop=list(stop),
            stop_token_ids=list(stop_token_ids),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        prompt = {"prompt_token_ids": list(token_ids)}
        outputs = self._engine.generate(prompt, params, f"r1ci-{next(self._numbers)}")
        try:
            async for request in outputs:
                output = request.outputs[0]  # there is only one, with all tokens
            return generation_of(output)
        except Exception as error:  # vLLM raises many types
            raise MachineProblem(
                f"vLLM failed: {type(error).__name__}: {error}",
                where=f"model {self.model!r}",
                fix="its own messages are above; what was finished is kept, the same command goes on from there",
            ) from error
