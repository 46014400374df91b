"""What a result says about a program."""

from collections.abc import Callable, Mapping

from r1ci_plugins.sandbox.checks.bench import ERROR, OK, Bench
from r1ci_plugins.sandbox.checks.promises.promise import Promise, expect, outcome, register_in
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Sandbox

PROMISES: list[Promise] = []
promise = register_in(PROMISES)


@promise()
async def results_are_complete(bench: Bench) -> None:
    """A result has a program's output, how it ended, what it cost, and what isolated it."""
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
    outer = 'Traceback (most recent call last):\n  File "main.py", line 5, in <module>\n    half(1)\n'
    inner = '  File "main.py", line 2, in half\n    return x / 0\n'
    expect(result.stderr.startswith(outer + inner), result.stderr)
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


def _ended(status: ExecutionStatus, exit_code: int) -> Callable[[ExecutionResult], bool]:
    return lambda result: (result.status, result.exit_code) == (status, exit_code)


for _name, (_code, _status, _exit) in ENDS.items():
    _meaning = f"A program that ends like this has the status {_status.value} and the exit code {_exit}."
    PROMISES.append(Promise(f"ends-{_name}", _meaning, outcome(_ended(_status, _exit), _code)))


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
