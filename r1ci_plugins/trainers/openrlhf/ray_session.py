"""Ray for one run: started as OpenRLHF would, with our process set-up, and gone when the run ends."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from types import FrameType

import psutil

from r1ci_plugins.errors import MachineProblem, R1CIError

_MARK = "R1CI_RUN_ID"
_UPSTREAM_VARIABLES = {
    "TOKENIZERS_PARALLELISM": "true",
    "NCCL_DEBUG": "WARN",
    "RAY_ENABLE_ZERO_COPY_TORCH_TENSORS": "1",
}
"""What ``train_ppo_ray.train`` gives to Ray when it starts it itself."""

_SESSION = "session_2026-01-01_00-00-00_000000_1234567"
"""As Ray names the folder of a session: by time and process."""

_SOCKET_BYTES = 107
_OURS = ("R1CI_RUN", "R1CI_CPU_BACKEND", _MARK)
_LOGICAL = 64
"""On the CPU, Ray's GPUs and CPUs are only tickets for placement; real cores are shared by the operating system."""


@contextlib.contextmanager
def ray_session(cpu: bool) -> Iterator[None]:
    """Start or join Ray, and leave no process of this run behind, however it ends.

    An error of ours in one of Ray's processes is raised as it was there; a process that died becomes a
    ``MachineProblem``.

    On the CPU a private Ray is started, so one that already runs does not matter. With GPUs we do as OpenRLHF does:
    join the cluster that ``RAY_ADDRESS`` or ``ray start`` announces, else start one.
    """
    mark = os.environ[_MARK] = uuid.uuid4().hex
    previous = signal.signal(signal.SIGTERM, _terminated)
    try:
        _start_ray(cpu)
        yield
    except Exception as error:
        problem = first_cause(error)
        if problem is error:
            raise
        raise problem from None
    except KeyboardInterrupt:
        print(
            "\nr1ci: interrupted; the last checkpoint and all recorded trajectories are whole. "
            "Go on with the same command and --ckpt.load_enable.",
            file=sys.stderr,
        )
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _stop_ray()
        _reap(mark)
        signal.signal(signal.SIGTERM, previous)


def check_socket_path() -> None:
    """Refuse a folder for temporary files in which Ray cannot make its sockets, before anything is written.

    Raises:
        MachineProblem: Its path is too long.
    """
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    longest = len(os.path.join(folder, "ray", _SESSION, "sockets", "plasma_store").encode())
    if longest > _SOCKET_BYTES:
        raise MachineProblem(
            f"Ray's sockets would have paths of {longest} bytes, and Linux takes {_SOCKET_BYTES}",
            where=f"{'RAY_TMPDIR' if os.environ.get('RAY_TMPDIR') else 'TMPDIR'}={folder}",
            fix="export RAY_TMPDIR=/tmp, or another folder with a short path",
        )


def first_cause(error: Exception) -> Exception:
    """What an error of Ray's comes from, if it is an error of ours or the death of a process; else the error itself.

    Ray wraps an error once for every process that it passes through.
    """
    from ray.exceptions import RayActorError, RayTaskError, WorkerCrashedError

    cause = error
    while isinstance(cause, RayTaskError) and isinstance(cause.cause, Exception):
        cause = cause.cause
    vllm = sys.modules.get("vllm.v1.engine.exceptions")  # loaded with the error, if it is one of them
    of_vllm = vllm is not None and isinstance(cause, vllm.EngineDeadError)
    if of_vllm or isinstance(cause, RayActorError | WorkerCrashedError):
        return MachineProblem(
            f"a process of the run died: {' '.join(str(cause.args[0] if of_vllm else cause).split())}",
            where="vLLM" if of_vllm else "Ray",
            fix="look above for its last words (out of memory is the usual reason), mend that, and go on with "
            "--ckpt.load_enable",
        )
    return cause if isinstance(cause, R1CIError) else error


def _start_ray(cpu: bool) -> None:
    import ray

    variables = {name: os.environ.get(name, default) for name, default in _UPSTREAM_VARIABLES.items()}
    variables |= {name: os.environ[name] for name in _OURS}
    runtime_env: dict[str, object] = {
        "env_vars": variables,
        "worker_process_setup_hook": "r1ci_plugins.trainers.openrlhf.process_setup.install",
    }
    if shlex.quote(sys.executable) != sys.executable:  # Ray starts its workers by an unquoted shell command
        runtime_env["py_executable"] = shlex.quote(sys.executable)
    options: dict[str, object] = {"runtime_env": runtime_env}
    if cpu:
        options |= {
            "address": "local",
            "num_cpus": _LOGICAL,
            "num_gpus": _LOGICAL,
            "include_dashboard": False,
            "object_store_memory": 1 << 30,
        }
    ray.init(**options)


def _stop_ray(patience_s: float = 5.0) -> None:
    """Disconnect from Ray, and stop it if we started it. Were it killed first, this process would wait for it."""
    import ray

    stopping = threading.Thread(target=ray.shutdown, daemon=True)
    stopping.start()
    stopping.join(patience_s)


def _terminated(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _reap(mark: str) -> None:
    """Kill every process that carries this run's mark, at once: they hold nothing that is not on disk."""
    own = os.getpid()
    for _ in range(6):  # a dying parent may still fork, and gigabytes take a while to be given back
        doomed = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != own and process.environ().get(_MARK) == mark:
                    process.kill()
                    doomed.append(process)
        if not doomed:
            return
        psutil.wait_procs(doomed, timeout=2)
