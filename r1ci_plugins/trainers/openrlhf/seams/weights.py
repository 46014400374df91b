"""New weights from OpenRLHF's trainer to vLLM: LoRA merged in, and carried by Gloo where there is no NCCL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf.packed_linear import PackedLinear


def broadcast_to_vllm(self: Any) -> None:
    """Upstream's; of a model with LoRA it sends the merged weights, one transformer layer at a time.

    Upstream would send PEFT's own parameters, whose names vLLM refuses. The trainer's model does not change.
    """
    engine = self.actor.model
    model = engine.module
    if not hasattr(model, "peft_config"):
        upstream[broadcast_to_vllm](self)
        return
    import deepspeed
    from torch import nn

    class Merged(nn.Module):
        def __init__(self, weights: dict[str, Any]) -> None:
            super().__init__()
            self._weights = weights

        def named_parameters(self, *arguments: Any, **options: Any) -> Any:
            return self._weights.items()

    zero3 = self.args.ds.zero_stage == 3
    try:
        for sources in lora_sources(model):
            parameters = [value for module, _ in sources.values() for value in module.parameters()]
            with deepspeed.zero.GatheredParameters(parameters, enabled=zero3):
                weights = {name: merged_weight(module, own) for name, (module, own) in sources.items()}
            for weight in weights.values():
                weight.ds_shape = weight.shape  # what upstream asks of a ZeRO-3 parameter
            engine.module = Merged(weights)
            upstream[broadcast_to_vllm](self)
    finally:
        engine.module = model


def lora_sources(model: Any) -> Iterator[dict[str, tuple[Any, str]]]:
    """Where the weights of the plain model come from in a PEFT model, a transformer layer at a time.

    Returns:
        By the name in the plain model: the module, which may be a LoRA layer, and the name in it.
    """
    from peft.tuners.lora import LoraLayer

    plain = model.get_base_model()
    layers = [name for name, module in plain.named_modules() if isinstance(module, LoraLayer)]
    groups: dict[str, dict[str, tuple[Any, str]]] = {}
    seen: set[int] = set()  # tied weights are sent once, as upstream does
    for path, module in plain.named_modules():
        if any(path.startswith(f"{layer}.") for layer in layers):
            continue
        owner = module.get_base_layer() if isinstance(module, LoraLayer) else module
        for own, value in owner.named_parameters(recurse=False):
            if id(value) not in seen:
                seen.add(id(value))
                name = f"{path}.{own}"
                layer = re.match(r".*?\.\d+(?=\.)", name)
                groups.setdefault(layer.group() if layer else name, {})[name] = (module, own)
    yield from groups.values()


def merged_weight(module: Any, name: str) -> Any:
    """A parameter of a module without LoRA; a LoRA layer's weight with its adapters added. A new tensor."""
    from peft.tuners.lora import LoraLayer

    lora = isinstance(module, LoraLayer)
    value = getattr(module.get_base_layer() if lora else module, name).detach().clone()
    if lora and name == "weight":
        for adapter in module.active_adapters:
            value += module.get_delta_weight(adapter).detach().to(value.dtype)
    return value


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
