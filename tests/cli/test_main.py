from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from r1ci_plugins import __version__


def r1ci(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from r1ci_plugins.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)


def test_help_teaches_every_command():
    result = r1ci("--help")
    assert result.returncode == 0
    assert all(word in result.stdout for word in ("doctor", "plugins", "recipe", "tasks", "--plugin r1ci --recipe"))


def test_version():
    assert r1ci("--version").stdout == f"r1ci-plugins {__version__}\n"


@pytest.mark.parametrize("arguments", [["recipe", "show", "missing.yaml"], ["recipe", "check", str(Path(__file__))]])
def test_our_errors_are_messages_without_a_traceback(arguments):
    result = r1ci(*arguments)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("error: ") and "Traceback" not in result.stderr


def test_help_imports_nothing_heavy():
    program = "import sys, r1ci_plugins.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "ray", "vllm", "transformers", "pydantic", "reasoning_gym"} & set(loaded)


@pytest.mark.parametrize("command", [["run"], ["mask", "show"], ["recipe", "new"], ["tasks", "sample"], ["evaluate"]])
def test_h_is_help_and_a_flag_has_no_type(command):
    shown = r1ci(*command, "-h")
    assert shown.returncode == 0 and "Usage:" in shown.stdout and "<bool>" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["new-pack", "my_pack", "--dir", "/proc/nowhere"], "the new pack cannot be written"),
        (["recipe", "new", "mine", "--from", "cpu-smoke", "--dir", "/proc/nowhere"], "the recipe cannot be written"),
    ],
)
def test_what_cannot_be_written_is_a_message_and_debug_shows_the_traceback(arguments, expected):
    result = r1ci(*arguments)
    assert result.returncode == 2 and expected in result.stderr and "fix:" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in r1ci(*arguments, "--debug").stderr
