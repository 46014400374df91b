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

import pluggy
import psutil
import pytest

import r1ci_plugins

PYTHON = "/usr/bin/python3"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="everything runs as an ordinary user already"),
    pytest.mark.skipif(
        not os.path.exists(PYTHON)
        or subprocess.run([PYTHON, "-c", "import sys; assert sys.version_info >= (3, 11)"]).returncode != 0,
        reason=f"no {PYTHON} of 3.11 or newer, which an ordinary user could read",
    ),
]


@pytest.fixture(scope="module")
def user() -> Iterator[pwd.struct_passwd]:
    """An ordinary user with a home directory; made, and removed at the end, if there is none."""
    for found in pwd.getpwall():
        if 1000 <= found.pw_uid < 60000 and os.path.isdir(found.pw_dir) and found.pw_shell.endswith("sh"):
            yield found
            return
    name = "r1ci-test-user"
    if shutil.which("useradd") is None:
        pytest.skip("no ordinary user, and no useradd to make one")
    made = subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no ordinary user could be made: {made.stderr}")
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def packages() -> Iterator[str]:
    """A folder with this package that everybody may read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        for package in (r1ci_plugins, pluggy):
            source = Path(package.__file__).parent
            shutil.copytree(source, Path(folder, source.name), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(Path(__file__).with_name("ordinary_user.py"), folder)
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        yield folder


@pytest.mark.parametrize("backend", ["firejail", "bwrap", "rlimits"])
def test_everything_holds_for_an_ordinary_user(backend, user, packages):
    if backend != "rlimits" and shutil.which(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == "bwrap" and not _may_use_user_namespaces(user):
        pytest.skip("no user namespaces for ordinary users on this machine")
    before = _processes_of(user)
    result = subprocess.run(
        [PYTHON, "-B", f"{packages}/ordinary_user.py", backend],
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": user.pw_dir, "PYTHONPATH": packages, "SECRET": "hunter2"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    outcomes = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(outcomes) > 120
    broken = [f"{one['name']}: {one['saw']}" for one in outcomes if one["verdict"] == "broken"]
    assert broken == []
    skipped = {one["saw"] for one in outcomes if one["verdict"] == "skipped"}
    assert backend == "rlimits" or not skipped
    for _ in range(20):  # what forks all the time is not in every list
        assert _processes_of(user) <= before
        time.sleep(0.05)


def _processes_of(user: pwd.struct_passwd) -> set[tuple[int, str]]:
    """Process ids and names."""
    found = psutil.process_iter(["pid", "name", "uids", "status"])
    return {
        (p.info["pid"], p.info["name"])
        for p in found
        if p.info["uids"] and p.info["uids"].real == user.pw_uid and p.info["status"] != psutil.STATUS_ZOMBIE
    }


def _may_use_user_namespaces(user: pwd.struct_passwd) -> bool:
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    return subprocess.run(command, user=user.pw_uid, group=user.pw_gid, capture_output=True, cwd="/").returncode == 0
