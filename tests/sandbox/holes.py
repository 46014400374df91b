"""Jails with a hole, and what must survive them: whatever is not the jail's own stays as it is, and start() refuses.

Usage, to try all of them as the user who runs this, or those named: holes.py [NAME...]. Prints one JSON object per
hole. Needs no package but ours.

Should a sandbox not refuse, it would empty folders of this machine. Root therefore runs this with file systems of its
own over them (``in_own_mounts``).
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
from unittest import mock

from r1ci_plugins.errors import InfrastructureFault, SandboxUnavailable
from r1ci_plugins.sandbox import canary
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
        script: Text of the program, in bash; ``$REAL`` is the true one, ``$IN_SHM`` and ``$IN_TMP`` are folders with
            a sentinel.
        named: A pattern that the refusal must match.
        binary: Whose place it takes.
    """

    name: str
    script: str
    named: str
    binary: str = "firejail"


VERSION = '[ "$1" = --version ] && { echo "firejail version 0.9.72"; exit 0; }\n'
RUN_IT = (
    VERSION + 'until [[ "$1" == -- || "$1" == */bin/python* ]]; do shift; done; [ "$1" != -- ] || shift; exec "$@"\n'
)


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
                "--tmpfs {folder} "*|"--proc {folder} "*) {there}; shift 2;;
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
    # Where Python itself is below /tmp, its place stays shown.
    Hole("host-home", without("--private", f"--whitelist={HOME}/*"), f"does not isolate: private-{HOME}"),
    Hole("bwrap-no-jail", RUN_IT, "does not isolate: mnt-namespace.* private-/r1ci private-/dev/shm", "bwrap"),
    Hole("bwrap-host-processes", without("--unshare-pid", "--as-pid-1"), "does not isolate: pid-namespace", "bwrap"),
    Hole("bwrap-host-proc", mounting("/proc", "/proc"), "does not isolate: private-processes", "bwrap"),
    Hole("bwrap-part-of-shm", mounting("/dev/shm", "$IN_SHM"), "does not isolate: private-/dev/shm", "bwrap"),
    Hole("bwrap-other-folder", mounting("/dev/shm", "$IN_TMP"), "does not isolate: private-/dev/shm", "bwrap"),
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

    def folder(self, place: str) -> str:
        """The sentinels' folder in that place."""
        return next(path for path in self.paths if os.path.dirname(path) == place and os.path.isdir(path))


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


LEAVE_SOMETHING = "import os\nopen('file', 'w').close()\nif os.fork() == 0:\n  os.setsid()\n  while True: pass"


async def use(backend: str, code: str = LEAVE_SOMETHING) -> str:
    """Start a sandbox, run a program, end it; return what the program printed."""
    sandbox = BACKENDS[backend](concurrency=1, preload="light")
    try:
        await sandbox.start()
        return (await sandbox.run(code, Limits(wall_s=20))).stdout
    finally:
        await sandbox.close()


def replace_scratch() -> tuple[str, list[str]]:
    """Without a jail, put a link to a folder of the host in the place of scratch; return as ``fall_into``."""
    with sentinels() as survivors, tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        code = textwrap.dedent(f"""
            import os
            parent = os.path.dirname(os.getcwd())
            try:
                os.rename(parent, "{folder}/moved")
                os.symlink("{survivors.folder("/var/tmp")}", parent)
                open("{folder}/link", "w").write(parent)
            except OSError as error:
                print("denied", error)
        """)
        try:
            said = asyncio.run(use("rlimits", code))
        except InfrastructureFault as fault:
            said = str(fault)
        link = Path(folder, "link")
        if link.exists():
            Path(link.read_text()).unlink()
    return said, survivors.harmed


def fall_into(hole: Hole) -> tuple[str, list[str]]:
    """Start a sandbox in a jail with that hole; return what start() says and what was harmed."""
    said = "nothing: it started"
    with tempfile.TemporaryDirectory() as folder, sentinels() as survivors:
        victims = f"IN_SHM={survivors.folder('/dev/shm')}\nIN_TMP={survivors.folder('/var/tmp')}\n"
        fake(Path(folder), victims + hole.script, hole.binary)
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{folder}{os.pathsep}{path}"
        try:
            asyncio.run(use(hole.binary))
        except SandboxUnavailable as refusal:
            said = str(refusal) if refusal.fix else f"a refusal without a fix: {refusal}"
        finally:
            os.environ["PATH"] = path
    return said, survivors.harmed


IN_OWN_MOUNTS = """
mount -t tmpfs tmpfs /mnt
for folder in /dev/shm /tmp /var/tmp "$1"; do
    mkdir -p "/mnt$folder/upper" "/mnt$folder/work"
    chmod --reference="$folder" "/mnt$folder/upper"
    chown --reference="$folder" "/mnt$folder/upper"
    mount -t overlay -o "lowerdir=$folder,upperdir=/mnt$folder/upper,workdir=/mnt$folder/work" overlay "$folder"
done
shift
exec "$@"
"""


def in_own_mounts(home: str, *command: str) -> list[str]:
    """A command that runs another one so that what it does to shared folders and the home, nobody else sees."""
    if os.geteuid() != 0:
        return [*command]
    return ["unshare", "--mount", "sh", "-euc", IN_OWN_MOUNTS, "sh", home, *command]


SHARING = [hole for hole in HOLES if "does not isolate: private-/" in hole.named]
NAMES = [
    *(hole.name for hole in HOLES),
    *(f"unseen-{hole.name}" for hole in SHARING),  # the same, as if device numbers told nothing
    *("replaced-scratch", *BACKENDS),  # without a jail, and sandboxes that work
]


def attempt(name: str) -> None:
    """Try what has that name and print what happened, if this machine can."""
    refused: object = True
    hole = {hole.name: hole for hole in HOLES}.get(name.removeprefix("unseen-"))
    tool = hole.binary if hole else name if name in ("firejail", "bwrap") else "/usr/bin/python3"
    if shutil.which(tool) is None:
        return
    if hole is not None:
        with contextlib.ExitStack() as stack:
            if name != hole.name:
                stack.enter_context(mock.patch.object(canary, "host_devices", lambda folders: set()))
            said, harmed = fall_into(hole)
        refused = re.search(hole.named, said)
    elif name == "replaced-scratch":
        said, harmed = replace_scratch()
        refused = re.search("replaced|denied", said)
    else:
        with sentinels() as survivors:
            said = asyncio.run(use(name))
        harmed = survivors.harmed
    print(json.dumps({"hole": name, "refused": bool(refused), "said": said, "harmed": harmed}), flush=True)


if __name__ == "__main__":
    for one in sys.argv[1:] or NAMES:
        attempt(one)
