"""Attacks that take everything: memory, files, processes, descriptors, output."""

# ruff: noqa: E501 - programs as they are run
from collections.abc import Callable

from r1ci_plugins.sandbox.checks.attacks.attack import Attack, ended, register_in
from r1ci_plugins.sandbox.checks.bench import ERROR, MEMORY, OK, OUTPUT, TIMEOUT
from r1ci_plugins.sandbox.contract import ExecutionResult

ATTACKS: list[Attack] = []
attack = register_in(ATTACKS)


FLOOD = {"output_bytes": 10_000, "wall_s": 30.0}


def exhaust(
    name: str, code: str, held: Callable[[ExecutionResult], bool], needs: str = "", /, **limits: float
) -> None:
    """List an attack of this family."""
    tries = "Take all memory, files, processes, descriptors or output."
    enforced_by = "the kernel's limits, the watchdog, the cap on output"
    limits = {"memory_mb": 200, **limits}
    attack(f"exhaust-{name}", tries, enforced_by, code, needs=needs, held=held, limits=limits)


exhaust("one-process", "x = []\nwhile True: x.append(bytearray(1 << 20))", ended(MEMORY))
exhaust(
    "ten-processes",
    "for _ in range(10):\n  if os.fork() == 0: break\nb = bytearray(60 << 20); time.sleep(30)",
    ended(MEMORY),
)
exhaust(
    "shared-mapping",
    "import mmap\nm = mmap.mmap(-1, 400 << 20)\n"
    "for i in range(0, 400 << 20, 4096): m[i] = 1\ntime.sleep(9)\nprint('REACHED')",
    ended(MEMORY, ERROR),
)
exhaust(
    "shared-mappings-of-children",
    "import mmap\nfor _ in range(8):\n  m = mmap.mmap(-1, 60 << 20)\n  if os.fork() == 0: break\n"
    "for i in range(0, 60 << 20, 4096): m[i] = 1\ntime.sleep(9)\nprint('REACHED')",
    ended(MEMORY),
)
exhaust(
    "files-in-shared-memory",
    "for i in range(1000): open(f'/dev/shm/{i}', 'wb').write(b'x' * (8 << 20))\nprint('REACHED')",
    ended(MEMORY),
    "file-budget",
)
exhaust(
    "deleted-files",
    "kept = []\nfor i in range(200):\n  f = open('f', 'wb'); f.write(b'x' * (8 << 20)); f.flush(); kept.append(f)\n"
    "  os.unlink('f')\nprint('REACHED')",
    ended(MEMORY),
    "file-budget",
)
exhaust("inodes", "for i in range(10**7): open(f'{i}', 'w').close()", ended(MEMORY), "file-budget", memory_mb=30)
exhaust(
    "big-file",
    "f = open('big', 'wb')\nwhile True: f.write(b'x' * (1 << 20)); f.flush()",
    ended(ERROR, MEMORY),
    file_mb=8,
)
exhaust(
    "sparse-file",
    "attempt('truncate', lambda: open('sparse', 'wb').truncate(1 << 40))\n"
    "attempt('fallocate', lambda: os.posix_fallocate(os.open('s', os.O_CREAT | os.O_RDWR), 0, 1 << 32))",
    ended(OK, ERROR),
    file_mb=8,
)
exhaust(
    "zip-bomb",
    "import zlib\ndata = zlib.compress(bytes(50 << 20))\nx = [zlib.decompress(data) for _ in range(20)]",
    ended(MEMORY),
)
exhaust(
    "huge-arguments",
    "attempt('exec', lambda: os.execv('/bin/true', ['x' * (1 << 22)]))\n"
    "import subprocess\ntry: subprocess.run(['/bin/true'] + ['x' * 100000] * 100)\nexcept OSError as e: print('held', e)",
    ended(OK),
)
exhaust("deep-recursion", "sys.setrecursionlimit(10**9)\ndef f(): return f() + 1\nf()", ended(ERROR, MEMORY))
exhaust(
    "deep-c-recursion",
    "import pickle\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**5): x = [x]\nrepr(x)",
    ended(ERROR, MEMORY),
)
exhaust(
    "threads",
    "import threading\nfor _ in range(10**4): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    ended(ERROR, MEMORY),
    "process-limit",
)
exhaust("fork-bomb", "while True: os.fork()", ended(ERROR, TIMEOUT, MEMORY), "process-limit", processes=20, wall_s=3)
exhaust(
    "fork-bomb-that-ignores-errors",
    "while True:\n  try: os.fork()\n  except OSError: pass",
    ended(TIMEOUT, ERROR, MEMORY),
    "process-limit",
    processes=20,
    wall_s=1,
)
exhaust(
    "descriptors",
    "kept = []\nwhile True:\n  try: kept.append(os.dup(0))\n  except OSError as e: print('held', e); break\n"
    "print('REACHED' if len(kept) > 1100 else 'held', len(kept))",
    ended(OK),
)
exhaust("output-of-a-gigabyte", "while True: os.write(1, b'x' * (1 << 20))", ended(OUTPUT), **FLOOD)
exhaust("error-output-of-a-gigabyte", "while True: os.write(2, b'x' * (1 << 20))", ended(OUTPUT), **FLOOD)
exhaust("order-marks-without-end", "while True: os.write(250, b'x' * (1 << 16))", ended(OUTPUT, ERROR), **FLOOD)
exhaust(
    "order-marks-of-nothing",
    "data = (sys.stderr.buffer.raw.token + b'00000000') * 1000\nwhile True: os.write(250, data)",
    ended(OUTPUT, ERROR),
    **FLOOD,
)
exhaust(
    "marks-without-end",
    "while True:\n  try: os.write(251, b'm' * (1 << 16))\n  except OSError as e: print('held', e); break",
    ended(OK, TIMEOUT, ERROR),
    wall_s=1,
)
exhaust(
    "empty-writes-to-stderr", "while True: sys.stderr.write('x')", ended(OUTPUT, TIMEOUT), output_bytes=1000, wall_s=2
)
