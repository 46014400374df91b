"""A worker and its channel, seen from both ends; each worker here is a script of its own."""

from __future__ import annotations

import time

import psutil
import pytest

from r1ci_plugins.workers.json_lines import OutOfTurn, Worker, WorkerDied, WorkerSilent

SCRIPT = """
import os, subprocess, sys, time
from r1ci_plugins.workers.json_lines import Channel, die_with_parent

die_with_parent()
channel = Channel()
for request in channel:
    do = request["do"]
    if do == "print":
        print('{"number": 1, "forged": true}', flush=True)
        os.write(1, b'{"number": 1, "forged": true}\\n')
    elif do == "read":
        channel.reply(read=sys.stdin.read())
        continue
    elif do == "die":
        os._exit(3)
    elif do == "hang":
        time.sleep(600)
    elif do == "start":
        program = subprocess.Popen(["sleep", "600"])
        channel.reply(pid=program.pid)
        continue
    elif do == "twice":
        channel.reply(done=1)
    elif do == "object":
        try:
            channel.reply(value=object())
        except TypeError:
            channel.reply(error="TypeError")
        continue
    channel.reply(seed=os.environ["PYTHONHASHSEED"])
"""


@pytest.fixture
def worker(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    started = Worker([str(tmp_path / "script.py")], 7)
    yield started
    started.kill()
    assert not started.alive


def ask(worker, do, deadline_s=60.0):
    worker.send({"do": do})
    return worker.receive(deadline_s)


def test_what_is_printed_is_no_reply_and_nothing_is_left_to_read(worker):
    assert ask(worker, "print") == {"seed": "7"}
    assert ask(worker, "read") == {"read": ""}
    assert ask(worker, "object") == {"error": "TypeError"}
    assert worker.alive


def test_a_reply_to_an_earlier_request_is_refused(worker):
    assert ask(worker, "twice") == {"done": 1}
    with pytest.raises(OutOfTurn):
        ask(worker, "print")
    assert not worker.alive


def test_a_worker_that_dies_or_hangs_is_told_apart_and_killed(worker, tmp_path):
    with pytest.raises(WorkerDied):
        ask(worker, "die")
    with pytest.raises(WorkerDied):
        worker.send({"do": "print"})
    other = Worker([str(tmp_path / "script.py")], 0)
    assert ask(other, "print") == {"seed": "0"}
    started = time.monotonic()
    with pytest.raises(WorkerSilent, match="was silent for 1 s"):
        ask(other, "hang", 1.0)
    assert not other.alive and time.monotonic() < started + 30


@pytest.mark.parametrize("end", ["kill", "die"])
def test_what_a_worker_started_ends_with_it_even_if_it_died_first(worker, end):
    program = psutil.Process(ask(worker, "start")["pid"])
    if end == "die":
        with pytest.raises(WorkerDied):
            ask(worker, "die")
    worker.kill()
    _, alive = psutil.wait_procs([program], timeout=10)
    assert not alive
