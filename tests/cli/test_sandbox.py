"""``r1ci sandbox check`` with a sandbox of a plugin, and what it says when the real ones are missing."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest
from typer.testing import CliRunner

from r1ci_plugins.cli import sandbox
from r1ci_plugins.errors import RecipeError, SandboxUnavailable
from r1ci_plugins.sandbox.checks import attacks, promises

PLUGIN = '''
import asyncio, sys
from r1ci_plugins import hookimpl
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus


class Bare:
    """Runs programs without any isolation, and openly claims nothing."""

    isolation = "bare"
    claims = frozenset()

    def __init__(
        self, *, concurrency: int | None = None, python: str | None = None, fail: bool = False, lie: bool = False
    ):
        self.fail = fail
        if lie:
            self.claims = frozenset({"network", "processes"})

    async def start(self): ...
    async def close(self): ...
    async def run(self, code, limits):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        text = "" if self.fail else out.decode()
        status = ExecutionStatus.OK if process.returncode == 0 else ExecutionStatus.ERROR
        return ExecutionResult(text, err.decode(), text, status, process.returncode, 0.1, 0.1, 0.0, 0, self.isolation)


@hookimpl
def r1ci_sandboxes():
    return {"bare": Bare}
'''


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """The plugin ``bare`` and short suites."""
    (tmp_path / "bare_sandbox.py").write_text(PLUGIN)
    info = tmp_path / "bare-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bare\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[r1ci.plugins]\nbare = bare_sandbox\n")
    monkeypatch.syspath_prepend(tmp_path)
    short = {"results-are-complete", "memory-limit-ends-scratch-files", "the-last-expression-is-shown-on-request"}
    monkeypatch.setattr(promises, "PROMISES", [p for p in promises.PROMISES if p.name in short])
    monkeypatch.setattr(attacks, "ATTACKS", [a for a in attacks.ATTACKS if a.name in ("connect-to-host",)])
    yield ["check", "--plugin", "bare", "--backend", "bare"]
    sys.modules.pop("bare_sandbox", None)


def run(arguments):
    return CliRunner().invoke(sandbox.app, arguments)


def test_a_plugins_sandbox_is_examined_by_the_contract_alone(bare):
    result = run(bare)
    assert result.exit_code == 0, result.output
    assert "bare: what it enforces here" in result.output
    assert "contract: 1 held, 2 skipped of 3" in result.output
    assert "bare does not claim file-budget" in result.output
    assert "bare has no option show_last_expression" in result.output
    assert "attacks: 1 skipped of 1" in result.output
    assert "(the backend does not say)" in result.output


def test_what_is_broken_is_shown_and_the_exit_status_is_one(bare):
    result = run([*bare, "--option", "fail=true", "--no-attacks"])
    assert result.exit_code == 1
    assert "broken" in result.output and "results-are-complete" in result.output and "attacks" not in result.output


def test_no_attack_is_run_where_they_would_reach_this_machine(bare):
    result = run([*bare, "--option", "lie=true"])
    assert result.exit_code == 1
    assert "BROKEN" in result.output and "attacks: not run" in result.output and "of 1" not in result.output


def test_json_is_one_object_a_line(bare):
    result = CliRunner().invoke(sandbox.app, [*bare, "--json"])
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert {line["suite"] for line in lines} == {"canary", "contract", "attacks"}
    assert {line["verdict"] for line in lines if line["suite"] == "attacks"} == {"skipped"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "firejial"], "did you mean 'firejail'"),
        (["--option", "preload"], "is not KEY=VALUE"),
        (["--option", "prelaod=light"], "did you mean 'preload'"),
    ],
)
def test_mistakes_are_named_and_the_nearest_right_name_suggested(arguments, message):
    with pytest.raises(RecipeError, match=message):
        CliRunner().invoke(sandbox.app, ["check", *arguments], catch_exceptions=False)


@pytest.mark.parametrize("backend", ["firejail", "bwrap"])
def test_a_missing_jail_is_told_with_the_fix(backend, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="not installed") as caught:
        CliRunner().invoke(sandbox.app, ["check", "--backend", backend], catch_exceptions=False)
    assert "apt-get install" in caught.value.fix


@pytest.mark.skipif(shutil.which("firejail") is None, reason="firejail is not installed")
def test_the_report_on_firejail(monkeypatch):
    monkeypatch.setattr(promises, "PROMISES", promises.PROMISES[:3])
    result = run(["check", "--no-attacks"])
    assert result.exit_code == 0, result.output
    for words in (
        "network",
        "loopback is the only network interface",
        "What it does not cover",
        "What differs from plain Python, by design",
        "holes in the kernel",
    ):
        assert words in result.output
    assert "contract: 3 held of 3" in result.output


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bwrap is not installed")
def test_no_user_namespaces_is_a_clear_error(tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(SandboxUnavailable, match="(?s)No permissions to create new namespace.*user namespaces"):
        CliRunner().invoke(sandbox.app, ["check", "--backend", "bwrap"], catch_exceptions=False)
