"""Attacks on the firejail jail, and the ways in which it must refuse to start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import venv
from pathlib import Path

import pluggy
import psutil
import pytest

import r1ci_plugins
from r1ci_plugins.errors import InfrastructureFault, SandboxUnavailable
from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.contract import ExecutionStatus, Limits
from r1ci_plugins.sandbox.firejail import ENVIRONMENT, FirejailSandbox, firejail_version

from .conftest import opened

FIREJAIL = shutil.which("firejail")
pytestmark = [
    pytest.mark.firejail,
    pytest.mark.skipif(FIREJAIL is None, reason="firejail is not installed"),
]
AS_ROOT = os.geteuid() == 0


def start(**options) -> None:
    with opened(FirejailSandbox(**options)):
        pass


# Attacks. Each prints what it achieved; the host has the positive control where there is one.


def test_network_is_unreachable(bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        attack = f"""
            import socket
            for family, kind, address in [
                (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {port})),
                (socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)),
                (socket.AF_INET, socket.SOCK_RAW, ("192.0.2.1", 0)),
            ]:
                try:
                    socket.socket(family, kind).connect(address)
                    print("connected to", address)
                except OSError as error:
                    print("refused")
            try:
                print("resolved", socket.getaddrinfo("example.org", 80))
            except OSError:
                print("refused")
        """
        assert bench.run(textwrap.dedent(attack)).stdout == "refused\n" * 4


def test_abstract_sockets_of_the_host_are_unreachable(bench):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0r1ci-test-abstract")
        server.listen()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect("\0r1ci-test-abstract")
        result = bench.run("import socket; socket.socket(socket.AF_UNIX).connect('\\0r1ci-test-abstract')")
        assert "ConnectionRefusedError" in result.stderr


@pytest.mark.parametrize("where", ["temporary", "shm", "project", "home"])
def test_files_of_the_host_cannot_be_read(bench, where):
    if where == "project":
        path = Path(r1ci_plugins.__file__).resolve()
        context = contextlib.nullcontext()
    else:
        folder = {"temporary": None, "shm": "/dev/shm", "home": Path.home()}[where]
        context = tempfile.NamedTemporaryFile(dir=folder, prefix="r1ci-test-")  # noqa: SIM115
    with context as file:
        if file is not None:
            path = Path(file.name)
            path.chmod(0o644)
        assert path.exists()
        result = bench.run(f"print(open({str(path)!r}).read())")
    assert result.status is ExecutionStatus.ERROR and result.stdout == ""
    assert "FileNotFoundError" in result.stderr or "PermissionError" in result.stderr


@pytest.mark.parametrize("path", ["/etc/shadow", "/sys/kernel", "/var/lib", "/proc/1/environ", "/proc/1/mem", "/boot"])
def test_places_of_the_host_cannot_be_read(bench, path):
    code = f"import os\nprint(os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}, 'rb').read(1))"
    result = bench.run(code)
    assert result.status is ExecutionStatus.ERROR or result.stdout == "[]\n", result.stdout


def test_own_packages_cannot_be_imported(bench):
    result = bench.run("import r1ci_plugins")
    assert "ModuleNotFoundError" in result.stderr


def test_supervisor_cannot_be_read_or_driven(bench):
    attack = """
        import os
        parent = os.getppid()
        for what in ("mem", "environ", "fd/0"):
            try:
                os.open(f"/proc/{parent}/{what}", os.O_RDWR if what == "mem" else os.O_RDONLY)
                print("opened", what)
            except OSError:
                pass
        for fd in range(3, 256):
            try:
                os.write(fd, b"done 0.1 0.1 0 exit -\\n")
            except OSError:
                pass
        print("done 0.1 0.1 0 exit -", flush=True)
        raise SystemExit(5)
    """
    result = bench.run(textwrap.dedent(attack))
    assert result.stdout == "done 0.1 0.1 0 exit -\n"
    assert (result.status, result.exit_code) == (ExecutionStatus.ERROR, 5)


@pytest.mark.parametrize("victim", ["-1", "os.getppid()", "1"])
def test_killing_the_jail_is_never_a_fault_of_the_sandbox(bench, victim):
    code = (
        f"import os, signal, time\ntry: os.kill({victim}, 9)\nexcept OSError: pass\ntime.sleep(1); raise SystemExit(5)"
    )
    result = bench.run(code)
    assert result.status is ExecutionStatus.ERROR and result.exit_code in (5, -9)


def test_stopping_the_supervisor_does_not_stop_the_deadline(bench):
    code = "import os\ntry: os.kill(os.getppid(), 19)\nexcept OSError: pass\nwhile True: pass"
    result = bench.run(code, wall_s=0.5)
    assert result.status is ExecutionStatus.TIMEOUT and result.cpu_s > 0.1


def test_printing_what_the_canary_prints_changes_nothing(bench):
    code = canary.program([], []) + "raise SystemExit(4)"
    result = bench.run(code)
    assert canary.failed_checks(result.stdout, ENVIRONMENT) == []
    assert (result.status, result.exit_code) == (ExecutionStatus.ERROR, 4)


@pytest.mark.parametrize("folder", ["/", "/tmp", "/var/tmp", "/usr", "/etc", "/run/lock", "{library}", "{prefix}"])
def test_nothing_outside_scratch_can_be_written(bench, folder):
    code = f"""
import json, os, sys
folder = {folder!r}.format(library=os.path.dirname(json.__file__), prefix=sys.prefix)
open(os.path.join(folder, "r1ci-test-probe"), "w")
"""
    result = bench.run(code)
    assert "PermissionError" in result.stderr or "Read-only file system" in result.stderr, result.stderr


def test_next_program_sees_nothing_of_the_previous_one(bench):
    leave = """
        import os, socket, time
        left = []
        for folder in (".", "..", "/tmp", "/var/tmp", "/dev/shm", "/run/lock", os.path.expanduser("~")):
            try:
                open(os.path.join(folder, "r1ci-left"), "w").write("x")
                left.append(folder)
            except OSError:
                pass
        keep = socket.socket(socket.AF_UNIX)
        keep.bind("\\0r1ci-left")
        if os.fork() == 0:
            os.setsid()
            time.sleep(1000)
        print(left)
    """
    look = """
        import os, socket
        seen = [f for f in (".", "..", "/tmp", "/var/tmp", "/dev/shm", "/run/lock", os.path.expanduser("~"))
                if os.path.exists(os.path.join(f, "r1ci-left"))]
        try:
            socket.socket(socket.AF_UNIX).connect("\\0r1ci-left")
        except ConnectionRefusedError:
            pass
        else:
            seen.append("socket")
        print(seen, sum(entry.isdigit() for entry in os.listdir("/proc")) <= 4)
    """
    left = bench.run(textwrap.dedent(leave) + "\nos._exit(0) if False else None")
    assert "'.'" in left.stdout and "'/dev/shm'" in left.stdout, "the control: it could leave something"
    control = bench.run(textwrap.dedent(leave).replace("print(left)", "") + textwrap.dedent(look))
    assert "'/dev/shm'" in control.stdout, "the control: the look finds what is there"
    for _ in range(2):
        assert bench.run(textwrap.dedent(look)).stdout == "[] True\n"


@pytest.mark.parametrize(
    "attack",
    [
        "os.unshare(0x10000000) if hasattr(os, 'unshare') else libc_call('unshare', 0x10000000)",
        "libc_call('mount', b'none', b'.', b'tmpfs', 0, None)",
        "os.chroot('.')",
        "os.mknod('device', 0o600 | 0o020000, os.makedev(1, 1))",
        "os.setuid(0)",
        "libc_call('syscall', 319, b'memfd', 0)",
        "libc_call('ptrace', 16, os.getppid(), 0, 0)",
    ],
    ids=["unshare", "mount", "chroot", "mknod", "setuid", "memfd_create", "ptrace"],
)
def test_privileged_calls_fail(bench, attack):
    code = f"""
import ctypes, os
def libc_call(name, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)
try:
    {attack}
except OSError as error:
    print("denied")
"""
    result = bench.run(code)
    assert result.stdout == "denied\n" or result.exit_code == -signal.SIGSYS, result


def test_nothing_survives_a_killed_host(tmp_path):
    script = """
        import asyncio, sys
        from r1ci_plugins.sandbox.contract import Limits
        from r1ci_plugins.sandbox.firejail import FirejailSandbox
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


def fake_firejail(folder: Path, script: str) -> Path:
    fake = folder / "firejail"
    fake.write_text(f"#!/bin/bash\nREAL={FIREJAIL}\n{textwrap.dedent(script)}")
    fake.chmod(0o755)
    return fake


VERSION = '[ "$1" = --version ] && { echo "firejail version 0.9.72"; exit 0; }\n'
RUN_IT = VERSION + 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'


def without(*options: str) -> str:
    patterns = "|".join(options)
    loop = f'args=(); for a in "$@"; do case "$a" in {patterns}) ;; *) args+=("$a");; esac; done\n'
    return VERSION + loop + 'exec "$REAL" "${args[@]}"\n'


@pytest.mark.parametrize(
    ("script", "named"),
    [
        (RUN_IT, "refused .*net-namespace.*seccomp"),
        (VERSION + "exit 0\n", "did not start the program"),
        (VERSION + "echo started; echo started >&0; exit 0\n", "."),
        (VERSION + "echo 'no permission' >&2; exit 1\n", "(?s)status 1.*no permission"),
        ('echo "firejail version 0.9.66"\n', "0.9.66 is too old"),
        ("echo hello\n", "does not tell a version"),
        ("exit 1\n", "does not tell a version"),
        (without("--net=none"), "net-namespace"),
        (without("--seccomp*", "--restrict-namespaces"), "seccomp"),
        (without("--caps*"), "capabilities"),
        (without("--private-tmp", "--read-only=/tmp"), "hidden-files.*r1ci-canary"),
        (without("--read-only=/var/tmp"), "read-only.*/var/tmp"),
        (without("--private-dev"), "hidden-files.*/dev/shm"),
    ],
    ids=[
        *("runs-unsandboxed", "does-nothing", "pretends-to-start", "fails", "too-old", "no-version", "no-output"),
        *("same-network", "no-seccomp", "keeps-capabilities", "host-tmp", "writable-tmp", "host-shm"),
    ],
)
def test_refuses_a_firejail_that_does_not_isolate(tmp_path, monkeypatch, script, named):
    fake_firejail(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SandboxUnavailable, match=named) as caught:
        start()
    assert caught.value.fix


def test_an_unsandboxed_supervisor_touches_nothing(tmp_path, monkeypatch):
    fake_firejail(tmp_path, RUN_IT)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    before = (home.stat(), sorted(os.listdir(home)))
    with pytest.raises(SandboxUnavailable):
        start()
    assert (home.stat().st_mode, home.stat().st_uid, sorted(os.listdir(home))) == (
        before[0].st_mode,
        before[0].st_uid,
        before[1],
    )


def test_a_firejail_that_stops_isolating_later_is_a_fault_not_a_result(tmp_path, monkeypatch):
    switch = tmp_path / "broken"
    fake_firejail(tmp_path, VERSION + f'[ -e {switch} ] || exec "$REAL" "$@"\n' + RUN_IT)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with opened(FirejailSandbox(concurrency=1)) as bench:
        assert bench.run("print(1)").stdout == "1\n"
        switch.touch()
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
    from r1ci_plugins.sandbox import firejail

    async def attempt() -> None:
        sandbox = FirejailSandbox(concurrency=1)
        await sandbox.start()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(firejail, "LONGEST_ARGUMENT", 40)
        with pytest.raises(SandboxUnavailable, match="no argument of more than 40 bytes"):
            asyncio.run(attempt())


def ordinary_user() -> pwd.struct_passwd | None:
    for user in pwd.getpwall():
        if 1000 <= user.pw_uid < 60000 and os.path.isdir(user.pw_dir) and user.pw_shell.endswith("sh"):
            return user
    return None


@pytest.mark.skipif(not AS_ROOT, reason="the whole suite runs as an ordinary user already")
def test_works_for_an_ordinary_user():
    user = ordinary_user()
    python = "/usr/bin/python3"
    if user is None:
        pytest.skip("no ordinary user with a home directory on this machine")
    if (
        not os.path.exists(python)
        or subprocess.run([python, "-c", "import sys; assert sys.version_info >= (3, 11)"]).returncode
    ):
        pytest.skip(f"no {python} of 3.11 or newer, which an ordinary user could read")
    script = """
        import asyncio, json
        from r1ci_plugins.sandbox.contract import Limits
        from r1ci_plugins.sandbox.firejail import FirejailSandbox
        codes = [
            "import os; print(os.getuid(), os.listdir('.'))",
            "import os; os.kill(os.getppid(), 9); import time; time.sleep(9)",
            "import os\\nos.kill(os.getppid(), 19)\\nwhile True: pass",
            "import os; os.open(f'/proc/{os.getppid()}/mem', os.O_RDWR)",
            "import os\\nwhile True: os.fork()",
            "print(open('/etc/shadow').read())",
            "import socket; socket.create_connection(('192.0.2.1', 80))",
            "import os\\nif os.fork() == 0:\\n  os.setsid()\\n  while True: pass",
            "import os\\nos.fork() or os.kill(1, 15)\\nwhile True: pass",
        ]
        async def main():
            sandbox = FirejailSandbox(concurrency=1)
            await sandbox.start()
            results = [await sandbox.run(code, Limits(wall_s=1, processes=20)) for code in codes]
            await sandbox.close()
            print(json.dumps([[r.status, r.exit_code, r.stdout, r.stderr, r.cpu_s] for r in results]))
        asyncio.run(main())
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        for package in (r1ci_plugins, pluggy):
            source = Path(package.__file__).parent
            shutil.copytree(source, Path(folder, source.name), ignore=shutil.ignore_patterns("__pycache__"))
        result = subprocess.run(
            [python, "-c", textwrap.dedent(script)],
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": user.pw_dir, "PYTHONPATH": folder, "SECRET": "hunter2"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert result.returncode == 0, result.stderr
    plain, killed, stopped, memory, bomb, shadow, connect, daemon, init = json.loads(result.stdout)
    assert plain[:4] == ["ok", 0, f"{user.pw_uid} []\n", ""]
    assert killed[0] in ("error", "timeout") and killed[1] == -9
    assert stopped[0] == "timeout" and stopped[4] > 0.1, "processor time is told without the supervisor too"
    assert "PermissionError" in memory[3]
    assert bomb[0] in ("error", "timeout")
    assert "PermissionError" in shadow[3] or "FileNotFoundError" in shadow[3]
    assert "Network is unreachable" in connect[3]
    assert daemon[0] == "ok"
    assert init[0] in ("error", "timeout")
    firejails = [p for p in psutil.process_iter(["name", "uids"]) if p.info["name"] == "firejail"]
    assert [p for p in firejails if p.info["uids"].real == user.pw_uid] == []


def test_two_sandboxes_at_once_do_not_share_user_ids():
    async def both() -> set[str]:
        sandboxes = [FirejailSandbox(concurrency=2) for _ in range(2)]
        for sandbox in sandboxes:
            await sandbox.start()
        code = "import os, time; time.sleep(0.3); print(os.getuid())"
        try:
            results = await asyncio.gather(*(s.run(code, Limits(wall_s=20)) for s in sandboxes for _ in range(2)))
        finally:
            for sandbox in sandboxes:
                await sandbox.close()
        return {result.stdout for result in results}

    assert len(asyncio.run(both())) == (4 if AS_ROOT else 1)
