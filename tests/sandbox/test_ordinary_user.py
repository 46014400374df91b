"""The whole contract and attack suites as an ordinary user, when the tests run as root."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pluggy
import psutil
import pytest

import r1ci_plugins

from .holes import NAMES, in_own_mounts

PYTHON = "/usr/bin/python3"
CANNOT_LOCK = 1  # what useradd and userdel return while the password file is locked

pytestmark = [
    pytest.mark.timeout(600),  # two minutes when nothing else runs
    pytest.mark.skipif(os.geteuid() != 0, reason="everything runs as an ordinary user already"),
    pytest.mark.skipif(
        not os.path.exists(PYTHON)
        or subprocess.run([PYTHON, "-c", "import sys; assert sys.version_info >= (3, 11)"]).returncode != 0,
        reason=f"no {PYTHON} of 3.11 or newer, which an ordinary user could read",
    ),
]


@pytest.fixture(scope="module")
def user() -> Iterator[pwd.struct_passwd]:
    """An ordinary user with a home directory, for this process alone; removed at the end."""
    name = f"r1ci-test-{os.getpid()}"
    if shutil.which("useradd") is None:
        pytest.skip("no useradd to make an ordinary user with")
    for _ in range(20):  # somebody else may be changing the password file
        made = subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], capture_output=True, text=True)
        if made.returncode != CANNOT_LOCK:
            break
        time.sleep(0.5)
    if made.returncode != 0:
        pytest.skip(f"no ordinary user could be made: {made.stderr}")
    try:
        yield pwd.getpwnam(name)
    finally:
        for _ in range(20):
            if subprocess.run(["userdel", "--remove", name], capture_output=True).returncode != CANNOT_LOCK:
                break
            time.sleep(0.5)


@pytest.fixture(scope="module")
def packages() -> Iterator[str]:
    """A folder with this package that everybody may read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        for package in (r1ci_plugins, pluggy):
            source = Path(package.__file__).parent
            shutil.copytree(source, Path(folder, source.name), ignore=shutil.ignore_patterns("__pycache__"))
        for script in ("ordinary_user.py", "holes.py"):
            shutil.copy(Path(__file__).with_name(script), folder)
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        yield folder


@pytest.mark.parametrize("backend", ["firejail", "bwrap", "rlimits"])
def test_everything_holds_for_an_ordinary_user(backend, user, packages):
    if backend != "rlimits" and shutil.which(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == "bwrap" and not _may_use_user_namespaces(user):
        pytest.skip("no user namespaces for ordinary users on this machine")
    outcomes = run_as(user, packages, "ordinary_user.py", backend)
    assert len(outcomes) > 120
    broken = [f"{one['name']}: {one['saw']}" for one in outcomes if one["verdict"] == "broken"]
    assert broken == []
    skipped = {one["saw"] for one in outcomes if one["verdict"] == "skipped"}
    assert backend == "rlimits" or not skipped
    for _ in range(20):  # what forks all the time is not in every list
        assert processes_of(user) == []
        time.sleep(0.05)


def test_jails_with_holes_touch_nothing_of_an_ordinary_user(user, packages):
    names = [name for name in NAMES if "bwrap" not in name or _may_use_user_namespaces(user)]
    outcomes = run_as(user, packages, "holes.py", *names)
    assert len(outcomes) > 15
    assert [one for one in outcomes if one["harmed"] or not one["refused"]] == []


def run_as(user: pwd.struct_passwd, packages: str, script: str, *arguments: str) -> list[dict[str, Any]]:
    """What a script beside this file prints, one JSON object a line."""
    drop = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    result = subprocess.run(
        in_own_mounts(user.pw_dir, *drop, PYTHON, "-B", f"{packages}/{script}", *arguments),
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": user.pw_dir, "PYTHONPATH": packages, "SECRET": "hunter2"},
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def processes_of(user: pwd.struct_passwd) -> list[str]:
    """Names of the living processes of a user."""
    found = psutil.process_iter(["name", "uids", "status"])
    return [
        p.info["name"]
        for p in found
        if p.info["uids"] and p.info["uids"].real == user.pw_uid and p.info["status"] != psutil.STATUS_ZOMBIE
    ]


def _may_use_user_namespaces(user: pwd.struct_passwd) -> bool:
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    return subprocess.run(command, user=user.pw_uid, group=user.pw_gid, capture_output=True, cwd="/").returncode == 0
