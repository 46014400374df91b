"""What every backend promises (r1ci_plugins/sandbox/contract.py), tried with real programs."""

from __future__ import annotations

import asyncio
import os
import time
import traceback

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.sandbox.contract import ExecutionStatus, Limits, Sandbox


def test_is_a_sandbox_and_names_its_isolation(bench):
    assert isinstance(bench.sandbox, Sandbox)
    result = bench.run("print(6 * 7)")
    assert (result.stdout, result.stderr, result.status, result.exit_code) == ("42\n", "", ExecutionStatus.OK, 0)
    assert (result.truncated, result.isolation) == (0, bench.sandbox.isolation)
    assert 0 < result.wall_s < 20 and 0 < result.cpu_s < 20 and result.queue_s >= 0


def test_stdout_and_stderr_are_apart_and_stdin_is_empty(bench):
    result = bench.run("import sys; print(repr(sys.stdin.read())); print('e', file=sys.stderr)")
    assert (result.stdout, result.stderr) == ("''\n", "e\n")


def test_traceback_names_main_py_with_its_lines(bench):
    result = bench.run("def half(x):\n    return x / 0\n\nprint('before')\nhalf(1)\n")
    assert result.status is ExecutionStatus.ERROR and result.exit_code == 1
    assert result.stdout == "before\n"
    assert result.stderr.splitlines()[:4] == [
        "Traceback (most recent call last):",
        '  File "main.py", line 5, in <module>',
        "    half(1)",
        '  File "main.py", line 2, in half',
    ]
    assert "    return x / 0" in result.stderr
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_program_can_show_its_own_traceback_and_source(bench):
    code = (
        "import inspect, traceback\n"
        "def f():\n    raise ValueError('mine')\n"
        "try:\n    f()\nexcept ValueError:\n    print(traceback.format_exc())\n"
        "print(inspect.getsource(f))\n"
    )
    result = bench.run(code)
    assert result.status is ExecutionStatus.OK, result.stderr
    assert result.stdout.count("raise ValueError('mine')") == 2


def test_syntax_error_shows_the_line(bench):
    result = bench.run("x = 1\ny = (2\n")
    assert result.status is ExecutionStatus.ERROR
    assert 'File "main.py", line 2' in result.stderr and "y = (2" in result.stderr and "SyntaxError" in result.stderr


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [
        ("", ExecutionStatus.OK, 0),
        ("import sys; sys.exit(3)", ExecutionStatus.ERROR, 3),
        ("import sys; sys.exit('no')", ExecutionStatus.ERROR, 1),
        ("exit()", ExecutionStatus.OK, 0),
        ("import os; os._exit(7)", ExecutionStatus.ERROR, 7),
        ("import os; os.abort()", ExecutionStatus.ERROR, -6),
        ("import ctypes; ctypes.string_at(0)", ExecutionStatus.ERROR, -11),
        ("import os; os.kill(os.getpid(), 9)", ExecutionStatus.ERROR, -9),
        ("a\0b", ExecutionStatus.ERROR, 1),
        ("x = '\ud800'", ExecutionStatus.ERROR, 1),
        ("(" * 5000, ExecutionStatus.ERROR, 1),
    ],
)
def test_how_a_program_ends_is_told(bench, code, status, exit_code):
    result = bench.run(code)
    assert (result.status, result.exit_code) == (status, exit_code), result.stderr


def test_a_megabyte_of_code_runs(bench):
    result = bench.run("x = 0\n" + "x += 1  # " + "y" * 90 + "\n" + "#" * (1 << 20) + "\nprint(x)\n")
    assert (result.stdout, result.status) == ("1\n", ExecutionStatus.OK)


def test_is_an_ordinary_main_program(bench):
    code = """
import atexit, pickle, sys, threading, time
class Point: pass
pickle.loads(pickle.dumps(Point()))
assert sys.modules["__main__"].Point is Point and __name__ == "__main__" and sys.argv == ["main.py"]
atexit.register(print, "atexit ran")
threading.Thread(target=lambda: (time.sleep(0.1), print("thread joined"))).start()
open("module.py", "w").write("value = 5")
import module
print("end", module.value)
"""
    result = bench.run(code)
    assert result.stdout == "end 5\nthread joined\natexit ran\n", result.stderr


def test_processes_and_pools_work(bench):
    code = (
        "import multiprocessing, subprocess\n"
        "def square(x):\n    return x * x\n"
        "with multiprocessing.Pool(2) as pool:\n    print(pool.map(square, range(4)))\n"
        "print(subprocess.run(['echo', 'hi'], capture_output=True, text=True).stdout)\n"
    )
    assert bench.run(code).stdout == "[0, 1, 4, 9]\nhi\n\n"


def test_libraries_of_the_environment_can_be_imported(bench):
    pytest.importorskip("sympy")
    pytest.importorskip("numpy")
    result = bench.run("import numpy, sympy\nprint(sympy.factor('x**2 - 1'), numpy.arange(3).sum())", wall_s=60)
    assert result.stdout == "(x - 1)*(x + 1) 3\n", result.stderr


def test_environment_holds_only_the_allow_list(bench, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    code = "import os; print(sorted(os.environ)); print(open('/proc/self/environ').read())"
    result = bench.run(code)
    allowed = ["HOME", "LANG", "MKL_NUM_THREADS", "MPLBACKEND", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH"]
    assert result.stdout.splitlines()[0] == str(
        [*allowed, "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "TMPDIR", "TZ"]
    )
    assert "hunter2" not in result.stdout
    assert bench.run("print(hash('a'))").stdout == bench.run("print(hash('a'))").stdout


def test_output_is_capped_and_the_rest_counted(bench):
    result = bench.run("import sys\nprint('a' * 3000)\nsys.stderr.write('b' * 1500)", output_bytes=1000)
    assert (result.stdout, result.stderr) == ("a" * 1000, "b" * 1000)
    assert (result.truncated, result.status) == (2001 + 500, ExecutionStatus.OK)


def test_output_flood_stops_the_program(bench):
    began = time.monotonic()
    result = bench.run("while True: print('x' * 10000)", wall_s=60, output_bytes=100_000)
    assert result.status is ExecutionStatus.OUTPUT
    assert time.monotonic() - began < 50, "stopped by the cap, not by the deadline"
    assert len(result.stdout) == 100_000 and result.truncated > 1_000_000


def test_output_that_is_not_utf8_is_replaced(bench):
    result = bench.run("import os; os.write(1, b'caf\\xe9 \\xff')")
    assert result.stdout == "caf\ufffd \ufffd" and result.status is ExecutionStatus.OK


def test_output_before_a_timeout_is_kept(bench):
    result = bench.run("import time\nprint('so far')\ntime.sleep(60)", wall_s=0.5)
    assert (result.status, result.stdout) == (ExecutionStatus.TIMEOUT, "so far\n")
    assert result.wall_s >= 0.5 > result.cpu_s


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import signal, time\n"
        "for number in set(range(1, 32)) - {9, 19}: signal.signal(number, signal.SIG_IGN)\n"
        "while True: time.sleep(1)",
        "import os; os.kill(os.getpid(), 19)",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
        "import atexit, time\natexit.register(time.sleep, 60)",
        "import time\nclass C:\n  def __str__(self): time.sleep(60)\nprint(C())",
    ],
    ids=["busy", "ignores-signals", "stops-itself", "thread", "atexit", "hanging-str"],
)
def test_wall_deadline_ends_it(bench, code):
    result = bench.run(code, wall_s=0.5)
    assert result.status is ExecutionStatus.TIMEOUT and 0.5 <= result.wall_s < 20


def test_cpu_limit_ends_it(bench):
    for code in ("while True: pass", "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"):
        result = bench.run(code, cpu_s=1, wall_s=60)
        assert result.status is ExecutionStatus.TIMEOUT and 0.9 < result.cpu_s < 10


def test_cpu_time_counts_children(bench):
    code = "import os\nif os.fork() == 0:\n    sum(range(20_000_000)); os._exit(0)\nos.wait()"
    assert bench.run(code).cpu_s > 0.1


@pytest.mark.parametrize(
    "code",
    [
        "x = [0] * 10**9",
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        "import os, time\nfor _ in range(10):\n  if os.fork() == 0: break\nb = bytearray(60 << 20); time.sleep(30)",
        "import os\nfor i in range(1000): open(f'/dev/shm/{i}', 'wb').write(b'x' * (8 << 20))",
        "for i in range(1000): open(f'{i}', 'wb').write(b'x' * (8 << 20))",
        "for i in range(10**7): open(f'{i}', 'w').close()",
    ],
    ids=["at-once", "step-by-step", "many-processes", "shared-memory-files", "scratch-files", "many-files"],
)
def test_memory_limit_ends_it(bench, code):
    result = bench.run(code, memory_mb=256, wall_s=60)
    assert result.status is ExecutionStatus.MEMORY, (result, result.stderr)


def test_a_limit_below_what_python_itself_takes_is_the_programs_memory_error(bench):
    assert bench.run("x = bytearray(8 << 20)", memory_mb=1).status is ExecutionStatus.MEMORY


def test_file_size_limit(bench):
    result = bench.run("f = open('big', 'wb')\nfor _ in range(9): f.write(b'x' * (1 << 20)); f.flush()", file_mb=4)
    assert result.status is ExecutionStatus.ERROR and "File too large" in result.stderr


def test_process_limit_stops_a_fork_bomb(bench):
    result = bench.run("import os\nwhile True: os.fork()", processes=20, wall_s=5)
    assert result.status in (ExecutionStatus.ERROR, ExecutionStatus.TIMEOUT)
    assert bench.run("print('still works')").stdout == "still works\n"


def test_scratch_is_fresh_and_gone_afterwards(bench):
    write = (
        "import os\nassert os.listdir('.') == []\nopen('secret', 'w').write('x'); print(os.getcwd(), os.listdir('.'))"
    )
    first = bench.run(write)
    scratch, listing = first.stdout.split(maxsplit=1)
    assert listing == "['secret']\n"
    for _ in range(2):  # two slots
        assert bench.run("import os; print(os.listdir('.'))").stdout == "[]\n"
    assert not os.path.exists(os.path.join(scratch, "secret"))


def test_patched_builtins_do_not_reach_the_next_program(bench):
    bench.run("import builtins; builtins.print = None; import json; json.dumps = None")
    assert bench.run("import json; print(json.dumps([]))").stdout == "[]\n"


@pytest.mark.parametrize("daemon", ["os.setsid()", "os.setpgid(0, 0)"])
def test_daemonised_children_are_gone_with_the_program(bench, daemon):
    code = f"""
import os, time
if os.fork() == 0:
    {daemon}
    os.fork()
    open("/proc/self/comm", "w").write("r1ci-daemon")
    time.sleep(1000)
time.sleep(0.3)
print("done")
"""
    result = bench.run(code)
    assert (result.status, result.stdout) == (ExecutionStatus.OK, "done\n")
    assert [p for p in psutil.process_iter(["name"]) if p.info["name"] == "r1ci-daemon"] == []


def test_queueing_is_not_running(bench):
    results = bench.run_all(*["import time; time.sleep(0.4)"] * 6, wall_s=2)
    assert [result.status for result in results] == [ExecutionStatus.OK] * 6
    assert max(result.queue_s for result in results) > 0.7 and max(result.wall_s for result in results) < 2


def test_programs_do_not_see_each_other(bench):
    other = "import os, time; open('here', 'w').close(); time.sleep(1)"
    look = "import os, time; time.sleep(0.5); print(os.listdir('.'), sum(e.isdigit() for e in os.listdir('/proc')))"
    seen = bench.run_all(other, look)[1].stdout.split()
    assert seen[0] == "[]" and int(seen[1]) <= 4


def test_cancellation_kills_the_program(bench, new_children):
    async def cancel() -> None:
        task = asyncio.create_task(bench.sandbox.run("import os\nos.fork()\nwhile True: pass", Limits()))
        await asyncio.sleep(0.7)
        running = new_children()
        assert running, "the program should be running by now"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert psutil.wait_procs(running, timeout=5)[1] == []

    bench.loop.run(cancel())
    assert [result.stdout for result in bench.run_all("print(1)", "print(1)")] == ["1\n"] * 2, "both slots are free"


@pytest.mark.parametrize("name", ["wall_s", "cpu_s", "memory_mb", "file_mb", "processes", "output_bytes"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_senseless_limits_are_refused(bench, name, value):
    with pytest.raises(ValueError, match=name):
        bench.run("print(1)", **{name: value})


def test_start_and_close_can_be_repeated_and_nothing_runs_outside_them(bench, backend, new_children):
    async def life() -> None:
        sandbox = backend(concurrency=1)
        with pytest.raises(InfrastructureFault, match="not running"):
            await sandbox.run("print(1)", Limits())
        starting = asyncio.create_task(sandbox.start())
        while not new_children():
            await asyncio.sleep(0.005)
        with pytest.raises(InfrastructureFault, match="not running"):
            await sandbox.run("print(1)", Limits())
        await starting
        await sandbox.start()
        running = asyncio.create_task(sandbox.run("while True: pass", Limits()))
        waiting = asyncio.create_task(sandbox.run("print(1)", Limits()))
        await asyncio.sleep(0.7)
        await sandbox.close()
        await sandbox.close()
        for task in (running, waiting):
            with pytest.raises(InfrastructureFault):
                await task
        with pytest.raises(InfrastructureFault, match="not running"):
            await sandbox.run("print(1)", Limits())
        await sandbox.start()
        assert (await sandbox.run("print(1)", Limits())).stdout == "1\n"
        await sandbox.close()

    asyncio.run(life())
    assert new_children(recursive=False) == [], "the slots of other sandboxes may still be starting processes"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(code=st.text(st.characters(), max_size=60))
def test_any_text_is_a_program_that_ends_as_python_would_end_it(bench, code):
    result = bench.run(code)
    try:
        compile(code, "main.py", "exec")
    except (SyntaxError, ValueError) as error:
        assert result.status is ExecutionStatus.ERROR
        kind = traceback.format_exception_only(error)[-1].split(":")[0]
        assert kind in result.stderr or "null bytes" in result.stderr  # whose kind depends on the patch level
    else:
        assert result.status in (ExecutionStatus.OK, ExecutionStatus.ERROR)
