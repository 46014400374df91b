"""What every process of a run does first: the driver calls it, Ray calls it in each worker."""

from __future__ import annotations

from r1ci_plugins.trainers.openrlhf import cpu_backend, seams


def install() -> None:
    """Install the CPU backend (where the launcher found no GPU) and the seams. Imports nothing heavy."""
    cpu_backend.install_if_no_cuda()
    seams.install()
