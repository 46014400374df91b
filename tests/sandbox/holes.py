"""Jails with a hole, and what must survive them: whatever is not the jail's own stays as it is, and start() refuses.

Usage, to try all of them as the user who runs this: holes.py. Prints one JSON object per hole. Needs no package but
ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from r1ci_plugins.errors import SandboxUnavailable
from r1ci_plugins.sandbox.backends.bwrap import BubblewrapSandbox
from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox
from r1ci_plugins.sandbox.backends.rlimits import RlimitsSandbox
from r1ci_plugins.sandbox.contract import Limits, Sandbox

# A new backend adds itself here, and the whole contract suite runs against it.
BACKENDS: dict[str, Callable[..., Sandbox]] = {
    "firejail": FirejailSandbox,
    "bwrap": BubblewrapSandbox,
    # Without a jail its programs cannot read a Python that only root may read.
    "rlimits": partial(RlimitsSandbox, python="/usr/bin/python3"),
}
HOME = pwd.getpwuid(os.getuid()).pw_dir


@dataclass(frozen=True)
class Hole:
    """A program in the place of a jail's, and what start() must say of it.

    Attributes:
        name: Short name.
        script: Text of the program, in bash; ``$REAL`` is the true one.
        named: A pattern that the refusal must match.
        binary: Whose place it takes.
    """

    name: str
    script: str
    named: str
    binary: str = "firejail"


VERSION = '[ "$1" = --version ] && { echo "firejail version 0.9.72"; exit 0; }\n'
RUN_IT = VERSION + 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'


def without(*options: str, more: str = "") -> str:
    """Leave options of firejail out, and add others."""
    patterns = "|".join(options)
    loop = f'args=(); for a in "$@"; do case "$a" in {patterns}) ;; *) args+=("$a");; esac; done\n'
    return VERSION + loop + f'exec "$REAL" {more} "${{args[@]}}"\n'


def mounting(folder: str, source: str) -> str:
    """Show a folder of the host where bubblewrap is to mount an empty one."""
    there = f"args+=(--bind {source} {folder})"
    return textwrap.dedent(f"""
        args=()
        while [ $# -gt 0 ]; do
            case "$*" in
                "--perms 1777 --tmpfs {folder} "*) {there}; shift 4;;
                "--tmpfs {folder} "*) {there}; shift 2;;
                *) args+=("$1"); shift;;
            esac
        done
        exec "$REAL" "${{args[@]}}"
    """)


HOLES = (
    Hole("runs-unsandboxed", RUN_IT, "does not isolate: mnt-namespace pid-namespace net-namespace.*seccomp"),
    Hole("does-nothing", VERSION + "exit 0\n", "did not start Python: it ended with status 0"),
    Hole("pretends-to-start", VERSION + "echo started; echo started >&0; exit 0\n", "."),
    Hole("fails", VERSION + "echo 'no permission' >&2; exit 1\n", "(?s)status 1.*no permission"),
    Hole("too-old", 'echo "firejail version 0.9.66"\n', "0.9.66 is too old"),
    Hole("no-version", "echo hello\n", "does not tell a version"),
    Hole("no-output", "exit 1\n", "does not tell a version"),
    Hole("same-network", without("--net=none"), "net-namespace"),
    Hole("no-seccomp", without("--seccomp*", "--restrict-namespaces"), "seccomp"),
    Hole("keeps-capabilities", without("--caps*", "--noroot"), "capabilities"),
    # Where Python itself is below /tmp, its place is shown and nothing else of the host's.
    Hole(
        "host-tmp",
        without("--private-tmp", "--read-only=/tmp"),
        r"hidden-files.*r1ci-canary|read-only \(can write to \['/tmp'\]",
    ),
    Hole("writable-tmp", without("--read-only=/var/tmp"), "read-only.*/var/tmp"),
    Hole("host-shm", without("--private-dev"), "does not isolate: private-/dev/shm"),
    Hole("kept-shm", without("none", more="--keep-dev-shm"), "does not isolate: private-/dev/shm"),
    Hole("host-home", without("--private", "--whitelist=*"), f"does not isolate: private-{HOME}"),
    Hole("bwrap-host-shm", mounting("/dev/shm", "/dev/shm"), "does not isolate: private-/dev/shm", "bwrap"),
    Hole("bwrap-host-home", mounting("/r1ci", HOME), "does not isolate: private-/r1ci", "bwrap"),
    Hole("bwrap-host-tmp", mounting("/r1ci", "/tmp"), "does not isolate: private-/r1ci", "bwrap"),
)


def fake(folder: Path, script: str, binary: str = "firejail") -> None:
    """Write a program that takes the place of a jail's when the folder stands first in PATH."""
    path = folder / binary
    path.write_text(f"#!/bin/bash\nREAL={shutil.which(binary)}\n{textwrap.dedent(script)}")
    path.chmod(0o755)


@dataclass
class Survivors:
    """What must not change while a sandbox runs.

    Attributes:
        paths: Files and folders.
        process: A process of this user.
        harmed: What has changed, filled in at the end.
    """

    paths: list[str]
    process: subprocess.Popen[bytes]
    harmed: list[str] = field(default_factory=list)


def state(path: str, *, whole: bool) -> object:
    """What would show that somebody touched a file or folder; without ``whole`` it may get other entries."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return "it is gone"
    return found.st_ino, oct(found.st_mode), found.st_uid, found.st_gid, found.st_ctime_ns if whole else 0


@contextlib.contextmanager
def sentinels() -> Iterator[Survivors]:
    """Files in every place that a jail empties or might, and a process of this user."""
    places = [place for place in ("/dev/shm", "/tmp", "/var/tmp", HOME) if os.access(place, os.W_OK)]
    with contextlib.ExitStack() as stack:
        paths = []
        for place in places:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="r1ci-sentinel-", dir=place))
            Path(folder, "file").write_text("still here")
            beside = stack.enter_context(tempfile.NamedTemporaryFile(prefix="r1ci-sentinel-", dir=place, delete=False))
            stack.callback(Path(beside.name).unlink, missing_ok=True)
            paths += [folder, f"{folder}/file", beside.name]
        before = {path: state(path, whole=True) for path in paths}
        before |= {place: state(place, whole=False) for place in places}
        process = stack.enter_context(subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]))
        stack.callback(process.kill)
        survivors = Survivors(paths, process)
        yield survivors
        for path, was in before.items():
            if (now := state(path, whole=path in paths)) != was:
                survivors.harmed.append(f"{path}: {was} became {now}")
        if process.poll() is not None:
            survivors.harmed.append(f"the process ended with {process.returncode}")


async def use(backend: str) -> None:
    """Start a sandbox, run a program that leaves files and processes, end it."""
    sandbox = BACKENDS[backend](concurrency=1, preload="light")
    try:
        await sandbox.start()
        code = "import os\nopen('file', 'w').close()\nif os.fork() == 0:\n  os.setsid()\n  while True: pass"
        await sandbox.run(code, Limits(wall_s=20))
    finally:
        await sandbox.close()


def fall_into(hole: Hole) -> tuple[str, list[str]]:
    """Start a sandbox in a jail with that hole; return what start() says and what was harmed."""
    said = "nothing: it started"
    with tempfile.TemporaryDirectory() as folder, sentinels() as survivors:
        fake(Path(folder), hole.script, hole.binary)
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{folder}{os.pathsep}{path}"
        try:
            asyncio.run(use(hole.binary))
        except SandboxUnavailable as refusal:
            said = str(refusal) if refusal.fix else f"a refusal without a fix: {refusal}"
        finally:
            os.environ["PATH"] = path
    return said, survivors.harmed


def main() -> None:
    """Fall into all of them."""
    for hole in HOLES:
        if shutil.which(hole.binary):
            said, harmed = fall_into(hole)
            refused = re.search(hole.named, said) is not None
            print(json.dumps({"hole": hole.name, "refused": refused, "said": said, "harmed": harmed}), flush=True)
    for backend in BACKENDS:
        if backend == "rlimits" or shutil.which(backend):
            with sentinels() as survivors:
                asyncio.run(use(backend))
            print(json.dumps({"hole": backend, "refused": True, "said": "", "harmed": survivors.harmed}), flush=True)


if __name__ == "__main__":
    main()
