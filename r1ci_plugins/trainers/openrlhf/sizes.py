"""The sizes of a prepared recipe, checked and described: what the launcher and ``r1ci run`` ask of the arithmetic."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from r1ci_plugins.environment import Prepared
from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.rollout.trajectory_file import count_lines
from r1ci_plugins.trainers.openrlhf import arithmetic, memory
from r1ci_plugins.trainers.openrlhf.arithmetic import Settings
from r1ci_plugins.trainers.openrlhf.machine import Machine, this_machine
from r1ci_plugins.trainers.openrlhf.model_shape import find_model
from r1ci_plugins.trainers.openrlhf.size_checks import Case, refuse


def check_sizes(
    prepared: Prepared,
    machine: Machine | None = None,
    *,
    processes: int | None = None,
    model: str | None = None,
    stage: str = "",
) -> Case:
    """Check that a recipe's sizes go together.

    Args:
        prepared: With a command.
        machine: The one given by ``--for``; None means this one.
        processes: Of ``train_sft``; None means as many as its launcher started, or one per GPU of ``machine``.
        model: The model that the policy's folder will come from, where it does not exist yet.
        stage: The stage of a staged recipe.

    Raises:
        RecipeError: They do not.
        MachineProblem: There are too few GPUs.
    """
    if processes is None:
        processes = machine.gpus if machine else int(os.environ.get("WORLD_SIZE") or 1)
    if machine is None and not prepared.cpu:
        nodes = 1 if prepared.command == "train_sft" else int(prepared.flag("actor.num_nodes"))
        started = "WORLD_SIZE" in os.environ  # its launcher knows the nodes
        machine = this_machine() if nodes == 1 and not started else None
    case = Case(Settings.of(prepared, processes), find_model(model or prepared.model), machine, stage)
    refuse(case)
    return case


def describe_sizes(case: Case, prepared: Prepared) -> list[str]:
    """The arithmetic of a run and its memory, in lines."""
    lines = arithmetic.describe(case.settings, _material(prepared))
    context = f"context: {case.settings['data.max_len']} tokens"
    known = f"the model takes {case.model.context}" if case.model.context else "what the model takes is not known"
    lines += [f"{context}; {known}", *(f"note: {note}" for note in case.model.notes)]
    if prepared.cpu:
        return [*lines, "memory: not estimated on the CPU backend, where trainer and vLLM share the machine's memory"]
    return [*lines, *memory.describe(case)]


def _material(prepared: Prepared) -> int | None:
    """Prompts or trajectories to train on; None if they are not there yet."""
    if prepared.command == "train_ppo":
        if prepared.recipe.curriculum is not None:
            return prepared.recipe.curriculum.all_steps * int(prepared.flag("rollout.batch_size"))
        return sum(draw.count for draw in prepared.draws("train"))
    path = Path(str(prepared.flags["data.dataset"]))
    try:
        return count_lines(path) if path.is_file() else None
    except TrajectoryFileError:
        return None


def launched_processes(launcher: str) -> int:
    """Processes that a launcher's command line starts, as torchrun and DeepSpeed have it; 1 where it says none."""
    text = " ".join(shlex.split(launcher))
    count = 1
    for option in (r"--nproc[_-]per[_-]node|--num_gpus|--num_accelerators", r"--nnodes|--num_nodes"):
        found = re.search(rf"(?:{option})[= ]([0-9]+)(?: |$)", text)
        count *= max(1, int(found[1])) if found else 1
    return count
