"""Programs under plain Python and in a sandbox: what they print and how they end must be the same."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from r1ci_plugins.sandbox.contract import ExecutionResult
from r1ci_plugins.sandbox.jail import VARIABLES

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "programs"
_UNNAMED = re.compile(r"/\S*/r1ci-scratch-\w+/scratch")  # where there is no jail
_CHANGING = (
    (re.compile(r"0x[0-9a-f]{6,}"), "0xADDRESS"),
    (re.compile(r"\b\d{12,}\b"), "IDENT"),
    (re.compile(r"\b(Thread|Process|ForkProcess|SpawnProcess|ForkServerProcess)-\d+"), r"\1-N"),
    (re.compile(r"pid=\d+"), "pid=N"),
    (re.compile(r"(object refcount) *: \d+"), r"\1 : N"),
)


@dataclass(frozen=True)
class Ending:
    """What a program printed and its exit status, without what changes from run to run."""

    stdout: str
    stderr: str
    status: int


def plain(source: bytes, python: str, timeout_s: float = 60) -> Ending:
    """Run ``python main.py`` in an empty folder, with a program's environment and an empty standard input."""
    with tempfile.TemporaryDirectory(prefix="r1ci-plain-") as folder:
        Path(folder, "main.py").write_bytes(source)
        environment = {**VARIABLES, "HOME": folder, "TMPDIR": folder}
        done = subprocess.run(
            [python, "main.py"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
        )
        return _ending(
            done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"), done.returncode, folder
        )


def sandboxed(result: ExecutionResult, scratch: str) -> Ending:
    """The same for a sandbox's result; ``scratch`` is where programs run in it."""
    stdout, stderr = (_UNNAMED.sub(scratch, text) for text in (result.stdout, result.stderr))
    return _ending(stdout, stderr, result.exit_code, scratch)


def _ending(stdout: str, stderr: str, status: int, folder: str) -> Ending:
    def same(text: str) -> str:
        text = text.replace(f"{os.path.realpath(folder)}/", "").replace(f"{folder}/", "").replace(folder, ".")
        for changing, stand_in in _CHANGING:
            text = changing.sub(stand_in, text)
        return text

    return Ending(same(stdout), same(stderr), status)
