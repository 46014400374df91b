"""Which tasks a recipe names, and which questions of them it wants."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal, get_args

from r1ci_plugins.errors import RecipeError, suggest
from r1ci_plugins.plugins.packs import missing_pack
from r1ci_plugins.questions.splits import Draw
from r1ci_plugins.questions.suite import load_suite
from r1ci_plugins.recipe.schema import Recipe, TaskGroup
from r1ci_plugins.tasks.task import Task, TaskPack

Purpose = Literal["train", "eval"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def task_patterns(group: TaskGroup) -> list[str]:
    """Names and patterns of a group's tasks, those of a suite looked up.

    Raises RecipeError if the suite cannot be read, or nothing of it is left.
    """
    if group.tasks is not None:
        return group.tasks
    assert group.suite is not None and group.part is not None  # as validated
    return load_suite(group.suite).tasks(group.part, group.without)


def pack_names(recipe: Recipe) -> set[str] | None:
    """The task packs that a recipe names; None when a pattern may match any pack.

    Raises RecipeError as ``task_patterns`` does.
    """
    groups = [*recipe.tasks.train, *recipe.tasks.eval]
    names = {pattern.partition("/")[0] for group in groups for pattern in task_patterns(group)}
    return None if any(set("*?[") & set(name) for name in names) else names


def resolve_tasks(group: TaskGroup, packs: Mapping[str, TaskPack]) -> list[tuple[TaskPack, Task]]:
    """The tasks that a group names, each once, in the patterns' order and then the packs' own.

    Raises:
        PluginError: If a pack is not installed.
        RecipeError: If a pattern matches no task, or a task has no such difficulty.
    """
    everything = {f"{pack.name}/{task.name}": (pack, task) for pack in packs.values() for task in pack.tasks}
    chosen: dict[str, tuple[TaskPack, Task]] = {}
    for pattern in task_patterns(group):
        pack, slash, _ = pattern.partition("/")
        if slash and pack not in packs and not set("*?[") & set(pack):
            raise missing_pack(pack, packs)
        matches = [pattern] if pattern in everything else [n for n in everything if fnmatchcase(n, pattern)]
        if not matches and group.suite is not None:
            raise RecipeError(
                f"the suite {group.suite!r} names {pattern}, which the installed pack {pack!r} does not have",
                where="recipe key tasks, suite",
                fix=f"install the pack's version that has it, or leave it out by without: [{pattern}]",
            )
        if not slash or not matches:
            same_name = [name for name in everything if name.endswith(f"/{pattern}")]
            in_pack = [name for name in everything if name.startswith(f"{pack}/")] or list(everything)
            raise RecipeError(
                f"no task is named {pattern!r}",
                where="recipe key tasks",
                fix=f"did you mean {same_name[0]!r}?" if same_name else suggest(pattern, in_pack),
            )
        chosen |= {name: everything[name] for name in matches}
    for name, (_, task) in chosen.items():
        if group.difficulty is not None and group.difficulty >= task.levels:
            raise RecipeError(
                f"{name} has no difficulty {group.difficulty}",
                where="recipe key tasks",
                fix=f"use a level from 0 to {task.levels - 1}, or leave difficulty out",
            )
    return list(chosen.values())


def resolve_draws(recipe: Recipe, purpose: Purpose, packs: Mapping[str, TaskPack]) -> list[Draw]:
    """The questions that a recipe wants to train on or to hold out. Raises as ``resolve_tasks``."""
    return [
        Draw(pack.name, task.name, group.split, recipe.seed, group.count, group.difficulty)
        for group in (recipe.tasks.train if purpose == "train" else recipe.tasks.eval)
        for pack, task in resolve_tasks(group, packs)
    ]
