"""OpenRLHF's actor and critic processes: every rank takes the same optimizer steps, whatever the size of the batch.

Upstream's loader drops what does not fill a micro-batch and leaves what does not fill an optimizer step in the
gradients of the next one; ranks with unequal numbers of micro-batches wait for each other for ever.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf.seams import outputs
from r1ci_plugins.trainers.openrlhf.windows import INERT, deal

_NEARLY_NONE = 1e-9
"""Weight of a micro-batch that trains nothing in averages over micro-batches; upstream divides by their sum."""


def actor_ppo_train(self: Any, kl_ctl: float) -> dict[str, Any]:
    """Upstream's; its buffer learns what the loader needs to know."""
    _introduce(self)
    return outputs.reported(upstream[actor_ppo_train](self, kl_ctl))


def critic_ppo_train(self: Any) -> dict[str, Any]:
    """Upstream's; its buffer learns what the loader needs to know."""
    _introduce(self)
    return dict(upstream[critic_ppo_train](self))


def _introduce(trainer: Any) -> None:
    buffer = trainer.replay_buffer
    buffer.strategy = trainer.strategy
    buffer.trainings = getattr(buffer, "trainings", 0) + 1


def training_loader(buffer: Any, *, batch_size: int, shuffle: bool, **options: Any) -> Any:
    """Stands for ``DataLoader`` where upstream trains: it deals the buffer's samples to optimizer steps.

    Dynamic batches come from upstream's own plan (``setup_dynamic_batch``), which needs no dealing.
    """
    from torch.utils.data import DataLoader

    if buffer.dynamic_batch:
        outputs.count_dynamic(buffer)
        return DataLoader(buffer, batch_size=batch_size, shuffle=shuffle, **options)
    options.pop("drop_last")
    return DataLoader(_Samples(buffer.items), batch_sampler=_Deals(buffer, batch_size), **options)


class _Samples:
    """A rank's samples, and at ``INERT`` the inert one, made of the first."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: int) -> Any:
        return inert(self._items[0]) if number == INERT else self._items[number]


class _Deals:
    """A batch sampler: each iteration deals the samples again. All ranks make one together, to compare counts."""

    def __init__(self, buffer: Any, micro_batch: int) -> None:
        import torch.distributed as dist

        self._buffer, strategy = buffer, buffer.strategy
        trained = [bool(item.action_mask.any()) for item in buffer.items]
        self._trained, self._rank = [trained], 0
        if dist.is_initialized():
            group = strategy.ds_device_mesh["dp"].get_group()
            self._rank = dist.get_rank(group)
            self._trained = [[] for _ in range(dist.get_world_size(group))]
            dist.all_gather_object(self._trained, trained, group=group)
        # The same on all ranks: those that share a sequence or a layer must see the same samples.
        self._rng = random.Random(f"{strategy.seed} {buffer.trainings}")
        self._shape = {"accumulation": max(int(strategy.accumulated_gradient), 1), "micro_batch": micro_batch}
        self._batches: list[list[int]] = self._deal()

    def _deal(self) -> list[list[int]]:
        return deal(self._trained, self._rank, rng=self._rng, **self._shape)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        self._batches = self._deal()
        outputs.count(self._buffer, self._batches, self._shape["accumulation"])
        return iter(self._batches)


def inert(sample: Any) -> Any:
    """A sample of two tokens that trains nothing, made of an OpenRLHF ``Experience`` of one sample.

    Args:
        sample: Its step fields have shape (..., T) or, for those of actions, (..., T - 1).
    """
    cut = {}
    for field in fields(sample):
        value = getattr(sample, field.name)
        if value is not None and type(sample).is_step_tensor_field(field.name):
            cut[field.name] = value[..., : 2 if field.name in ("sequences", "attention_mask") else 1]
    cut["action_mask"] = cut["action_mask"] * 0
    return replace(sample, **cut)


def actor_training_step(self: Any, experience: Any, kl_ctl: float, step: int, *arguments: Any) -> dict[str, Any]:
    """Upstream's, whose averages are over the samples that are trained; a step that trains nothing has no weight."""
    if _is_empty_step(self, step):
        return {
            "metrics": {"policy_loss": 0.0},
            "weights": {"policy_loss": "token"},
            "num_samples": _NEARLY_NONE,
            "num_action_tokens": _NEARLY_NONE,
        }
    with outputs.second_term(self, experience, step) as term:
        status = upstream[actor_training_step](self, experience, kl_ctl, step, *arguments)
    rows = experience.action_mask.bool().any(dim=-1)
    for name, weight in status["weights"].items():
        value = status["metrics"][name]
        if weight == "sample" and hasattr(value, "new_zeros"):
            status["metrics"][name] = value[rows] if rows.any() else value.new_zeros(1)
    status["num_samples"] = max(float(rows.sum()), _NEARLY_NONE)
    status["num_action_tokens"] = max(status["num_action_tokens"], _NEARLY_NONE)
    term.report(status)
    return dict(status)


def critic_training_step(self: Any, experience: Any, step: int, *arguments: Any) -> dict[str, Any]:
    """Upstream's, but for a step that trains nothing."""
    if _is_empty_step(self, step):
        lr, norm = self.critic_scheduler.get_last_lr()[0], self.strategy.get_grad_norm(self.critic)
        return {"critic_loss": 0.0, "values": 0.0, "critic_lr": lr, "critic_grad_norm": norm}
    return dict(upstream[critic_training_step](self, experience, step, *arguments))


def _is_empty_step(trainer: Any, step: int) -> bool:
    """Whether no rank has anything to train in this dynamic batch's step; the optimizer would move all the same."""
    return bool(trainer.args.train.dynamic_batch_enable) and not trainer.replay_buffer.dynamic_batch_num_tokens[step]
