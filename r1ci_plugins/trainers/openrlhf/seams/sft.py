"""OpenRLHF's SFT: trajectories are its data set, and each step leaves a line of ``metrics.jsonl``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from r1ci_plugins.rollout.run_folder import RunFolder, append_line
from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.training.supervised import Example

if TYPE_CHECKING:
    import torch

log = logging.getLogger("r1ci")

examples: dict[str, Sequence[Example]] = {}
"""What this process trains and evaluates on, by the file's path, as in ``--data.dataset`` and ``--eval.dataset``."""


outputs_weight = 0.0
"""Weight of the loss's second term, the mean cross-entropy of code outputs."""

TRAINED, PREDICTED = 1.0, 2.0
_INERT = Example((0, 0), ())


@dataclass(frozen=True)
class ExampleTable:
    """Examples with as much of ``datasets.Dataset`` as upstream's SFT command uses.

    Attributes:
        examples: In order.
        trains: Whether they are trained on, not only evaluated.
    """

    examples: Sequence[Example]
    trains: bool = False

    def __len__(self) -> int:
        return len(self.examples)

    def select(self, indices: Iterable[int]) -> ExampleTable:
        """Some of them (``--data.max_samples``)."""
        return replace(self, examples=[self.examples[index] for index in indices])


class TrajectoryDataset:
    """Stands for ``SFTDataset``. All lengths T include the prompt.

    What is trained on is filled up to whole optimizer steps with examples of two tokens that train nothing: upstream
    leaves out what does not fill a step, at the end of each epoch and of the run.

    In the loss mask a trained token is ``TRAINED`` and one of the loss's second term ``PREDICTED``.

    Args:
        dataset: The examples; they fit ``--data.max_len`` already.
        tokenizer: The model's; only its padding token is used.
        max_length: Not used.
        strategy: Its ``args.train.batch_size`` is an optimizer step's.
        options: Upstream's further options, which the launcher refuses where they would change anything.
    """

    def __init__(
        self, dataset: ExampleTable, tokenizer: Any, max_length: int, strategy: Any = None, **options: Any
    ) -> None:
        step = strategy.args.train.batch_size if dataset.trains else 1
        self._examples = [*dataset.examples, *[_INERT] * (-len(dataset.examples) % step)]
        self._padding: int = tokenizer.pad_token_id

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, attention mask and loss mask, shape (1, T) each; the loss mask at t is that of token t + 1."""
        import torch

        example = self._examples[index]
        token_ids = torch.tensor([example.token_ids], dtype=torch.long)
        loss_mask = torch.zeros_like(token_ids, dtype=torch.float32)
        for ranges, sign in ((example.ranges, TRAINED), (example.outputs, PREDICTED)):
            for start, end in ranges:
                loss_mask[0, start - 1 : end - 1] = sign
        return token_ids, torch.ones_like(token_ids), loss_mask

    def collate_fn(
        self, items: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Padded on the right to the longest: shape (B, T) each. With packing, upstream's model drops the padding."""
        from openrlhf.utils.utils import zero_pad_sequences

        token_ids, attention_masks, loss_masks = (list(column) for column in zip(*items, strict=True))
        return (
            zero_pad_sequences(token_ids, "right", self._padding),
            zero_pad_sequences(attention_masks, "right"),
            zero_pad_sequences(loss_masks, "right"),
        )


def blending_datasets(datasets: str, *arguments: Any, **options: Any) -> ExampleTable:
    """The examples of a trajectory file; upstream would read and mix data sets."""
    # Upstream limits the number of training examples only.
    return ExampleTable(examples[datasets], trains="max_count" in options)


def iter_grad_accum_global_norm(
    window: Sequence[Any], strategy: Any, accumulated_gradient: int, mask_of: Callable[[Any], Any]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Upstream's divisors of one optimizer step's loss, and that of its second term."""
    norms = upstream[iter_grad_accum_global_norm]
    signs = {
        sign: list(norms(window, strategy, accumulated_gradient, lambda item, sign=sign: mask_of(item) == sign))
        for sign in ((TRAINED, PREDICTED) if outputs_weight else (TRAINED,))
    }
    for place, (item, info) in enumerate(signs[TRAINED]):
        second = {"num_predicted": signs[PREDICTED][place][1]["batch_num_tokens"]} if outputs_weight else {}
        yield item, info | second


class CountingLoss:
    """Upstream's ``SFTLoss`` and the second term; counts tokens and nats of this process until ``take`` is called."""

    def __init__(self) -> None:
        self._loss = upstream[CountingLoss]()
        self._counts = Counter[str]()

    def __call__(self, per_token_log_probs: Any, loss_mask: Any, num_predicted: Any = None, **options: Any) -> Any:
        """The loss of a batch, 0-dimensional; the second term is left out while evaluating.

        Args:
            per_token_log_probs: Shape (B, T).
            loss_mask: Shape (B, T), of 0, ``TRAINED`` and ``PREDICTED``.
            num_predicted: Divisor of the second term: its tokens in the optimizer step over all ranks.
            options: Upstream's.
        """
        trained = loss_mask == TRAINED
        loss = self._loss(per_token_log_probs, trained, **options)
        if per_token_log_probs.requires_grad:  # not while evaluating
            self._counts["tokens"] += trained.sum().item()
        if num_predicted is not None:
            predicted = loss_mask == PREDICTED
            nats = -(per_token_log_probs * predicted).sum()
            loss = loss + outputs_weight * nats / num_predicted * options["dp_size"]
            self._counts["predicted"] += predicted.sum().item()
            self._counts["nats"] += nats.item()
        return loss

    def take(self) -> dict[str, float]:
        """What was trained since the last call: tokens, predicted tokens and their nats."""
        taken = {name: float(self._counts[name]) for name in ("tokens", "predicted", "nats")}
        self._counts.clear()
        return taken


def save_logs_and_checkpoints(
    self: Any, args: Any, global_step: int, step_bar: Any, logs_dict: Any = None, client_states: Any = None
) -> None:
    """After each step: a line of ``metrics.jsonl``, then upstream's logs and checkpoints."""
    taken = self.strategy.all_reduce(self.loss_fn.take(), op="sum")
    if taken["predicted"]:
        logs_dict = {**(logs_dict or {}), "auxiliary_loss": taken["nats"] / taken["predicted"]}
    if self.strategy.is_rank_0():
        numbers = {name: value for name, value in (logs_dict or {}).items() if isinstance(value, int | float)}
        line = {"step": global_step, "trained_tokens": int(taken["tokens"]), **numbers}
        try:
            append_line(RunFolder.of_this_process().metrics, line)
        except OSError as error:
            log.warning("cannot write metrics: %s. Training goes on.", error)
    upstream[save_logs_and_checkpoints](self, args, global_step, step_bar, logs_dict, client_states)
