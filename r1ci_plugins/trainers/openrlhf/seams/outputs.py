"""The loss's second term in RL: the mean cross-entropy of code outputs (the loss mask ``auxiliary``).

Upstream's ``Experience`` has one mask, and its actor gives no log-probs outside it. The samples' labels say which
tokens are code outputs. Hooks on actor and loss do the rest: the actor is asked for every log-prob and gives upstream
those of the action mask, and the loss gets the term added. Its mean is over the code outputs of the whole optimizer
step and all ranks, so it depends neither on the number of ranks nor on the micro-batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from r1ci_plugins.environment import prepare
from r1ci_plugins.rollout.run_folder import RunFolder
from r1ci_plugins.trainers.openrlhf.seams.samples import rows_of

_NATS, _TOKENS = "outputs_nats", "outputs_tokens"


@cache
def weight() -> float:
    """The term's weight in this process's run."""
    folder = RunFolder.of_this_process()
    prepared = prepare(folder.recipe, plugins=folder.read_run()["plugins"], command=None)
    return prepared.loss_mask().outputs_weight


def output_mask(experience: Any) -> Any:
    """Which tokens the term has: float, shape (B, A) or (A,). A sample without own tokens has none of them."""
    own = experience.action_mask
    mask = own.new_zeros(own.shape).float()
    rows = mask.reshape(-1, own.shape[-1])
    trained = own.reshape(-1, own.shape[-1]).any(dim=-1)
    for row, outcome in enumerate(rows_of([experience])):
        if outcome is not None and trained[row]:
            for start, end in outcome.outputs:
                rows[row, start - 1 : end - 1] = 1
    return mask


def count(buffer: Any, batches: Sequence[Sequence[int]], accumulation: int) -> None:
    """Let a buffer know the term's divisor in each micro-step; all ranks do that together.

    DeepSpeed divides every loss by the number of micro-batches of an optimizer step; the divisors make up for it.

    Args:
        buffer: The rank's replay buffer.
        batches: Its samples by micro-batch; numbers below 0 are inert samples.
        accumulation: Micro-batches per optimizer step.
    """
    tokens = [float(output_mask(item).sum()) for item in buffer.items]
    own = [sum(tokens[number] for number in batch if number >= 0) for batch in batches]
    windows = [sum(own[start : start + accumulation]) for start in range(0, len(own), accumulation)]
    buffer.output_divisors = [total / accumulation for total in _summed(buffer, windows) for _ in range(accumulation)]


def count_dynamic(buffer: Any) -> None:
    """As ``count``, for upstream's plan of dynamic batches, whose losses DeepSpeed does not divide."""
    windows: list[float] = []
    steps: list[int] = []
    total = 0.0
    for numbers, last in zip(buffer.dynamic_indices, buffer.dynamic_optimizer_step, strict=True):
        steps.append(len(windows))
        total += sum(float(output_mask(buffer.items[number]).sum()) for number in numbers)
        if last:
            windows.append(total)
            total = 0.0
    sums = _summed(buffer, windows)
    buffer.output_divisors = [sums[step] for step in steps]


def _summed(buffer: Any, own: list[float]) -> list[float]:
    """Sums over all ranks, place by place."""
    import torch.distributed as dist

    if not dist.is_initialized():
        return own
    group = buffer.strategy.ds_device_mesh["dp"].get_group()
    gathered: list[list[float]] = [[] for _ in range(dist.get_world_size(group))]
    dist.all_gather_object(gathered, own, group=group)
    return [sum(values) for values in zip(*gathered, strict=True)]


@dataclass
class SecondTerm:
    """One micro-step's share of the term.

    Attributes:
        used: Whether any micro-step of this training has one.
        nats: Summed over the micro-batch's code outputs.
        tokens: Their number.
        added: What the loss got.
    """

    used: bool
    nats: float = 0.0
    tokens: float = 0.0
    added: float = 0.0

    def report(self, status: dict[str, Any]) -> None:
        """Take the term out of the policy's loss again, and put it into metrics of its own."""
        if self.used:
            own = status["num_action_tokens"]  # by which upstream weighs the metric
            status["metrics"]["policy_loss"] = status["metrics"]["policy_loss"] - self.added
            status["metrics"] |= {_NATS: self.nats / own, _TOKENS: self.tokens / own}
            status["weights"] |= {_NATS: "token", _TOKENS: "token"}


@contextmanager
def second_term(trainer: Any, experience: Any, step: int) -> Iterator[SecondTerm]:
    """Add the term to the loss of the training step inside.

    Args:
        trainer: ``ActorPPOTrainer``.
        experience: The micro-batch; its tensors have shape (B, A) or (B, T).
        step: The micro-step's number.
    """
    import torch
    import torch.distributed as dist

    divisors = getattr(getattr(trainer, "replay_buffer", None), "output_divisors", [])
    term = SecondTerm(any(divisors))
    if not term.used or not divisors[step]:
        yield term
        return
    mask, own = output_mask(experience), experience.action_mask.float()
    ranks = dist.get_world_size(trainer.strategy.ds_device_mesh["dp"].get_group()) if dist.is_initialized() else 1
    factor = weight() * ranks / divisors[step]
    nats = None

    def ask(actor: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        sequences, action_mask, *rest = arguments
        return (sequences, torch.ones_like(action_mask), *rest), options

    def keep(actor: Any, arguments: tuple[Any, ...], result: Any) -> Any:
        nonlocal nats
        log_probs, output = result
        nats = -(log_probs * mask).sum()
        term.nats, term.tokens, term.added = nats.item(), float(mask.sum()), nats.item() * factor
        return log_probs * own, output

    def add(loss: Any, arguments: tuple[Any, ...], result: Any) -> Any:
        return result[0] + nats * factor, *result[1:]

    hooks = [
        trainer.actor.register_forward_pre_hook(ask, with_kwargs=True),
        trainer.actor.register_forward_hook(keep),
        trainer.actor_loss_fn.register_forward_hook(add),
    ]
    try:
        yield term
    finally:
        for hook in hooks:
            hook.remove()


def reported(status: Mapping[str, Any]) -> dict[str, Any]:
    """A training's metrics, with ``auxiliary_loss``, nats per token of code output, in place of its parts."""
    values = dict(status)
    nats, tokens = values.pop(_NATS, 0.0), values.pop(_TOKENS, 0.0)
    return values | ({"auxiliary_loss": nats / tokens} if tokens else {})
