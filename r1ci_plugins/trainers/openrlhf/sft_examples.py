"""From trajectory files to the examples that ``train_sft`` trains on (``seams/sft.py`` gives them to OpenRLHF)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from r1ci_plugins.errors import RecipeError, TrajectoryFileError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.trainers.openrlhf.plan import Plan, rank
from r1ci_plugins.training.loss_mask import LossMask
from r1ci_plugins.training.supervised import Example, Examples, make_examples


def load_examples(plan: Plan, template: ChatTemplate, loss_mask: LossMask) -> dict[str, Sequence[Example]]:
    """Read, check, fit and mask the trajectory files of ``--data.dataset`` and ``--eval.dataset``.

    Args:
        plan: A plan of ``train_sft``.
        template: The chat template of the plan's model.
        loss_mask: The mask that the recipe names.

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
