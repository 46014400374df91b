"""The task pack ``reasoning_gym``: 84 data sets of the reasoning-gym library."""

from __future__ import annotations

from collections.abc import Sequence

from r1ci_plugins import TaskPack, hookimpl
from r1ci_tasks_reasoning_gym.catalog import DATASETS
from r1ci_tasks_reasoning_gym.task import ReasoningGymTask


@hookimpl
def r1ci_task_packs() -> Sequence[TaskPack]:
    """The one pack of this distribution."""
    return [TaskPack("reasoning_gym", [ReasoningGymTask(name) for name in DATASETS])]
