"""OpenRLHF is imported here as a run imports it, whichever test comes first."""

from __future__ import annotations

import importlib

import pytest

from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.trainers.openrlhf import process_setup


@pytest.fixture(scope="session", autouse=True)
def seams_of_a_run():
    """The import hooks of a run; they change a module when it is imported, so they have to be there before."""
    with pytest.MonkeyPatch.context() as patch:
        if not cpu_flags.cuda_available():
            for name, value in cpu_flags.variables().items():
                patch.setenv(name, value)
        process_setup.install()


@pytest.fixture(scope="module")
def actor():
    """OpenRLHF's module of the actor's trainer."""
    return importlib.import_module("openrlhf.trainer.ray.ppo_actor")
