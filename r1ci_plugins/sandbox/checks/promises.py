"""What every sandbox promises, as data: each promise has a name, a meaning and a check against a real sandbox.

``r1ci sandbox check`` runs them against any backend, a plugin's too, and our tests run them against ours. Checks use
the public contract only. A backend that openly does not give something says so by leaving it out of its ``claims``
(names of ``CLAIMS``); a backend without that attribute claims everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits, Sandbox
from r1ci_plugins.sandbox.preload import PROFILES

OK, ERROR, TIMEOUT = ExecutionStatus.OK, ExecutionStatus.ERROR, ExecutionStatus.TIMEOUT
MEMORY, OUTPUT = ExecutionStatus.MEMORY, ExecutionStatus.OUTPUT

CLAIMS: Mapping[str, str] = {
    **canary.CHECKS,
    "process-limit": "the processes of a program are limited",
    "file-budget": "what files in scratch and shared memory hold counts as memory of the program",
}
"""What a backend can claim, and what each means."""


class BrokenPromise(AssertionError):
    """A sandbox did not do what it promises; the message says what was seen."""


class Verdict(StrEnum):
    """What a check found."""

    HELD = "held"
    BROKEN = "broken"
    SKIPPED = "skipped"  # the backend does not claim it


@dataclass(frozen=True)
class Outcome:
    """What became of one promise or one attack.

    Attributes:
        name: Which.
        meaning: One sentence on it.
        verdict: How it ended.
        saw: What was seen, if it did not hold, or why it was skipped.
    """

    name: str
    meaning: str
    verdict: Verdict
    saw: str = ""


class Bench:
    """A started sandbox and the means to make another of its kind.

    Args:
        make: Makes a sandbox; takes at least ``concurrency``.
        sandbox: One that is started and runs two programs at a time.
    """

    def __init__(self, make: Callable[..., Sandbox], sandbox: Sandbox) -> None:
        self.make, self.sandbox = make, sandbox

    @property
    def claims(self) -> Collection[str]:
        """What the sandbox claims."""
        claims: Collection[str] = getattr(self.sandbox, "claims", CLAIMS)
        return claims

    def lacks(self, needs: Collection[str], options: Collection[str] = ()) -> str:
        """Say why something cannot be asked of this sandbox; empty if it can."""
        if unclaimed := sorted(set(needs) - set(self.claims)):
            return f"{self.sandbox.isolation} does not claim {', '.join(unclaimed)}"
        known = inspect.signature(self.make).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()) and (other := set(options) - known.keys()):
            return f"{self.sandbox.isolation} has no option {', '.join(sorted(other))}"
        return ""

    async def run(self, code: str, **limits: float) -> ExecutionResult:
        """Run one program; limits as in ``Limits``."""
        return await self.sandbox.run(code, Limits(**{"wall_s": 20.0, **limits}))  # type: ignore[arg-type]

    async def run_all(self, *codes: str, **limits: float) -> list[ExecutionResult]:
        """Run several at once."""
        return await asyncio.gather(*(self.run(code, **limits) for code in codes))

    @contextlib.asynccontextmanager
    async def another(self, **options: object) -> AsyncIterator[Bench]:
        """A second sandbox of this kind, started."""
        async with opened(self.make, **options) as bench:
            yield bench


@contextlib.asynccontextmanager
async def opened(make: Callable[..., Sandbox], **options: object) -> AsyncIterator[Bench]:
    """A bench with a started sandbox, closed at the end."""
    sandbox = make(**options)
    try:
        await sandbox.start()
        yield Bench(make, sandbox)
    finally:
        await sandbox.close()


@dataclass(frozen=True)
class Promise:
    """One promise of the contract.

    Attributes:
        name: Short name.
        meaning: One sentence.
        check: Raises BrokenPromise if it does not hold.
        needs: Names of ``CLAIMS`` without which nobody promises this.
        options: Options of the backend that it is about.
    """

    name: str
    meaning: str
    check: Callable[[Bench], Awaitable[None]]
    needs: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()

    async def examine(self, bench: Bench) -> Outcome:
        """Try it. What the sandbox raises is broken too, since no promise allows that."""
        if reason := bench.lacks(self.needs, self.options):
            return Outcome(self.name, self.meaning, Verdict.SKIPPED, reason)
        try:
            await self.check(bench)
        except BrokenPromise as broken:
            return Outcome(self.name, self.meaning, Verdict.BROKEN, str(broken))
        except Exception as error:
            return Outcome(self.name, self.meaning, Verdict.BROKEN, f"{type(error).__name__}: {error}")
        return Outcome(self.name, self.meaning, Verdict.HELD)


PROMISES: list[Promise] = []
"""All of them, in the order in which they are tried."""


def promise(*needs: str, options: Collection[str] = ()) -> Callable:
    """Register a check under its function's name; its docstring is what it means."""

    def register(check: Callable[[Bench], Awaitable[None]]) -> Callable[[Bench], Awaitable[None]]:
        name = check.__name__.replace("_", "-")
        PROMISES.append(Promise(name, check.__doc__ or "", check, frozenset(needs), frozenset(options)))
        return check

    return register


def expect(holds: bool, saw: object) -> None:
    """Break the promise with what was seen unless something holds."""
    if not holds:
        raise BrokenPromise(str(saw)[:2000])


def processes_named(name: str) -> list[int]:
    """Living processes of this machine with that name, as far as they can be seen."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[0]
            if Path("/proc", entry, "comm").read_text().strip() == name and state not in "ZX":
                found.append(int(entry))
    return found


# What a result says.


@promise()
async def results_are_complete(bench: Bench) -> None:
    """A program's output, end and cost are told, and what isolated it."""
    expect(isinstance(bench.sandbox, Sandbox), "it lacks a method or attribute of the Sandbox protocol")
    result = await bench.run("print(6 * 7)")
    expect((result.stdout, result.stderr, result.status, result.exit_code) == ("42\n", "", OK, 0), result)
    expect((result.truncated, result.isolation, result.output) == (0, bench.sandbox.isolation, "42\n"), result)
    expect(0 < result.wall_s < 20 and 0 < result.cpu_s < 20 and result.queue_s >= 0 and result.attempts >= 1, result)


@promise()
async def streams_are_apart(bench: Bench) -> None:
    """Stdout and stderr are kept apart, and standard input is empty."""
    code = "import sys; print(repr(sys.stdin.read()), repr(sys.stdin.buffer.read())); print('e', file=sys.stderr)"
    result = await bench.run(code)
    expect((result.stdout, result.stderr) == ("'' b''\n", "e\n"), result)
    expect("EOFError" in (await bench.run("input()")).stderr, "input() did not end with EOFError")


@promise()
async def output_is_in_order(bench: Bench) -> None:
    """`output` holds both streams in the order in which they were written."""
    lines = "".join(f"o{i}\n{'x' * i}e{i}\n" for i in range(30))
    each = "print(f'o{i}'); print('x' * i, end=''); print(f'e{i}', file=sys.stderr)"
    code = f"import sys\nfor i in range(30): {each}"
    result = await bench.run(code)
    expect(result.output == lines, result.output)
    result = await bench.run("print('first')\n1/0")
    expect(result.output.startswith("first\nTraceback"), result.output)


@promise()
async def tracebacks_show_the_program(bench: Bench) -> None:
    """Tracebacks name main.py, with the lines and their numbers as the program has them."""
    result = await bench.run("def half(x):\n    return x / 0\n\nprint('before')\nhalf(1)\n")
    expect((result.status, result.exit_code, result.stdout) == (ERROR, 1, "before\n"), result)
    first = [
        "Traceback (most recent call last):",
        '  File "main.py", line 5, in <module>',
        "    half(1)",
        '  File "main.py", line 2, in half',
        "    return x / 0",
    ]
    expect(result.stderr.splitlines()[:5] == first, result.stderr)
    expect(result.stderr.endswith("ZeroDivisionError: division by zero\n"), result.stderr)


@promise()
async def source_can_be_inspected(bench: Bench) -> None:
    """A program can print its own tracebacks and read its own source."""
    code = (
        "import inspect, traceback\ndef f():\n    raise ValueError('mine')\n"
        "try:\n    f()\nexcept ValueError:\n    print(traceback.format_exc())\nprint(inspect.getsource(f))\n"
    )
    result = await bench.run(code)
    expect(result.status is OK and result.stdout.count("raise ValueError('mine')") == 2, result)


@promise()
async def syntax_errors_show_the_line(bench: Bench) -> None:
    """A syntax error shows the line."""
    result = await bench.run("x = 1\ny = (2\n")
    expect(result.status is ERROR, result)
    expect(all(part in result.stderr for part in ('File "main.py", line 2', "y = (2", "SyntaxError")), result.stderr)


ENDS: Mapping[str, tuple[str, ExecutionStatus, int]] = {
    "empty": ("", OK, 0),
    "exit-status": ("import sys; sys.exit(3)", ERROR, 3),
    "exit-text": ("import sys; sys.exit('no')", ERROR, 1),
    "exit": ("exit()", OK, 0),
    "os-exit": ("import os; os._exit(7)", ERROR, 7),
    "abort": ("import os; os.abort()", ERROR, -6),
    "segmentation-fault": ("import ctypes; ctypes.string_at(0)", ERROR, -11),
    "killed-by-itself": ("import os; os.kill(os.getpid(), 9)", ERROR, -9),
    "nul-byte": ("a\0b", ERROR, 1),
    "lone-surrogate": ("x = '\ud800'", ERROR, 1),
    "deep-brackets": ("(" * 5000, ERROR, 1),
    "deep-recursion": ("def f(): f()\nf()", ERROR, 1),
    "failing-excepthook": ("import sys\nsys.excepthook = 1\n1/0", ERROR, 1),
}
"""How programs end: code, status, exit code."""


def _ends(name: str, code: str, status: ExecutionStatus, exit_code: int) -> None:
    async def check(bench: Bench) -> None:
        result = await bench.run(code)
        expect((result.status, result.exit_code) == (status, exit_code), result)

    PROMISES.append(Promise(f"ends-{name}", f"A program that ends so is {status.value}, {exit_code}.", check))


for _name, _end in ENDS.items():
    _ends(_name, *_end)


@promise()
async def output_that_is_no_utf8_is_replaced(bench: Bench) -> None:
    """Invalid UTF-8 on a stream is replaced, not an error."""
    result = await bench.run("import os; os.write(1, b'caf\\xe9 \\xff'); os.write(2, b'\\x80')")
    expect((result.stdout, result.stderr, result.status) == ("caf\ufffd \ufffd", "\ufffd", OK), result)


@promise()
async def a_megabyte_of_code_runs(bench: Bench) -> None:
    """A megabyte of code runs."""
    result = await bench.run("x = 0\nx += 1  # " + "y" * 90 + "\n" + "#" * (1 << 20) + "\nprint(x)\n")
    expect((result.stdout, result.status) == ("1\n", OK), result.stderr)


# What a program finds.


@promise()
async def it_is_an_ordinary_main_program(bench: Bench) -> None:
    """The program is an ordinary `__main__`: pickling, threads, atexit and modules beside it work."""
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
    result = await bench.run(code)
    expect(result.stdout == "end 5\nthread joined\natexit ran\n", result)


@promise()
async def processes_and_pools_work(bench: Bench) -> None:
    """multiprocessing, subprocess and sys.executable work within the limits."""
    code = (
        "import multiprocessing, subprocess, sys\ndef square(x):\n    return x * x\n"
        "with multiprocessing.Pool(2) as pool:\n    print(pool.map(square, range(4)))\n"
        "print(subprocess.run(['echo', 'hi'], capture_output=True, text=True).stdout)\n"
        "print(subprocess.run([sys.executable, '-c', 'print(5)'], capture_output=True, text=True).stdout)\n"
    )
    result = await bench.run(code)
    expect(result.stdout == "[0, 1, 4, 9]\nhi\n\n5\n\n", result)


@promise()
async def libraries_can_be_imported(bench: Bench) -> None:
    """Libraries of the environment can be imported."""
    code = """
try:
    import numpy, sympy
except ModuleNotFoundError:
    print("absent")
else:
    print(sympy.factor("x**2 - 1"), numpy.arange(3).sum())
"""
    result = await bench.run(code, wall_s=60)
    expect(result.stdout in ("absent\n", "(x - 1)*(x + 1) 3\n"), result)


@promise()
async def matplotlib_draws(bench: Bench) -> None:
    """matplotlib, where installed, draws without a display."""
    code = """
try:
    import matplotlib.pyplot as plt
except ModuleNotFoundError:
    print("absent")
else:
    plt.plot([1, 2]); plt.show(); plt.savefig("figure.png")
    print(open("figure.png", "rb").read(4))
"""
    result = await bench.run(code, wall_s=60)
    expect(result.stdout in ("absent\n", "b'\\x89PNG'\n"), result)


@promise("environment")
async def the_environment_of_the_host_is_hidden(bench: Bench) -> None:
    """The environment of the host stays outside, also where /proc tells it."""
    name, value = "R1CI_CHECK_SECRET", secrets.token_hex(8)
    os.environ[name] = value
    try:
        async with bench.another(concurrency=1) as other:
            look = "import os; print(sorted(os.environ)); print(open('/proc/self/environ').read())"
            result = await other.run(look)
    finally:
        del os.environ[name]
    expect(result.status is OK and name not in result.stdout and value not in result.stdout, result)


_FIXED = (
    "import locale, random, sys, time\n"
    "print({str(i) for i in range(50)}, hash('a'), random.random(), random.sample(range(99), 5), time.tzname, "
    "time.localtime(0)[:5], sys.getfilesystemencoding(), locale.getlocale(), sys.argv, sys.getrecursionlimit())"
)


@promise()
async def answers_repeat(bench: Bench) -> None:
    """The same code gives the same answer: hash seed, random numbers, time zone and locale are fixed."""
    seen = {result.stdout for result in await bench.run_all(*[_FIXED] * 4)}
    expect(len(seen) == 1 and "" not in seen, seen)
    (text,) = seen
    expect("('UTC', 'UTC') (1970, 1, 1, 0, 0)" in text, text)


@promise(options=("preload",))
async def answers_do_not_depend_on_preloading(bench: Bench) -> None:
    """The same answer whatever libraries are imported in advance."""
    seen = {(await bench.run(_FIXED)).stdout}
    for profile in list(PROFILES)[:2]:  # the larger ones differ in size only, and start slowly
        async with bench.another(concurrency=1, preload=profile) as other:
            seen.add((await other.run(_FIXED)).stdout)
    expect(len(seen) == 1, seen)


@promise(options=("show_last_expression",))
async def the_last_expression_is_shown_on_request(bench: Bench) -> None:
    """With `show_last_expression` the value of a last expression is printed as a notebook would, without it not."""
    expect((await bench.run("x = 20\nx + 1")).stdout == "", "it was shown without being asked for")
    async with bench.another(concurrency=1, show_last_expression=True) as other:
        for code, shown in {
            "x = 20\nx + 1": "21\n",
            "print('a')\n'b'": "a\n'b'\n",
            "None": "",
            "5;": "",
            "x = 5": "",
            "": "",
        }.items():
            result = await other.run(code)
            expect((result.stdout, result.status) == (shown, OK), (code, result))
        result = await other.run("x = 1\n1 / 0")
        expect('File "main.py", line 2' in result.stderr and "    1 / 0" in result.stderr, result.stderr)


# Limits.


@promise()
async def output_is_capped_and_the_rest_counted(bench: Bench) -> None:
    """Output beyond the limit is dropped and counted."""
    result = await bench.run("import sys\nprint('a' * 3000)\nsys.stderr.write('b' * 1500)", output_bytes=1000)
    expect((result.stdout, result.stderr) == ("a" * 1000, "b" * 1000), result)
    expect((result.truncated, result.status) == (2001 + 500, OK), result)


@promise()
async def an_output_flood_ends_the_program(bench: Bench) -> None:
    """A flood of output ends the program."""
    began = time.monotonic()
    result = await bench.run("while True: print('x' * 10000)", wall_s=60, output_bytes=100_000)
    expect(result.status is OUTPUT and time.monotonic() - began < 50, result.status)
    expect(len(result.stdout) == 100_000 and result.truncated > 1_000_000, result.truncated)


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


def _endless(name: str, code: str) -> None:
    async def check(bench: Bench) -> None:
        result = await bench.run(code, wall_s=0.4)
        expect(result.status is TIMEOUT and 0.4 <= result.wall_s < 20, result)

    PROMISES.append(Promise(f"deadline-ends-{name}", "The wall-clock deadline ends the program.", check))


for _name, _code in ENDLESS.items():
    _endless(_name, _code)


@promise()
async def the_cpu_limit_ends_it(bench: Bench) -> None:
    """The CPU limit ends a program, also one that ignores SIGXCPU."""
    busy = "while True: pass"
    results = await bench.run_all(
        busy, f"import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n{busy}", cpu_s=1, wall_s=60
    )
    for result in results:
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


def _bomb(name: str, code: str, needs: tuple[str, ...]) -> None:
    async def check(bench: Bench) -> None:
        result = await bench.run(code, memory_mb=128, wall_s=60)
        expect(result.status is MEMORY, result)

    PROMISES.append(
        Promise(f"memory-limit-ends-{name}", "The memory limit ends the program.", check, frozenset(needs))
    )


for _name, _bomb_ in BOMBS.items():
    _bomb(_name, *_bomb_)


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
    """Limits of zero, below zero and NaN are refused, by name."""
    for name in ("wall_s", "cpu_s", "memory_mb", "file_mb", "processes", "output_bytes"):
        for value in (0, -1, math.nan):
            try:
                result = await bench.run("print(1)", **{name: value})
            except ValueError as error:
                expect(name in str(error), error)
            else:
                expect(False, f"{name}={value} was accepted: {result}")


# Nothing is left behind.


@promise("scratch")
async def scratch_is_fresh(bench: Bench) -> None:
    """Scratch is empty, writable and gone afterwards."""
    write = """
import os
assert os.listdir(".") == []
open("secret", "w").write("x")
for folder in (".", ".."):
    try: os.setxattr(folder, "user.left", b"x"); os.utime(folder, (1, 1))
    except OSError: pass
os.umask(0)
os.chmod(".", 0o777)
print(os.getcwd())
"""
    look = """
import os
here, above = os.stat("."), os.stat("..")
mask = os.umask(0)
print(os.listdir("."), os.listxattr("."), here.st_mtime > 1, oct(here.st_mode)[-3:], oct(mask))
try: print([name for name in os.listxattr("..") if "left" in name], above.st_mtime != 1)
except OSError: print([], True)
"""
    before = {result.stdout for result in await bench.run_all(look, look)}
    for _ in range(3):
        result = await bench.run(write)
        expect(result.status is OK, result.stderr)
    after = {result.stdout for result in await bench.run_all(look, look)}
    expect(before == after and len(after) == 1 and "[] [] True 700" in min(after), (before, after))


@promise("file-budget")
async def shared_memory_is_fresh(bench: Bench) -> None:
    """Files in shared memory are gone with the program."""
    await bench.run_all(*["open('/dev/shm/left', 'w').write('x')"] * 2)
    for result in await bench.run_all(*["import os; print(os.listdir('/dev/shm'))"] * 2):
        expect(result.stdout == "[]\n", result)


@promise()
async def patches_do_not_reach_the_next_program(bench: Bench) -> None:
    """What a program does to builtins and modules, the next does not see."""
    await bench.run("import builtins; builtins.print = None; import json; json.dumps = None")
    result = await bench.run("import json; print(json.dumps([]))")
    expect(result.stdout == "[]\n", result)


def daemon_code(name: str, daemonise: str = "os.setsid()") -> str:
    """A program that leaves two processes of that name behind."""
    return f"""
import os, time
if os.fork() == 0:
    {daemonise}
    os.fork()
    open("/proc/self/comm", "w").write({name!r})
    time.sleep(1000)
time.sleep(0.3)
print("done")
"""


@promise()
async def daemons_are_gone(bench: Bench) -> None:
    """Processes that detach themselves are gone when the result is there."""
    for daemonise in ("os.setsid()", "os.setpgid(0, 0)"):
        name = f"r1ci-{secrets.token_hex(4)}"
        result = await bench.run(daemon_code(name, daemonise))
        expect((result.status, result.stdout) == (OK, "done\n"), result)
        expect(processes_named(name) == [], f"processes {processes_named(name)} are left")


@promise()
async def queueing_is_not_running(bench: Bench) -> None:
    """Time in the queue is told apart and does not count towards the deadline."""
    results = await bench.run_all(*["import time; time.sleep(0.4)"] * 6, wall_s=2)
    expect([result.status for result in results] == [OK] * 6, results)
    expect(max(result.wall_s for result in results) < 2, results)
    expect(max(result.queue_s for result in results) > 0.3, "none of six programs waited, of which two run at a time")


@promise("processes")
async def programs_do_not_see_each_other(bench: Bench) -> None:
    """Programs that run at the same time do not see each other."""
    other = "import os, time; open('here', 'w').close(); time.sleep(1)"
    look = "import os, time; time.sleep(0.5); print(os.listdir('.'), sum(e.isdigit() for e in os.listdir('/proc')))"
    _, result = await bench.run_all(other, look)
    listing, count = result.stdout.split()
    expect(listing == "[]" and int(count) <= 4, result.stdout)


@promise()
async def results_are_not_mixed_up(bench: Bench) -> None:
    """Distinct programs at once each get their own answer."""
    results = await bench.run_all(*[f"print({number})" for number in range(60)])
    expect([result.stdout for result in results] == [f"{number}\n" for number in range(60)], results)


@promise()
async def cancellation_kills_the_program(bench: Bench) -> None:
    """Cancelling a run kills its program and frees its place."""
    name = f"r1ci-{secrets.token_hex(4)}"
    code = f"import os\nopen('/proc/self/comm', 'w').write({name!r})\nos.fork()\nwhile True: pass"
    task = asyncio.create_task(bench.run(code))
    deadline = time.monotonic() + 2
    while len(processes_named(name)) < 2 and time.monotonic() < deadline:  # never seen if it runs on another machine
        await asyncio.sleep(0.02)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    else:
        expect(False, "a cancelled run gave a result")
    deadline = time.monotonic() + 5
    while processes_named(name) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    expect(processes_named(name) == [], "its processes go on")
    results = await bench.run_all("print(1)", "print(1)")
    expect([result.stdout for result in results] == ["1\n"] * 2, results)


@promise()
async def start_and_close_can_be_repeated(bench: Bench) -> None:
    """Start and close can be repeated; outside them nothing runs, and what runs at close is a fault."""
    sandbox = bench.make(concurrency=1)
    one = Limits(wall_s=20)

    async def is_fault(running: Awaitable[ExecutionResult]) -> None:
        try:
            result = await running
        except InfrastructureFault:
            return
        expect(False, f"expected a fault, not {result}")

    try:
        await sandbox.close()
        await is_fault(sandbox.run("print(1)", one))
        await sandbox.start()
        await sandbox.start()
        running = asyncio.create_task(sandbox.run("while True: pass", one))
        waiting = asyncio.create_task(sandbox.run("print(1)", one))
        await asyncio.sleep(0.3)
        await sandbox.close()
        await sandbox.close()
        await is_fault(running)
        await is_fault(waiting)
        await is_fault(sandbox.run("print(1)", one))
        await sandbox.start()
        result = await sandbox.run("print(1)", one)
        expect(result.stdout == "1\n", result)
    finally:
        await sandbox.close()
