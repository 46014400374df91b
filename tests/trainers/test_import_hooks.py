import importlib
import re
import sys
from contextlib import contextmanager

import pytest

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.trainers import import_hooks
from r1ci_plugins.trainers.import_hooks import Seam, install


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    """A small package to patch, and hooks that are forgotten afterwards."""
    package = tmp_path / "hooked_upstream"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "worker.py").write_text(
        "def device():\n    return 'cuda'\n\nclass Worker:\n    name = 'gpu'\n\nclass Child(Worker):\n    pass\n"
        "class Copied(Worker):\n    name = 'gpu'\n\nclass Metadata:\n    modified_class = Copied\n"
        "class Remote:\n    __ray_metadata__ = Metadata\n"
    )
    (package / "user.py").write_text("from hooked_upstream.worker import device\n")
    (package / "needy.py").write_text("import hooked_missing\nlevel = hooked_missing.level\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(import_hooks, "_seams", {})
    monkeypatch.setattr(import_hooks, "_around", {})
    yield
    for name in [name for name in sys.modules if name.startswith("hooked_")]:
        del sys.modules[name]


def cpu():
    return "cpu"


TO_CPU = Seam("hooked_upstream.worker", "device", cpu, "no GPU needed")


def test_a_seam_is_in_place_before_anybody_else_sees_the_module(upstream):
    install([TO_CPU])
    assert "hooked_upstream" not in sys.modules
    assert importlib.import_module("hooked_upstream.user").device() == "cpu"
    assert import_hooks.upstream[cpu]() == "cuda"


def test_module_that_is_already_imported_is_adapted_at_once(upstream):
    module = importlib.import_module("hooked_upstream.worker")
    install([TO_CPU])
    assert module.device() == "cpu"


def test_seams_of_two_callers_compose_and_each_is_applied_once(upstream):
    def longer():
        return import_hooks.upstream[longer]() + "!"

    for _ in range(3):
        install([TO_CPU])
        install([Seam("hooked_upstream.worker", "device", longer, "louder")])
    module = importlib.import_module("hooked_upstream.worker")
    assert module.device() == "cpu!"
    install([Seam("hooked_upstream.worker", "device", longer, "louder")])
    assert module.device() == "cpu!"
    assert importlib.reload(module).device() == "cpu!"


def test_module_keeps_its_loader_so_that_source_and_runpy_still_work(upstream):
    import inspect
    import runpy

    install([TO_CPU])
    module = importlib.import_module("hooked_upstream.worker")
    assert "gpu" in inspect.getsource(module)
    assert runpy.run_module("hooked_upstream.user", run_name="__main__")["device"]() == "cpu"


def test_context_is_entered_only_while_the_module_executes(upstream):
    @contextmanager
    def provide():
        stub = type(sys)("hooked_missing")
        stub.level = 7
        sys.modules["hooked_missing"] = stub
        yield
        del sys.modules["hooked_missing"]

    install([], around={"hooked_upstream.needy": provide})
    assert importlib.import_module("hooked_upstream.needy").level == 7
    assert "hooked_missing" not in sys.modules


@pytest.mark.parametrize("already", [False, True])
@pytest.mark.parametrize("name", ["set_device", "Actor.name", "Worker.Inner.name", "Child.name"])
def test_moved_name_is_an_error_that_names_it(upstream, already, name):
    """``Child`` only inherits ``name``: replacing it there would change one class of two."""
    if already:
        importlib.import_module("hooked_upstream.worker")
    found = rf"hooked_upstream\.worker has no '{re.escape(name)}' any more"
    with pytest.raises(MachineProblem, match=found) as caught:
        install([Seam("hooked_upstream.worker", name, cpu, "nothing")])
        importlib.import_module("hooked_upstream.worker")
    assert "r1ci doctor" in caught.value.fix
    if not already:  # also when somebody tries again
        with pytest.raises(MachineProblem, match=found):
            importlib.import_module("hooked_upstream.worker")


def test_attribute_of_a_class_and_of_the_class_that_ray_makes_of_an_actor(upstream):
    worker = importlib.import_module("hooked_upstream.worker")
    install(
        [Seam("hooked_upstream.worker", "Worker.name", "cpu", "no GPU"), Seam(TO_CPU.module, "Remote.name", 7, "")]
    )
    assert (worker.Worker.name, worker.Child.name, import_hooks.upstream["cpu"]) == ("cpu", "cpu", "gpu")
    assert worker.Remote.__ray_metadata__.modified_class.name == 7


def test_missing_module_stays_missing(upstream):
    install([Seam("hooked_upstream.gone", "device", cpu, "")])
    with pytest.raises(ModuleNotFoundError, match=r"hooked_upstream\.gone"):
        importlib.import_module("hooked_upstream.gone")
