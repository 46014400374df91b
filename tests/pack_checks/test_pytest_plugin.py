"""The rules as pytest items, seen through runs of pytest in a folder of their own."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

MODULE = """
from r1ci_plugins.pack_checks.pytest_plugin import conformance_tests
test_conformance = conformance_tests({pack!r})
"""


@pytest.fixture
def run(tmp_path):
    """Run pytest in an empty folder; its output."""
    place = tmp_path / "elsewhere"
    place.mkdir()

    def run(*arguments, module=None):
        if module:
            (place / "test_it.py").write_text(module)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-ra", *arguments]
        return subprocess.run(command, cwd=place, capture_output=True, text=True).stdout

    return run


def outcomes(output):
    return {
        word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|deselected)", output.splitlines()[-1])
    }


def test_a_test_module_of_two_lines_has_an_item_for_each_task_and_rule(odd_pack, run):
    output = run("-k", "doubling- or solves- or empty-", module=MODULE.format(pack=str(odd_pack)))
    found = outcomes(output)
    assert found["failed"] == 1 and found["skipped"] == 22 and found["passed"] == 43
    assert "FAILED test_it.py::test_conformance[solves-solver agrees]" in output
    assert "the task raised: KeyError: 'no such method'" in output and "Traceback" not in output
    assert "the questions are not here" in output


def test_the_option_does_it_without_a_module(odd_pack, run):
    output = run("--r1ci-pack", str(odd_pack), "-k", "unordered-")
    assert outcomes(output) == {"failed": 1, "passed": 21, "deselected": 7 * 22}
    assert "unordered-same in every process" in output and "sort what comes out of a set" in output


def test_a_pack_that_is_not_there_is_a_readable_error(run):
    output = run("--r1ci-pack", "no_such_pack")
    assert "the task pack 'no_such_pack' is not installed" in output and "Traceback" not in output


def test_unused_it_imports_nothing_that_costs_time(run):
    output = run("-s", module="""
def test_nothing():
    import sys
    print("MODULES", *sorted(sys.modules))
""")  # fmt: skip
    loaded = set(re.search(r"MODULES (.*)", output)[1].split())
    assert "r1ci_plugins.pack_checks.pytest_plugin" in loaded
    assert not loaded & {
        "r1ci_plugins.pack_checks.rules",
        "r1ci_plugins.plugins.registry",
        "pydantic",
        "typer",
        "torch",
    }
