"""Recorded trajectories as the data set of OpenRLHF's SFT trainer (``seams/sft.py`` puts it there)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1ci_plugins.errors import RecipeError, TrajectoryFileError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.trainers.openrlhf.plan import Plan, rank
from r1ci_plugins.training.loss_mask import LossMask
from r1ci_plugins.training.supervised import Example, Examples, make_examples

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ExampleTable:
    """Examples with as much of ``datasets.Dataset`` as upstream's SFT command uses."""

    examples: Sequence[Example]

    def __len__(self) -> int:
        return len(self.examples)

    def select(self, indices: Iterable[int]) -> ExampleTable:
        """Some of them (``--data.max_samples``)."""
        return ExampleTable([self.examples[index] for index in indices])


class TrajectoryDataset:
    """Stands for ``SFTDataset``. All lengths T include the prompt.

    Args:
        dataset: The examples; they fit ``--data.max_len`` already.
        tokenizer: The model's; only its padding token is used.
        max_length: Not used.
        strategy: Not used.
        options: Upstream's further options, which the launcher refuses where they would change anything.
    """

    def __init__(
        self, dataset: ExampleTable, tokenizer: Any, max_length: int, strategy: Any = None, **options: Any
    ) -> None:
        self._examples = dataset.examples
        self._padding: int = tokenizer.pad_token_id

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, attention mask and loss mask, shape (1, T) each; the loss mask at t is that of token t + 1."""
        import torch

        example = self._examples[index]
        token_ids = torch.tensor([example.token_ids], dtype=torch.long)
        loss_mask = torch.zeros_like(token_ids, dtype=torch.float32)
        for start, end in example.ranges:
            loss_mask[0, start - 1 : end - 1] = 1
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


def load_examples(plan: Plan, template: ChatTemplate, loss_mask: LossMask) -> dict[str, Sequence[Example]]:
    """Read, check, fit and mask the trajectory files of ``--data.dataset`` and ``--eval.dataset``.

    Args:
        plan: Of ``train_sft``.
        template: Of its model.
        loss_mask: The recipe's.

    Returns:
        Examples by path.

    Raises:
        TrajectoryFileError: A file cannot be read, or was made with another tokenizer.
        RecipeError: Too little is left to train on.
        LossMaskError: As ``make_examples``.
    """
    prepared, sft = plan.prepared, plan.prepared.recipe.sft
    assert sft is not None  # as make_plan checks
    found: dict[str, Sequence[Example]] = {}
    for flag in ("data.dataset", "eval.dataset"):
        if not prepared.flags.get(flag):
            continue
        path = str(prepared.flags[flag])
        try:
            made = make_examples(
                read_trajectories(Path(path)),
                template,
                loss_mask,
                max_tokens=int(prepared.flag("data.max_len")),
                too_long=sft.too_long,
                only_correct=sft.only_correct,
            )
        except TrajectoryFileError as error:
            where = error.where if error.where and path in error.where else f"{path}, {error.where}"
            fix = error.fix or "recipe key sft.trajectories names the file; `r1ci synthesize` makes one"
            raise TrajectoryFileError(error.what, where=where, fix=fix) from error
        if not rank():
            print(f"r1ci: {flag}: {made.describe()}", flush=True)
        _check_size(plan, path, made)
        found[path] = made.examples
    return found


def _check_size(plan: Plan, path: str, made: Examples) -> None:
    """OpenRLHF trains on full batches only, counted over all epochs; evaluation takes what there is."""
    batch, epochs = (int(plan.prepared.flag(name)) for name in ("train.batch_size", "train.max_epochs"))
    needed = math.ceil(batch / epochs) if path == plan.prepared.flags["data.dataset"] else 1
    if len(made.examples) < needed:
        raise RecipeError(
            f"{len(made.examples)} trajectories are left to train on, and a batch has {batch}",
            where=f"{path}: {made.describe()}",
            fix="give more trajectories, a smaller trainer.train.batch_size, a larger trainer.data.max_len, "
            "sft.too_long: cut_at_turn or sft.only_correct: false, as the line above suggests",
        )
