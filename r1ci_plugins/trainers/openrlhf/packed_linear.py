"""vLLM's packed CPU kernels, packed again after a weight has changed; vLLM packs once and forgets the weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from r1ci_plugins.trainers.import_hooks import upstream


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


def dispatch_cpu_unquantized_gemm(layer: Any, remove_weight: bool) -> None:
    """Upstream's function of this name, with a ``PackedLinear`` where it packs."""
    pack = upstream[dispatch_cpu_unquantized_gemm]
    if layer.weight.ndim == 2 and not layer.weight.is_meta:
        PackedLinear(layer, pack)
    else:  # a convolution or a placeholder: vLLM sets no kernel
        pack(layer, remove_weight)
