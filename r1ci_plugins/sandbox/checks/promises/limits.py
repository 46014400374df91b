"""Time, memory, files, processes and output of a program are limited."""

import math
import time
from collections.abc import Mapping

from r1ci_plugins.sandbox.checks.bench import ERROR, MEMORY, OK, OUTPUT, TIMEOUT, Bench
from r1ci_plugins.sandbox.checks.promises.promise import Promise, expect, outcome, register_in

PROMISES: list[Promise] = []
promise = register_in(PROMISES)


@promise()
async def output_is_capped_and_the_rest_counted(bench: Bench) -> None:
    """Output beyond the limit keeps its first and last bytes, and says how many are left out."""
    result = await bench.run("import sys\nprint('a' * 3000)\nsys.stderr.write('b' * 1500)", output_bytes=1000)
    out, err = (f"\n... [{count} bytes were not kept] ...\n" for count in (2001, 500))
    expect((result.stdout, result.stderr) == ("a" * 500 + out + "a" * 499 + "\n", "b" * 500 + err + "b" * 500), result)
    expect((result.truncated, result.status) == (2001 + 500, OK), result)


@promise()
async def the_last_line_of_long_output_is_kept(bench: Bench) -> None:
    """What a program prints last is kept however much it has printed before."""
    code = "import sys\nfor i in range(300_000): print(i)\nprint('late', file=sys.stderr)\nprint('ANSWER=42')"
    result = await bench.run(code, wall_s=60)
    expect(result.status is OK and result.stdout.startswith("0\n1\n2\n"), result.status)
    expect(result.stdout.endswith("\n299999\nANSWER=42\n"), result.stdout[-100:])
    expect(result.output.endswith("\n299999\nlate\nANSWER=42\n"), result.output[-100:])


@promise()
async def an_output_flood_ends_the_program(bench: Bench) -> None:
    """A flood of output ends the program."""
    began = time.monotonic()
    result = await bench.run("while True: print('x' * 10000)", wall_s=60, output_bytes=100_000)
    expect(result.status is OUTPUT and time.monotonic() - began < 50, result.status)
    expect(100_000 < len(result.stdout) < 100_100 and result.truncated > 1_000_000, result.truncated)


@promise()
async def output_before_a_timeout_is_kept(bench: Bench) -> None:
    """What was written before the deadline is kept."""
    result = await bench.run("import time\nprint('so far')\ntime.sleep(60)", wall_s=0.5)
    expect((result.status, result.stdout) == (TIMEOUT, "so far\n") and result.wall_s >= 0.5 > result.cpu_s, result)


ENDLESS: Mapping[str, str] = {
    "busy": "while True: pass",
    "ignores-signals": "import signal, time\n"
    "for number in set(range(1, 32)) - {9, 19}: signal.signal(number, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    "stops-itself": "import os; os.kill(os.getpid(), 19)",
    "thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
    "atexit": "import atexit, time\natexit.register(time.sleep, 60)",
    "hanging-str": "import time\nclass C:\n  def __str__(self): time.sleep(60)\nprint(C())",
    "excepthook": "import sys, time\nsys.excepthook = lambda *error: time.sleep(60)\n1/0",
}
"""Programs that never end by themselves."""


for _name, _code in ENDLESS.items():
    _check = outcome(lambda result: result.status is TIMEOUT and 0.4 <= result.wall_s < 20, _code, wall_s=0.4)
    PROMISES.append(Promise(f"deadline-ends-{_name}", "The wall-clock deadline ends the program.", _check))


@promise()
async def the_cpu_limit_ends_it(bench: Bench) -> None:
    """The CPU limit ends a program, also one that ignores SIGXCPU."""
    busy = "while True: pass"
    ignoring = f"import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n{busy}"
    for result in await bench.run_all(busy, ignoring, cpu_s=1, wall_s=60):
        expect(result.status is TIMEOUT and 0.5 < result.cpu_s < 10, result)  # the kernel counts in ticks


@promise()
async def cpu_time_counts_children(bench: Bench) -> None:
    """CPU seconds count the program's processes."""
    code = "import os\nif os.fork() == 0:\n    sum(range(20_000_000)); os._exit(0)\nos.wait()"
    result = await bench.run(code)
    expect(result.cpu_s > 0.1, result)


BOMBS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "at-once": ("x = [0] * 10**9", ()),
    "step-by-step": ("x = []\nwhile True: x.append(bytearray(1 << 20))", ()),
    "many-processes": (
        "import os, time\nfor _ in range(10):\n  if os.fork() == 0: break\nb = bytearray(60 << 20); time.sleep(30)",
        (),
    ),
    "shared-memory-files": (
        "import os\nfor i in range(1000): open(f'/dev/shm/{i}', 'wb').write(b'x' * (8 << 20))",
        ("file-budget",),
    ),
    "scratch-files": ("for i in range(1000): open(f'{i}', 'wb').write(b'x' * (8 << 20))", ("file-budget",)),
    "many-files": ("for i in range(10**7): open(f'{i}', 'w').close()", ("file-budget",)),
}
"""Programs that take more memory than they may, and what claims that needs."""


for _name, (_code, _needs) in BOMBS.items():
    _check = outcome(lambda result: result.status is MEMORY, _code, memory_mb=128, wall_s=60)
    _meaning = "The memory limit ends the program."
    PROMISES.append(Promise(f"memory-limit-ends-{_name}", _meaning, _check, frozenset(_needs)))


@promise()
async def a_tiny_memory_limit_is_the_programs_matter(bench: Bench) -> None:
    """A limit below what Python itself takes is the program's memory error, not a fault."""
    result = await bench.run("x = bytearray(8 << 20)", memory_mb=1)
    expect(result.status is MEMORY, result)


@promise()
async def the_file_size_is_limited(bench: Bench) -> None:
    """No file may grow beyond its limit."""
    code = "f = open('big', 'wb')\nfor _ in range(9): f.write(b'x' * (1 << 20)); f.flush()"
    result = await bench.run(code, file_mb=4)
    expect(result.status is ERROR and "File too large" in result.stderr, result)


@promise("process-limit")
async def the_process_limit_stops_a_fork_bomb(bench: Bench) -> None:
    """A fork bomb meets the process limit."""
    result = await bench.run("import os\nwhile True: os.fork()", processes=20, wall_s=5)
    expect(result.status in (ERROR, TIMEOUT), result)
    expect((await bench.run("print('still works')")).stdout == "still works\n", "nothing ran afterwards")


@promise()
async def senseless_limits_are_refused(bench: Bench) -> None:
    """A limit that is zero, negative or NaN is refused by name."""
    for name in ("wall_s", "cpu_s", "memory_mb", "file_mb", "processes", "output_bytes"):
        for value in (0, -1, math.nan):
            try:
                result = await bench.run("print(1)", **{name: value})
            except ValueError as error:
                expect(name in str(error), error)
            else:
                expect(False, f"{name}={value} was accepted: {result}")
