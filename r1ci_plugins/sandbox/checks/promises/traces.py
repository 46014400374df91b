"""A program leaves nothing behind, and programs do not see each other."""

import asyncio
import secrets
import time
from collections.abc import Awaitable

from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.sandbox.checks.bench import OK, Bench, processes_named
from r1ci_plugins.sandbox.checks.promises.promise import Promise, expect, register_in
from r1ci_plugins.sandbox.contract import ExecutionResult, Limits

PROMISES: list[Promise] = []
promise = register_in(PROMISES)


@promise("scratch")
async def scratch_is_fresh(bench: Bench) -> None:
    """Scratch holds main.py alone, is writable, and gone afterwards."""
    write = """
import os
assert os.listdir(".") == ["main.py"]
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
    expect(before == after and len(after) == 1 and "['main.py'] [] True 700" in min(after), (before, after))


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


@promise()
async def daemons_are_gone(bench: Bench) -> None:
    """Processes that detach themselves are gone when the result is there."""
    for daemonise in ("os.setsid()", "os.setpgid(0, 0)"):
        name = f"r1ci-{secrets.token_hex(4)}"
        code = f"""
import os, time
if os.fork() == 0:
    {daemonise}
    os.fork()
    open("/proc/self/comm", "w").write({name!r})
    time.sleep(1000)
time.sleep(0.3)
print("done")
"""
        result = await bench.run(code)
        expect((result.status, result.stdout) == (OK, "done\n"), result)
        expect(processes_named(name) == [], f"processes {processes_named(name)} are left")


@promise()
async def queueing_is_not_running(bench: Bench) -> None:
    """Time in the queue is reported separately and does not count towards the deadline."""
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
    expect(listing == "['main.py']" and int(count) <= 4, result.stdout)


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
