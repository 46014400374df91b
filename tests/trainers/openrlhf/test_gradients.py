"""The same batch gives the same gradient on any number of ranks, packed or padded, with exclusions in it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from r1ci_plugins.recipe import cpu_flags

SHAPES = ("1-padded", "2-padded", "3-padded", "1-packed", "2-packed")
pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="needs OpenRLHF: run `make setup`"),
    pytest.mark.skipif(cpu_flags.cuda_available(), reason="this machine has CUDA"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Gradient and status of each shape."""
    import torch

    from r1ci_plugins.engines.embedded_model import build_tiny

    folder = tmp_path_factory.mktemp("gradients")
    model = build_tiny(folder / "model")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("gradients.py"), model, folder, *SHAPES],
        env=os.environ | cpu_flags.variables() | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return {shape: torch.load(folder / f"{shape}.pt") for shape in SHAPES}


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_the_gradient_does_not_depend_on_the_shape(found, shape):
    reference, other = found[SHAPES[0]]["gradients"], found[shape]["gradients"]
    difference = sum(((other[name] - value) ** 2).sum() for name, value in reference.items()).sqrt()
    norm = sum((value**2).sum() for value in reference.values()).sqrt()
    assert norm > 0 and difference / norm < 1e-3


def test_the_average_reward_counts_trained_samples_alone(found):
    assert [one["status"]["reward"] for one in found.values()] == pytest.approx([1.0] * len(SHAPES))
