"""The GPUs that a run is planned for: those given by ``--for``, or those of this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from r1ci_plugins.errors import RecipeError

_FORM = re.compile(r"(?:([0-9]+)x)?([0-9]+)x([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Machine:
    """One machine or several alike.

    Attributes:
        nodes: Number of machines.
        gpus_per_node: GPUs of each.
        gib: Memory of each GPU, GiB; None if it is not known. An "80 GB" GPU has 80 GiB but for a few hundred MiB.
    """

    nodes: int
    gpus_per_node: int
    gib: int | None

    @property
    def gpus(self) -> int:
        """All GPUs."""
        return self.nodes * self.gpus_per_node

    def __str__(self) -> str:
        memory = "" if self.gib is None else f" of {self.gib} GB"
        nodes = "" if self.nodes == 1 else f"{self.nodes} nodes with "
        return f"{nodes}{self.gpus_per_node} GPU{'s' * (self.gpus_per_node != 1)}{memory}"


def read_machine(text: str, option: str = "--for") -> Machine:
    """The value of ``--for`` or another option: ``8x80`` is 8 GPUs of 80 GB, ``2x8x80`` two nodes with such GPUs.

    Raises:
        RecipeError: It is neither.
    """
    found = _FORM.fullmatch(text.strip()) if text.isascii() else None
    numbers = [int(number) for number in found.groups(default="1")] if found else []
    if not numbers or min(numbers) < 1 or max(numbers) > 100_000:
        raise RecipeError(
            f"{text!r} is no machine",
            where=option,
            fix=f"write GPUs x GB, as in {option} 8x80, or nodes x GPUs x GB, as in {option} 2x8x80",
        )
    return Machine(*numbers)


def planned_machine(text: str | None, *, dry_run: bool) -> Machine | None:
    """The value of ``--for``, which goes with a dry run only; None if it is not given.

    Raises:
        RecipeError: It is no machine, or something would be started.
    """
    if text is None:
        return None
    if not dry_run:
        raise RecipeError("--for plans for another machine; it starts nothing", where="--for", fix="add --dry-run")
    return read_machine(text)


def this_machine() -> Machine | None:
    """The GPUs of this machine, without touching CUDA.

    None where their number is not known: without NVIDIA's devices, and where a Ray cluster may have more of them.
    """
    if os.environ.get("RAY_ADDRESS") or Path("/tmp/ray/ray_current_cluster").exists():
        return None
    count = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return Machine(1, count, None) if count else None
