"""Processes that make questions end with the work they were started for."""

import multiprocessing
import threading
import time

import pytest

from r1ci_plugins.workers.pack_processes import pack_processes


def test_interrupted_work_leaves_neither_processes_nor_threads():
    threads, children = threading.active_count(), multiprocessing.active_children()
    with pytest.raises(KeyboardInterrupt), pack_processes(2, []) as pool:
        assert pool.submit(abs, -1).result(timeout=60) == 1
        for _ in range(8):
            pool.submit(time.sleep, 600)
        raise KeyboardInterrupt
    assert multiprocessing.active_children() == children
    assert threading.active_count() == threads  # one that is still ending breaks the end of the interpreter
