"""OpenRLHF 0.11.2 and vLLM 0.29 without a GPU: the places where torch, DeepSpeed and vLLM assume CUDA.

What OpenRLHF itself assumes stands in ``seams/devices.py`` and ``seams/weights.py``. ``install_if_no_cuda`` runs in
the driver, in each Ray worker, and (by the entry point ``vllm.general_plugins``) in the processes that vLLM spawns for
them.
"""

from __future__ import annotations

import os
from typing import Any

from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.trainers.import_hooks import Seam, install, upstream
from r1ci_plugins.trainers.openrlhf import seams
from r1ci_plugins.trainers.openrlhf.packed_linear import dispatch_cpu_unquantized_gemm
from r1ci_plugins.trainers.openrlhf.seams.devices import current_device, current_stream, set_device, synchronize


def install_if_no_cuda() -> None:
    """Register the seams of this module and OpenRLHF's for CPUs, unless there is CUDA. May be called repeatedly.

    Raises:
        MachineProblem: Upstream has moved one of the names.
    """
    if cpu_flags.cuda_available():
        return
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    install(_BACKEND)
    seams.install_without_cuda()


def install_in_vllm() -> None:
    """Entry point ``vllm.general_plugins``: in processes that vLLM spawned for a run of ours, and in no other vLLM."""
    if os.environ.get(cpu_flags.VARIABLE) == "1":
        install_if_no_cuda()


def create_model_config(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Upstream's configuration of a model, in float32 where the CPU is slow in bfloat16."""
    if self.dtype in ("auto", "bfloat16") and not cpu_flags.fast_bfloat16():
        self.dtype = "float32"
    return upstream[create_model_config](self, *args, **kwargs)


def clip_fp32_gradients(self: Any) -> None:
    """DeepSpeed's, which forgets the norm; the trainer would report 0."""
    from deepspeed.runtime.engine import clip_grad_norm_

    self._global_grad_norm = clip_grad_norm_(
        parameters=self.module.parameters(), max_norm=self.gradient_clipping(), mpu=self.mpu
    )


def build_shm_op() -> None:
    """DeepSpeed's would compile a kernel for minutes; None means that torch.distributed does the work."""


_BACKEND = (
    Seam("torch.cuda", "current_device", current_device, "the CPU"),
    Seam("torch.cuda", "set_device", set_device, "nothing to do"),
    Seam("torch.cuda", "synchronize", synchronize, "nothing to do"),
    Seam("torch.cuda", "current_stream", current_stream, "no streams"),
    Seam("vllm.engine.arg_utils", "EngineArgs.create_model_config", create_model_config, "float32 where it is faster"),
    Seam(
        "vllm.model_executor.layers.utils",
        "dispatch_cpu_unquantized_gemm",
        dispatch_cpu_unquantized_gemm,
        "weights may change after start-up",
    ),
    Seam("deepspeed.comm.torch", "build_shm_op", build_shm_op, "no C++ compiler needed"),
    Seam("deepspeed.runtime.engine", "DeepSpeedEngine.clip_fp32_gradients", clip_fp32_gradients, "the norm is kept"),
)
