"""OpenRLHF's losses: an empty loss mask means a loss of 0, not a division by zero."""

from __future__ import annotations

from typing import Any

from r1ci_plugins.trainers.import_hooks import upstream


def masked_mean(tensor: Any, mask: Any, dim: int | None = None) -> Any:
    """Upstream's masked mean, and 0 where the mask is empty."""
    if mask is None:
        return upstream[masked_mean](tensor, mask, dim)
    return (tensor * mask).sum(dim=dim) / mask.sum(dim=dim).clamp(min=1)


def optimizer_step_loss_norm(masks: Any, dp_group: Any, dp_size: int, gas: int) -> dict[str, Any]:
    """Upstream's, for batches of equal size."""
    return _at_least(1 / gas, upstream[optimizer_step_loss_norm](masks, dp_group, dp_size, gas))


def get_loss_batch_info(*arguments: Any, **options: Any) -> dict[str, Any]:
    """Upstream's, for dynamic batches."""
    return _at_least(1, upstream[get_loss_batch_info](*arguments, **options))


def _at_least(one: float, norms: dict[str, Any]) -> dict[str, Any]:
    """Divisors of the loss, no less than a single token's: with no trained token in the whole step the loss is 0."""
    return norms | {name: norms[name].clamp(min=one) for name in ("batch_num_tokens", "global_batch_size")}
