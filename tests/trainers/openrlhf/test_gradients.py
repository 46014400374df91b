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
AUXILIARY = ("1-padded-auxiliary", "2-padded-auxiliary", "2-packed-auxiliary")
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
        [sys.executable, Path(__file__).with_name("gradients.py"), model, folder, *SHAPES, *AUXILIARY],
        env=os.environ | cpu_flags.variables() | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return {shape: torch.load(folder / f"{shape}.pt") for shape in SHAPES + AUXILIARY} | {"model": model}


def apart(one, other):
    """The norm of the difference, relative to the other's."""
    difference = sum(((one[name] - value) ** 2).sum() for name, value in other.items()).sqrt()
    norm = sum((value**2).sum() for value in other.values()).sqrt()
    assert norm > 0
    return (difference / norm).item()


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_the_gradient_does_not_depend_on_the_shape(found, shape):
    assert apart(found[shape]["gradients"], found[SHAPES[0]]["gradients"]) < 1e-3


@pytest.mark.parametrize("shape", AUXILIARY)
def test_the_second_term_has_the_gradient_of_a_plain_mean(found, shape):
    sys.path.insert(0, str(Path(__file__).parent))
    import gradients

    reference, mean = gradients.reference(found["model"])
    assert apart(found[shape]["gradients"], reference) < 1e-5
    assert found[shape]["status"]["auxiliary_loss"] == pytest.approx(mean, rel=1e-5)
    plain = found[shape.removesuffix("-auxiliary")]
    assert plain["status"]["policy_loss"] == pytest.approx(found[shape]["status"]["policy_loss"], rel=1e-5)
    assert apart(plain["gradients"], reference) > 0.01  # the term is not nothing


def test_the_average_reward_counts_trained_samples_alone(found):
    assert [found[shape]["status"]["reward"] for shape in SHAPES] == pytest.approx([1.0] * len(SHAPES))
