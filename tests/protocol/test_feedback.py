from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.protocol.feedback import cut, error_kind, render
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits


def result(status=ExecutionStatus.OK, stdout="", stderr="", exit_code=0, truncated=0):
    return ExecutionResult(stdout, stderr, stdout + stderr, status, exit_code, 1.0, 0.5, 0.0, truncated, "none")


@given(st.text(max_size=3000), st.integers(min_value=60, max_value=2000))
def test_a_cut_keeps_head_and_tail_and_says_how_much(text, limit):
    shown = cut(text, limit)
    assert len(shown) <= limit
    if len(text) <= limit:
        assert shown == text
    else:
        head, mark, tail = shown.partition("\n... [")
        number, _, rest = tail.partition(" characters cut] ...\n")
        assert mark and text.startswith(head) and text.endswith(rest)
        assert len(head) + int(number) + len(rest) == len(text)


def test_output_and_traceback_are_both_shown():
    text = render(result(ExecutionStatus.ERROR, "7\n", "Traceback ...\nValueError: no\n", 1), Limits(), 4000)
    assert text == "Code Execution Results:\n7\nTraceback ...\nValueError: no"


def test_streams_are_shown_in_the_order_they_were_written():
    mixed = ExecutionResult("a\nc\n", "b\n", "a\nb\nc\n", ExecutionStatus.OK, 0, 1.0, 0.5, 0.0, 0, "none")
    assert render(mixed, Limits(), 4000) == "Code Execution Results:\na\nb\nc"


def test_a_cpu_limit_is_told_as_such():
    text = render(result(ExecutionStatus.TIMEOUT), Limits(cpu_s=2.0), 4000)
    assert "limit 2 s" in text and "CPU" in text


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (result(), "printed nothing"),
        (result(ExecutionStatus.TIMEOUT), "limit 60 s"),
        (result(ExecutionStatus.MEMORY), "limit 2048 MiB"),
        (result(ExecutionStatus.OUTPUT), "printed too much"),
        (result(ExecutionStatus.ERROR, exit_code=3), "exit status 3"),
        (result(truncated=17), "17 bytes"),
    ],
)
def test_every_outcome_is_explained(outcome, expected):
    assert expected in render(outcome, Limits(), 4000)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (result(), ""),
        (result(ExecutionStatus.TIMEOUT), "timeout"),
        (result(ExecutionStatus.ERROR, stderr='  File "main.py", line 1\nNameError: x', exit_code=1), "NameError"),
        (
            result(ExecutionStatus.ERROR, stderr="json.decoder.JSONDecodeError: bad", exit_code=1),
            "json.decoder.JSONDecodeError",
        ),
        (result(ExecutionStatus.ERROR, stderr="free text from the program", exit_code=2), "exit 2"),
        (result(ExecutionStatus.ERROR, exit_code=-11), "signal 11"),
    ],
)
def test_error_kinds(outcome, kind):
    assert error_kind(outcome) == kind
