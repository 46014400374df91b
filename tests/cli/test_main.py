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
