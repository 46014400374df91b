import importlib
import sys
from contextlib import contextmanager

import pytest

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.trainers import import_hooks
from r1ci_plugins.trainers.import_hooks import install, replace


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    """A small package to patch, and hooks that are forgotten afterwards."""
    package = tmp_path / "hooked_upstream"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "worker.py").write_text("def device():\n    return 'cuda'\n\nclass Worker:\n    name = 'gpu'\n")
    (package / "user.py").write_text("from hooked_upstream.worker import device\n")
    (package / "needy.py").write_text("import hooked_missing\nlevel = hooked_missing.level\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(import_hooks, "_patches", {})
    monkeypatch.setattr(import_hooks, "_around", {})
    yield
    for name in [name for name in sys.modules if name.startswith("hooked_")]:
        del sys.modules[name]


def to_cpu(module):
    replace(module, "device", lambda: "cpu")


def test_patch_runs_before_anybody_else_sees_the_module(upstream):
    install({"hooked_upstream.worker": to_cpu})
    assert "hooked_upstream" not in sys.modules
    assert importlib.import_module("hooked_upstream.user").device() == "cpu"


def test_module_that_is_already_imported_is_patched_at_once(upstream):
    module = importlib.import_module("hooked_upstream.worker")
    install({"hooked_upstream.worker": to_cpu})
    assert module.device() == "cpu"


def test_patches_of_two_callers_compose_and_each_runs_once(upstream):
    def longer(module):
        old = replace(module, "device", lambda: old() + "!")

    for _ in range(3):
        install({"hooked_upstream.worker": to_cpu})
        install({"hooked_upstream.worker": longer})
    module = importlib.import_module("hooked_upstream.worker")
    assert module.device() == "cpu!"
    install({"hooked_upstream.worker": longer})
    assert module.device() == "cpu!"
    assert importlib.reload(module).device() == "cpu!"


def test_module_keeps_its_loader_so_that_source_and_runpy_still_work(upstream):
    import inspect
    import runpy

    install({"hooked_upstream.worker": to_cpu})
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

    install({}, around={"hooked_upstream.needy": provide})
    assert importlib.import_module("hooked_upstream.needy").level == 7
    assert "hooked_missing" not in sys.modules


@pytest.mark.parametrize("already", [False, True])
def test_moved_attribute_is_an_error_that_names_module_and_attribute(upstream, already):
    if already:
        importlib.import_module("hooked_upstream.worker")
    with pytest.raises(MachineProblem, match=r"hooked_upstream\.worker has no 'set_device' any more"):
        install({"hooked_upstream.worker": lambda module: replace(module, "set_device", None)})
        importlib.import_module("hooked_upstream.worker")


def test_any_other_failure_of_a_patch_names_the_module_and_the_cause(upstream):
    install({"hooked_upstream.worker": lambda module: replace(module.Actor, "name", "cpu")})
    for _ in range(2):  # also when somebody tries again
        with pytest.raises(MachineProblem, match=r"hooked_upstream\.worker.*AttributeError.*'Actor'"):
            importlib.import_module("hooked_upstream.worker")


def test_inherited_attribute_does_not_count_as_there(upstream):
    worker = importlib.import_module("hooked_upstream.worker").Worker
    assert replace(worker, "name", "cpu") == "gpu"
    assert worker.name == "cpu"
    with pytest.raises(MachineProblem, match=r"hooked_upstream\.worker\.Child has no 'name'"):
        replace(type("Child", (worker,), {"__module__": worker.__module__}), "name", "cpu")


def test_missing_module_stays_missing(upstream):
    install({"hooked_upstream.gone": to_cpu})
    with pytest.raises(ModuleNotFoundError, match=r"hooked_upstream\.gone"):
        importlib.import_module("hooked_upstream.gone")
