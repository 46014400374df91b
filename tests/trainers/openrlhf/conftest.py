"""OpenRLHF is imported here as a run imports it, whichever test comes first."""

from __future__ import annotations

import pytest

from r1ci_plugins.trainers.openrlhf import cpu_backend, process_setup


@pytest.fixture(scope="session", autouse=True)
def seams_of_a_run():
    """The import hooks of a run; they change a module when it is imported, so they have to be there before."""
    with pytest.MonkeyPatch.context() as patch:
        if not cpu_backend.cuda_available():
            for name, value in cpu_backend.environment().items():
                patch.setenv(name, value)
        process_setup.install()
