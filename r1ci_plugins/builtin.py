"""The built-in behaviour, registered as the plugin ``r1ci`` through the same hooks as anybody else's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import r1ci_plugins.trainers.openrlhf
from r1ci_plugins.errors import RecipeError, suggest
from r1ci_plugins.hookspecs import hookimpl
from r1ci_plugins.protocol.answer_format import AnswerFormat, BoxedFormat, NaturalFormat, TagsFormat
from r1ci_plugins.protocol.tool_calls import ToolCallsFormat
from r1ci_plugins.rewards.terms import Correctness, Efficiency, Format, RewardTerm
from r1ci_plugins.rewards.verifier import Verifier, ask_task
from r1ci_plugins.rollout.run_folder import RunFolder
from r1ci_plugins.sandbox.backends.bwrap import BubblewrapSandbox
from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox
from r1ci_plugins.sandbox.backends.rlimits import RlimitsSandbox
from r1ci_plugins.sandbox.contract import Sandbox
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED, LossMask, auxiliary

if TYPE_CHECKING:
    from r1ci_plugins.recipe.schema import Recipe


@hookimpl
def r1ci_answer_formats() -> Mapping[str, Callable[..., AnswerFormat]]:
    """The paper's natural format, and those it is compared with."""
    return {"natural": NaturalFormat, "tags": TagsFormat, "boxed": BoxedFormat, "tool_calls": ToolCallsFormat}


# Firejail is the default; bubblewrap and bare resource limits are used only where a recipe names them.
_SANDBOXES: Mapping[str, Callable[..., Sandbox]] = {
    "firejail": FirejailSandbox,
    "bwrap": BubblewrapSandbox,
    "rlimits": RlimitsSandbox,
}


@hookimpl
def r1ci_sandboxes() -> Mapping[str, Callable[..., Sandbox]]:
    """Those of one machine, and ``ray``: one of them on several."""
    return {**_SANDBOXES, "ray": _ray_sandbox}


def _ray_sandbox(
    *,
    concurrency: int | None = None,
    python: str | None = None,
    backend: str = "firejail",
    options: Mapping[str, Any] = MappingProxyType({}),
    resource: str = "r1ci_sandbox",
    local: bool = True,
) -> Sandbox:
    """See ``RaySandbox``; ``backend`` and ``options`` are those of each pool."""
    from r1ci_plugins.plugins.options import checked_options
    from r1ci_plugins.sandbox.backends.ray import RaySandbox

    where = "recipe key sandbox.options"
    if backend not in _SANDBOXES:
        raise RecipeError(
            f"there is no sandbox {backend!r} to run on Ray",
            where=f"{where}.backend",
            fix=suggest(backend, _SANDBOXES),
        )
    make = _SANDBOXES[backend]
    checked = checked_options(make, options, what=f"sandbox {backend!r}", where=f"{where}.options")
    return RaySandbox(make, checked, concurrency=concurrency, python=python, resource=resource, local=local)


@hookimpl
def r1ci_verifiers() -> Mapping[str, Callable[..., Verifier]]:
    """The task's own checker."""
    return {"task": lambda: ask_task}


@hookimpl
def r1ci_reward_terms() -> Mapping[str, Callable[..., RewardTerm]]:
    """The terms of the paper, v1 and v2."""
    return {"correctness": Correctness, "format": Format, "efficiency": Efficiency}


@hookimpl
def r1ci_loss_masks() -> Mapping[str, Callable[..., LossMask]]:
    """Code outputs masked (default), trained (the paper's ablation), or in a term of the loss of their own."""
    return {"masked": lambda: MASKED, "unmasked": lambda: UNMASKED, "auxiliary": auxiliary}


@hookimpl
def r1ci_trainer_arguments(recipe: Recipe, command: str) -> Mapping[str, object]:
    """Model, seed, prompts, folders and, for RL, our agent."""
    folder = RunFolder(Path(recipe.output_dir).absolute())
    common = {
        "train.seed": recipe.seed,
        "ckpt.output_dir": str(folder.model),
        "ckpt.path": str(folder.checkpoints),
        "logger.tensorboard_dir": str(folder.tensorboard),
        "logger.wandb.run_name": folder.path.name,
    }
    # Ray's workers may start in another folder.
    model = str(Path(recipe.model).absolute()) if Path(recipe.model).is_dir() else recipe.model
    if command == "train_sft":
        trajectories = str(Path(recipe.sft.trajectories).absolute()) if recipe.sft else None
        return common | {"model.model_name_or_path": model, "data.dataset": trajectories}
    agent = Path(r1ci_plugins.trainers.openrlhf.__path__[0]) / "agent_executor.py"
    if recipe.curriculum is not None:
        common["train.num_episodes"] = 1  # its sampler repeats what has to be repeated
    return common | {
        "actor.model_name_or_path": model,
        "train.agent_func_path": str(agent),
        "data.prompt_dataset": str(folder.prompts("train")),
        "data.input_key": "input",
        "data.label_key": "label",
        "eval.dataset": str(folder.prompts("eval")) if recipe.tasks.eval else None,
    }
