"""New weights from OpenRLHF's trainer to vLLM without CUDA: Gloo carries them in NCCL's place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf.packed_linear import PackedLinear


class GlooBroadcast:
    """The trainer's rank 0 sends, vLLM's workers receive. Stands for vLLM's ``PyNcclCommunicator``.

    Args:
        host: Where rank 0 listens.
        port: The port it listens on.
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


def init_process_group(self: Any, *args: Any, **kwargs: Any) -> None:
    """Upstream's, for models whose weights can change."""
    _check_weights_can_change(self.model_runner.model)
    upstream[init_process_group](self, *args, **kwargs)


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
