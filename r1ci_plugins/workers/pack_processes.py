"""Worker processes that have loaded task packs."""

import multiprocessing
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from r1ci_plugins.errors import TaskError
from r1ci_plugins.plugins.packs import load_packs
from r1ci_plugins.plugins.registry import load_plugins
from r1ci_plugins.sandbox.cores import usable_cores
from r1ci_plugins.tasks.task import TaskPack

_packs: Mapping[str, TaskPack] = {}


def default_jobs() -> int:
    """One process per core that this process may use, but at most 16: each may need 300 MB."""
    return min(usable_cores(), 16)


@contextmanager
def pack_processes(jobs: int, packs: Collection[str], plugins: Sequence[str] = ()) -> Iterator[ProcessPoolExecutor]:
    """Processes in which ``loaded_pack`` gives the named packs, installed ones or those of the named plugins.

    They start when the first work is submitted.

    Raises:
        TaskError: A process died, or could not load the packs.
    """
    # Spawned, not forked: this process may have threads of torch or of a tokenizer.
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(jobs, context, initializer=_load, initargs=(packs, plugins))
    try:
        yield pool
    except BaseException as error:
        for child in multiprocessing.active_children():
            if child not in others:
                child.terminate()  # its current question may take minutes, and is not needed any more
        # Waits for the pool's thread: one that still closes its pipes breaks the end of the interpreter.
        pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise TaskError(
                "a process that generates questions died, or could not load the task packs",
                fix="its output is above; if it is the memory, use fewer processes",
            ) from error
        raise
    pool.shutdown()


def loaded_pack(name: str) -> TaskPack:
    """A pack of this worker process."""
    return _packs[name]


def _load(packs: Collection[str], plugins: Sequence[str]) -> None:
    global _packs
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business, which ends its processes
    _packs = load_packs(packs, own=load_plugins(plugins).packs)
