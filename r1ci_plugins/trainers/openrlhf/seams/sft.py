"""OpenRLHF's SFT trainer: its data set is a trajectory file, and each step leaves a line of ``metrics.jsonl``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from r1ci_plugins.rollout.run_folder import RunFolder, append_line
from r1ci_plugins.trainers.import_hooks import install as install_hooks
from r1ci_plugins.trainers.import_hooks import replace
from r1ci_plugins.trainers.openrlhf.sft_dataset import ExampleTable, TrajectoryDataset
from r1ci_plugins.training.supervised import Example

log = logging.getLogger("r1ci")


def install(examples: Mapping[str, Sequence[Example]]) -> None:
    """Replace upstream's data set, and count what it trains, as its modules are imported in this process.

    Args:
        examples: By the file's path, as in ``--data.dataset`` and ``--eval.dataset``.
    """

    def blending_datasets(datasets: str, *arguments: Any, **options: Any) -> ExampleTable:
        return ExampleTable(examples[datasets])

    def utils(module: ModuleType) -> None:
        replace(module, "blending_datasets", blending_datasets)

    install_hooks(
        {
            "openrlhf.datasets.utils": utils,
            "openrlhf.datasets": datasets_package,
            "openrlhf.trainer.sft_trainer": sft_trainer,
        }
    )


def datasets_package(module: ModuleType) -> None:
    """Adapt ``openrlhf.datasets``."""
    replace(module, "SFTDataset", TrajectoryDataset)


def sft_trainer(module: ModuleType) -> None:
    """Adapt ``openrlhf.trainer.sft_trainer``."""

    class CountingLoss:
        """Upstream's loss; adds up the trained tokens of this process until ``take`` is called."""

        def __init__(self) -> None:
            self._loss = upstream_loss()
            self._trained: float = 0.0

        def __call__(self, per_token_log_probs: Any, loss_mask: Any, **options: Any) -> Any:
            if per_token_log_probs.requires_grad:  # not while evaluating
                self._trained += loss_mask.sum().item()
            return self._loss(per_token_log_probs, loss_mask, **options)

        def take(self) -> float:
            trained, self._trained = self._trained, 0.0
            return trained

    def save_logs_and_checkpoints(
        self: Any, args: Any, global_step: int, step_bar: Any, logs_dict: Any = None, client_states: Any = None
    ) -> None:
        trained = self.strategy.all_reduce({"tokens": self.loss_fn.take()}, op="sum")["tokens"]
        if self.strategy.is_rank_0():
            numbers = {name: value for name, value in (logs_dict or {}).items() if isinstance(value, int | float)}
            line = {"step": global_step, "trained_tokens": int(trained), **numbers}
            try:
                append_line(RunFolder.of_this_process().metrics, line)
            except OSError as error:
                log.warning("cannot write metrics: %s. Training goes on.", error)
        upstream_save(self, args, global_step, step_bar, logs_dict, client_states)

    upstream_loss = replace(module, "SFTLoss", CountingLoss)
    upstream_save = replace(module.SFTTrainer, "save_logs_and_checkpoints", save_logs_and_checkpoints)
