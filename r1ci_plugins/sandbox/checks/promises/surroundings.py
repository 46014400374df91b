"""What a program finds when it starts: an ordinary main program, libraries, the same state every time."""

import os
import secrets

from r1ci_plugins.sandbox.checks.bench import OK, Bench
from r1ci_plugins.sandbox.checks.promises.promise import Promise, expect, register_in
from r1ci_plugins.sandbox.preload import PROFILES

PROMISES: list[Promise] = []
promise = register_in(PROMISES)


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
    """The host's environment variables are hidden, also in /proc."""
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
    """Only with `show_last_expression` is the value of a last expression printed, as in a notebook."""
    expect((await bench.run("x = 20\nx + 1")).stdout == "", "it was shown without being asked for")
    async with bench.another(concurrency=1, show_last_expression=True) as other:
        silent = {"None": "", "5;": "", "x = 5": "", "": ""}
        for code, shown in {"x = 20\nx + 1": "21\n", "print('a')\n'b'": "a\n'b'\n", **silent}.items():
            result = await other.run(code)
            expect((result.stdout, result.status) == (shown, OK), (code, result))
        result = await other.run("x = 1\n1 / 0")
        expect('File "main.py", line 2' in result.stderr and "    1 / 0" in result.stderr, result.stderr)
