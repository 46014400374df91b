"""The ways in which firejail must refuse to start, and what is its own. Attacks: test_attacks.py."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
import venv
from pathlib import Path

import psutil
import pytest

import r1ci_plugins
from r1ci_plugins.errors import InfrastructureFault, SandboxUnavailable
from r1ci_plugins.sandbox import user_lease
from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox, firejail_version
from r1ci_plugins.sandbox.contract import ExecutionStatus, Limits
from r1ci_plugins.sandbox.user_lease import UserLease

from .conftest import opened
from .holes import HOME, NAMES, RUN_IT, VERSION, fake, in_own_mounts, sentinels

FIREJAIL = shutil.which("firejail")
pytestmark = [
    pytest.mark.firejail,
    pytest.mark.skipif(FIREJAIL is None, reason="firejail is not installed"),
]
AS_ROOT = os.geteuid() == 0


def start(**options) -> None:
    with opened(FirejailSandbox(**options)):
        pass


def test_nothing_survives_a_killed_host(tmp_path):
    script = """
        import asyncio, sys
        from r1ci_plugins.sandbox.contract import Limits
        from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox
        code = "import os\\nos.fork()\\nos.setsid() if os.getpgrp() != os.getpid() else None\\nwhile True: pass"
        async def main():
            sandbox = FirejailSandbox(concurrency=1)
            await sandbox.start()
            print("ready", flush=True)
            await sandbox.run(code, Limits())
        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None and host.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 20
        while len(jailed := psutil.Process(host.pid).children(recursive=True)) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(jailed) >= 5, "firejail, its init, the supervisor and the program's two processes"
        host.kill()
    assert psutil.wait_procs(jailed, timeout=10)[1] == []


# Fail closed: whatever is wrong, start() refuses and names the check and the fix.


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict]:
    """What became of each hole and each sandbox that works, by name."""
    script, source = Path(__file__).with_name("holes.py"), Path(r1ci_plugins.__file__).parents[1]
    command = in_own_mounts(HOME, sys.executable, "-B", str(script))
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(source)}, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    return {outcome["hole"]: outcome for outcome in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", NAMES)
def test_a_jail_that_does_not_isolate_is_refused_and_nothing_is_touched(name, outcomes):
    if name not in outcomes:
        pytest.skip("bubblewrap or the system's Python is not installed")
    assert outcomes[name]["harmed"] == []
    assert outcomes[name]["refused"], outcomes[name]["said"]


def test_the_sentinels_see_what_is_harmed():
    with sentinels() as survivors:
        for path in survivors.paths:
            os.chmod(path, 0o755)
        survivors.process.kill()
        survivors.process.wait()
    assert len(survivors.harmed) == len(survivors.paths) + 1


def test_a_firejail_that_stops_isolating_later_is_a_fault_not_a_result(tmp_path, monkeypatch):
    switch = tmp_path / "broken"
    fake(tmp_path, VERSION + f'[ -e {switch} ] || exec "$REAL" "$@"\n' + RUN_IT)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with opened(FirejailSandbox(concurrency=1)) as bench:
        assert bench.run("print(1)").stdout == "1\n"
        switch.touch()
        assert bench.run("while True: pass", wall_s=0.3).status is ExecutionStatus.TIMEOUT  # wears the slot out
        with pytest.raises(InfrastructureFault, match="does not isolate"):
            bench.run("print(1)")


def test_missing_firejail_is_refused_with_the_fix(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="apt-get install firejail"):
        start()


@pytest.mark.parametrize("python", ["/nonexistent/python", "/bin/false", "/bin/echo"])
def test_python_that_is_none_is_refused(python):
    with pytest.raises(SandboxUnavailable, match="Python does not run"):
        start(python=python)


def test_version_of_the_installed_firejail_is_read():
    assert FIREJAIL is not None and firejail_version(FIREJAIL) >= (0, 9, 72)


def test_many_environment_variables_of_the_host_do_no_harm(monkeypatch):
    for number in range(300):
        monkeypatch.setenv(f"R1CI_TEST_{number}", "x" * 100)
    start(concurrency=1)


@pytest.fixture
def spaced_environment(tmp_path: Path) -> Path:
    """A virtual environment with a space in its path and one library."""
    folder = tmp_path / "my environment"
    venv.create(folder, symlinks=True)
    library = next(folder.glob("lib/python*/site-packages"))
    (library / "only_here.py").write_text("value = 'imported'")
    (library / "r1ci_secret.py").write_text("answer = 42")
    (library / "reasoning_gym").mkdir()
    (library / "reasoning_gym" / "__init__.py").write_text("def create_dataset(): ...")
    (library / "develop.pth").write_text(str(tmp_path / "project"))
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project_module.py").write_text("")
    return folder / "bin" / "python"


def test_virtual_environment_with_spaces_in_its_path(spaced_environment):
    with opened(FirejailSandbox(concurrency=1, python=str(spaced_environment))) as bench:
        assert bench.run("import only_here; print(only_here.value)").stdout == "imported\n"
        for hidden in ("import r1ci_secret", "import project_module", "from reasoning_gym import create_dataset"):
            assert bench.run(hidden).status is ExecutionStatus.ERROR


def test_too_long_a_path_is_refused():
    from r1ci_plugins.sandbox.backends import firejail

    async def attempt() -> None:
        sandbox = FirejailSandbox(concurrency=1)
        await sandbox.start()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(firejail, "LONGEST_ARGUMENT", 40)
        with pytest.raises(SandboxUnavailable, match="no argument of more than 40 bytes"):
            asyncio.run(attempt())


def test_two_sandboxes_at_once_do_not_share_user_ids():
    async def both() -> list[set[str]]:
        sandboxes = [FirejailSandbox(concurrency=2) for _ in range(2)]
        for sandbox in sandboxes:
            await sandbox.start()
        code = "import os, time; time.sleep(0.3); print(os.getuid())"
        try:
            results = await asyncio.gather(*(s.run(code, Limits(wall_s=20)) for s in sandboxes * 2))
        finally:
            for sandbox in sandboxes:
                await sandbox.close()
        return [{result.stdout for result in results[place::2]} for place in range(2)]

    first, second = asyncio.run(both())
    assert (not first & second) if AS_ROOT else first == second == {f"{os.getuid()}\n"}


@pytest.mark.skipif(not AS_ROOT, reason="only root leases user ids")
def test_a_user_id_that_somebody_has_is_not_leased(monkeypatch):
    monkeypatch.setattr(user_lease, "JOB_USERS", [0, 61181, 61182, 61183])  # the first has a name
    with subprocess.Popen(["/bin/sleep", "600"], user=61181) as process:
        try:
            leases = [UserLease() for _ in range(2)]
            assert [lease.uid for lease in leases] == [61182, 61183]
            with pytest.raises(InfrastructureFault, match="none of the 4 user ids"):
                UserLease()
        finally:
            process.kill()
    for lease in leases:
        lease.release()
