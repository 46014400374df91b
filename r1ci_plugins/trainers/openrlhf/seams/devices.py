"""OpenRLHF without CUDA: devices, number formats, and stand-ins for what it takes from flash-attn."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.trainers.import_hooks import upstream

# Four functions, each with a body of its own: TorchDynamo keeps rules by name and refuses one object under two names.


def current_device() -> str:
    """Stands for ``torch.cuda.current_device``; upstream only passes it on as a device."""
    return "cpu"


def set_device(device: Any) -> None:
    """Stands for ``torch.cuda.set_device``: there is only one."""


def synchronize(device: Any = None) -> None:
    """Stands for ``torch.cuda.synchronize``: CPU kernels have finished when they return."""


def current_stream(device: Any = None) -> None:
    """Stands for ``torch.cuda.current_stream``; Gloo has no use for one."""


# Packing: what flash-attn's functions of these names do, in torch. Attention itself is torch's (sdpa); by the position
# ids, transformers keeps it inside each packed sequence.


def unpad_input(hidden_states: Any, attention_mask: Any) -> Any:
    """Drop the padding: (B, T, ...) to (N, ...), with the indices of what is kept; see transformers' function."""
    from transformers.modeling_flash_attention_utils import _unpad_input

    return _unpad_input(hidden_states, attention_mask)


def pad_input(hidden_states: Any, indices: Any, batch: int, seqlen: int) -> Any:
    """Put it back: (N, ...) to (B, T, ...)."""
    from transformers.modeling_flash_attention_utils import _pad_input

    return _pad_input(hidden_states, indices, batch, seqlen)


def index_first_axis(tensor: Any, indices: Any) -> Any:
    """Rows by number."""
    return tensor[indices]


def rearrange(tensor: Any, pattern: str) -> Any:
    """The one pattern that upstream uses: ``b s ... -> (b s) ...``."""
    return tensor.flatten(0, 1)


def all_gather(*arguments: Any) -> Any:
    """Only ring attention needs it, which the launcher refuses.

    Raises:
        MachineProblem: Always.
    """
    raise MachineProblem("ring attention needs flash-attn and CUDA", fix="leave out --ds.ring_attn_size")


_FLASH_ATTN = {
    "flash_attn": (),
    "flash_attn.bert_padding": (index_first_axis, pad_input, rearrange, unpad_input),
    "flash_attn.utils": (),
    "flash_attn.utils.distributed": (all_gather,),
}


@contextmanager
def flash_attn_stand_in() -> Iterator[None]:
    """Let a module import flash-attn. Gone afterwards: others test for flash-attn by importing it."""
    if importlib.util.find_spec("flash_attn") is not None:
        yield
        return
    for name, functions in _FLASH_ATTN.items():
        module = ModuleType(name)
        module.__path__ = []
        for function in functions:
            setattr(module, function.__name__, function)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in _FLASH_ATTN:
            sys.modules.pop(name, None)


def init_actor(self: Any, pretrain_or_model: Any, **options: Any) -> None:
    """Upstream's, with torch's attention: with packing, upstream asks for flash-attn's whatever the flag says."""
    upstream[init_actor](self, pretrain_or_model, **options | {"attn_implementation": "sdpa"})


def get_llm_for_sequence_regression(model: str, model_type: str, **options: Any) -> Any:
    """Upstream's critic, with torch's attention."""
    return upstream[get_llm_for_sequence_regression](model, model_type, **options | {"attn_implementation": "sdpa"})


def init_device_mesh(device_type: str, *args: Any, **kwargs: Any) -> Any:
    """Upstream's, on the CPU."""
    return upstream[init_device_mesh]("cpu", *args, **kwargs)


def get_ds_train_config(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Upstream's configuration with torch's Adam: DeepSpeed's own is C++ and would be compiled first."""
    config = upstream[get_ds_train_config](self, *args, **kwargs)
    optimizer = config.get("optimizer")  # absent while a model is only loaded
    if optimizer and optimizer["type"] == "AdamW":
        optimizer["params"]["torch_adam"] = True
    return _in_float32(config)


def get_ds_eval_config(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Upstream's configuration, in float32 where the CPU is slow in bfloat16."""
    return _in_float32(upstream[get_ds_eval_config](self, *args, **kwargs))


def _in_float32(config: dict[str, Any]) -> dict[str, Any]:
    if not cpu_flags.fast_bfloat16():
        config["bf16"] = {"enabled": False}
    return config


def convert_to_torch_dtype(param_dtype: str) -> Any:
    """Upstream's torch type of that name, and float32 for bfloat16 where the CPU is slow in it."""
    import torch

    dtype = upstream[convert_to_torch_dtype](param_dtype)
    return torch.float32 if dtype is torch.bfloat16 and not cpu_flags.fast_bfloat16() else dtype


def init_replay_buffer(self: Any, *args: Any, **kwargs: Any) -> None:
    """Upstream's, which makes a device of ``f"cuda:{current_device()}"``; then its device is the CPU."""
    import torch

    torch.cuda.current_device = lambda: 0
    try:
        upstream[init_replay_buffer](self, *args, **kwargs)
    finally:
        torch.cuda.current_device = current_device
    self.target_device = torch.device("cpu")
