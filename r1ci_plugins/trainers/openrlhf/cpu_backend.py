"""OpenRLHF 0.11.2 and vLLM 0.29 without a GPU: the places where torch, DeepSpeed and vLLM assume CUDA.

| upstream | what it assumes | here |
|---|---|---|
| ``torch.cuda`` | a current device, streams | ``current_device()`` is "cpu"; the rest does nothing |
| ``vllm.model_executor.layers.utils`` | weights never change after start-up | ``packed_linear.py`` |
| ``vllm.engine.arg_utils`` | bfloat16 is fast | float32 where the CPU cannot compute in it |
| ``deepspeed.comm.torch`` | a C++ compiler and minutes to build a kernel | left out, Gloo does it |
| ``deepspeed.runtime.engine`` | in float32 nobody asks for the gradient's norm | kept |

What OpenRLHF itself assumes stands in ``seams/devices.py`` and ``seams/weights.py``. ``install_if_no_cuda`` runs in
the driver, in each Ray worker, and (by the entry point ``vllm.general_plugins``) in the processes that vLLM spawns for
them. Functions that Ray may pickle are module-level, so that they travel by name.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.trainers.import_hooks import install, replace
from r1ci_plugins.trainers.openrlhf import seams
from r1ci_plugins.trainers.openrlhf.packed_linear import vllm_layers
from r1ci_plugins.trainers.openrlhf.seams.devices import current_device, current_stream, set_device, synchronize


def install_if_no_cuda() -> None:
    """Register the patches of this module and the seams for CPUs, unless there is CUDA. May be called repeatedly.

    Raises:
        MachineProblem: Upstream has moved one of the patched places.
    """
    if cpu_flags.cuda_available():
        return
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    install(_PATCHES)
    seams.install_without_cuda()


def install_in_vllm() -> None:
    """Entry point ``vllm.general_plugins``: in processes that vLLM spawned for a run of ours, and in no other vLLM."""
    if os.environ.get(cpu_flags.VARIABLE) == "1":
        install_if_no_cuda()


def _torch_cuda(module: ModuleType) -> None:
    for function in (current_device, set_device, synchronize, current_stream):
        replace(module, function.__name__, function)


def _vllm_arguments(module: ModuleType) -> None:
    def create_model_config(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.dtype in ("auto", "bfloat16") and not cpu_flags.fast_bfloat16():
            self.dtype = "float32"
        return upstream(self, *args, **kwargs)

    upstream = replace(module.EngineArgs, "create_model_config", create_model_config)


def _deepspeed_engine(module: ModuleType) -> None:
    def clip_fp32_gradients(self: Any) -> None:
        norm = module.clip_grad_norm_(
            parameters=self.module.parameters(), max_norm=self.gradient_clipping(), mpu=self.mpu
        )
        self._global_grad_norm = norm  # upstream forgets it, and the trainer would report 0

    replace(module.DeepSpeedEngine, "clip_fp32_gradients", clip_fp32_gradients)


def _deepspeed_comm(module: ModuleType) -> None:
    replace(module, "build_shm_op", lambda: None)  # None means that torch.distributed does the work


_PATCHES = {
    "torch.cuda": _torch_cuda,
    "vllm.engine.arg_utils": _vllm_arguments,
    "vllm.model_executor.layers.utils": vllm_layers,
    "deepspeed.comm.torch": _deepspeed_comm,
    "deepspeed.runtime.engine": _deepspeed_engine,
}
