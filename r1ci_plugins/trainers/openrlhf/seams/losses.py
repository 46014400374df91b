"""OpenRLHF's losses: an empty loss mask means a loss of 0, not a division by zero."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from r1ci_plugins.trainers.import_hooks import replace

_upstream: dict[str, Callable[..., Any]] = {}


def models_utils(module: ModuleType) -> None:
    """Adapt ``openrlhf.models.utils``."""
    _upstream["masked_mean"] = replace(module, "masked_mean", masked_mean)


def masked_mean(tensor: Any, mask: Any, dim: int | None = None) -> Any:
    """Upstream's masked mean, and 0 where the mask is empty."""
    if mask is None:
        return _upstream["masked_mean"](tensor, mask, dim)
    return (tensor * mask).sum(dim=dim) / mask.sum(dim=dim).clamp(min=1)


def loss_utils(module: ModuleType) -> None:
    """Adapt ``openrlhf.utils.loss_utils``."""
    for name in ("_optimizer_step_loss_norm", "get_loss_batch_info"):
        _upstream[name] = replace(module, name, globals()[name])


def _optimizer_step_loss_norm(masks: Any, dp_group: Any, dp_size: int, gas: int) -> dict[str, Any]:
    return _at_least(1 / gas, _upstream["_optimizer_step_loss_norm"](masks, dp_group, dp_size, gas))


def get_loss_batch_info(*arguments: Any, **options: Any) -> dict[str, Any]:
    """Upstream's, for dynamic batches."""
    return _at_least(1, _upstream["get_loss_batch_info"](*arguments, **options))


def _at_least(one: float, norms: dict[str, Any]) -> dict[str, Any]:
    """Divisors of the loss, no less than a single token's: with no trained token in the whole step the loss is 0."""
    return norms | {name: norms[name].clamp(min=one) for name in ("batch_num_tokens", "global_batch_size")}
