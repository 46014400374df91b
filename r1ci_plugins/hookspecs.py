"""Every extension point, on one page.

A plugin is a module (or object) with functions marked ``@r1ci_plugins.hookimpl`` whose names are below, announced by
an entry point: group ``r1ci.plugins`` for ``--plugin NAME``, group ``r1ci.task_packs`` for a task pack of the entry
point's name (found without ``--plugin``; only its ``r1ci_task_packs`` counts). Hooks run once at start-up and only
register things; nothing goes through pluggy inside a rollout. A factory is any callable whose keyword arguments are
the options a recipe may give it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from r1ci_plugins.protocol.answer_format import AnswerFormat
    from r1ci_plugins.recipe.schema import Recipe
    from r1ci_plugins.rewards.terms import RewardTerm
    from r1ci_plugins.rewards.verifier import Verifier
    from r1ci_plugins.rollout.trajectory import Trajectory
    from r1ci_plugins.sandbox.contract import Sandbox
    from r1ci_plugins.tasks.task import TaskPack
    from r1ci_plugins.training.loss_mask import LossMask

hookspec = pluggy.HookspecMarker("r1ci")
hookimpl = pluggy.HookimplMarker("r1ci")


@hookspec
def r1ci_task_packs() -> Sequence[TaskPack]:  # type: ignore[empty-body]
    """Task packs: a name and its tasks. See ``r1ci_plugins.tasks.task`` for a complete example."""


@hookspec
def r1ci_answer_formats() -> Mapping[str, Callable[..., AnswerFormat]]:  # type: ignore[empty-body]
    """Answer formats by name, for ``protocol.answer_format``: how a model marks code and its final answer."""


@hookspec
def r1ci_sandboxes() -> Mapping[str, Callable[..., Sandbox]]:  # type: ignore[empty-body]
    """Sandbox backends by name, for ``sandbox.backend``.

    Called with the recipe's options and with ``concurrency`` (programs at a time; None: one per core) and ``python``
    (path of the interpreter that runs the programs; None: the running one).
    """


@hookspec
def r1ci_verifiers() -> Mapping[str, Callable[..., Verifier]]:  # type: ignore[empty-body]
    """Verifiers by name, for ``verifier.name``: ``(task, question, answer) -> Score``, run in a killable worker."""


@hookspec
def r1ci_reward_terms() -> Mapping[str, Callable[..., RewardTerm]]:  # type: ignore[empty-body]
    """Reward terms by name, for ``rewards``: ``trajectory -> float``; the reward is their sum."""


@hookspec
def r1ci_loss_masks() -> Mapping[str, Callable[..., LossMask]]:  # type: ignore[empty-body]
    """Loss masks by name, for ``mask.code_outputs``: a ``LossMask``, or ``trajectory -> ranges of trained tokens``.

    A plain function may train sampled tokens only; ``LossMask(function, sampled_only=False)`` says otherwise.
    """


@hookspec
def r1ci_trainer_arguments(recipe: Recipe, command: str) -> Mapping[str, object]:  # type: ignore[empty-body]
    """OpenRLHF flags (dotted names without dashes) that this plugin sets; the recipe and the user override them.

    ``command`` is ``train_ppo`` or ``train_sft``.
    """


@hookspec
def r1ci_trajectory_finished(trajectory: Trajectory) -> None:
    """Observe one finished trajectory, in the process that generated it. An exception is logged, never raised."""
