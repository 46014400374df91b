"""No process of a run survives it, and no other process is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.trainers.openrlhf import ray_session as module
from r1ci_plugins.trainers.openrlhf.ray_session import _MARK, _reap, ray_session

# Stubborn: ignores SIGTERM, leads a session of its own, has a child that does the same; says their ids.
TREE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.setsid()
child = os.fork()
if child == 0:
    os.setsid()
else:
    print(os.getpid(), child, flush=True)
time.sleep(300)
"""


@pytest.fixture
def start():
    """Start a process tree with a mark in its environment, or with none; returns its processes."""
    started = []

    def run(mark=None) -> list[psutil.Process]:
        environment = {name: value for name, value in os.environ.items() if name != _MARK}
        process = subprocess.Popen(
            [sys.executable, "-c", TREE],
            stdout=subprocess.PIPE,
            text=True,
            env=environment | ({} if mark is None else {_MARK: mark}),
        )
        tree = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        process.stdout.close()
        started.extend(tree)
        return tree

    yield run
    for process in started:
        if process.is_running():
            process.kill()
    psutil.wait_procs(started, timeout=10)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(processes) -> bool:
    deadline = time.monotonic() + 10
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, processes))


@pytest.fixture
def no_ray(monkeypatch):
    monkeypatch.setenv(_MARK, "before")
    monkeypatch.setattr(module, "_start_ray", lambda cpu: None)


def test_every_process_of_the_run_is_killed_and_no_other(start):
    ours, again, others, strangers = start("this-run"), start("this-run"), start("this-run-2"), start()
    _reap("this-run")
    assert gone(ours + again)
    assert all(map(alive, others + strangers))


def test_it_does_not_kill_itself(monkeypatch):
    code = f"from {module.__name__} import _reap; _reap('mine'); print('alive')"
    shown = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, _MARK: "mine"}, capture_output=True, text=True
    )
    assert shown.stdout == "alive\n", shown.stderr


def test_an_error_leaves_no_process_behind(start, no_ray):
    handler = signal.getsignal(signal.SIGTERM)
    trees = []
    with pytest.raises(ValueError, match="the trainer failed"), ray_session(cpu=True):
        trees += start(os.environ[_MARK])
        raise ValueError("the trainer failed")
    assert gone(trees)
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(start, no_ray, capsys, number):
    trees = []
    with pytest.raises(SystemExit) as ended, ray_session(cpu=True):
        trees += start(os.environ[_MARK])
        os.kill(os.getpid(), number)
        time.sleep(10)
    assert ended.value.code == 130 and gone(trees)
    assert "--ckpt.load_enable" in capsys.readouterr().err


def test_each_run_has_a_mark_of_its_own(no_ray):
    marks = set()
    for _ in range(2):
        with ray_session(cpu=True):
            marks.add(os.environ[_MARK])
    assert len(marks) == 2


def test_the_first_cause_of_an_error_that_came_through_rays_processes():
    from ray.exceptions import ActorDiedError, RayTaskError
    from vllm.v1.engine.exceptions import EngineDeadError

    from r1ci_plugins.errors import InfrastructureFault, MachineProblem
    from r1ci_plugins.trainers.openrlhf.ray_session import first_cause

    def wrapped(error, times=2):
        for _ in range(times):
            error = RayTaskError("fit", "Traceback ...", error).as_instanceof_cause()
        return error

    fault = InfrastructureFault("all 4 trajectories ended in a fault", fix="mend it")
    assert first_cause(wrapped(fault)) is fault and str(fault).startswith("all 4 trajectories")
    died = first_cause(wrapped(ActorDiedError()))
    assert isinstance(died, MachineProblem) and "a process of the run died" in str(died)
    bug = wrapped(KeyError("x"))
    assert first_cause(bug) is bug
    engine = first_cause(wrapped(EngineDeadError()))
    assert isinstance(engine, MachineProblem) and engine.where == "vLLM" and "EngineCore" in str(engine)


def test_a_folder_in_which_ray_cannot_make_its_sockets_is_refused(monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp/" + "x" * 60)
    with pytest.raises(MachineProblem, match="RAY_TMPDIR=/tmp"):
        module.check_socket_path()
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    module.check_socket_path()
