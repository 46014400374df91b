from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.protocol.feedback import cut, error_kind, render
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits

TRACEBACK = 'Traceback (most recent call last):\n  File "main.py", line 1, in <module>\n    x\n'


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
    text = render(result(ExecutionStatus.ERROR, "7\n", f"{TRACEBACK}ValueError: no\n", 1), Limits(), 4000)
    assert text == f"Code Execution Results:\n7\n{TRACEBACK}ValueError: no"


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
    ("exit_code", "stderr", "kind", "told"),
    [
        (1, f"{TRACEBACK}NameError: name 'x' is not defined\n", "NameError", ""),
        (1, f"{TRACEBACK}KeyError\n", "KeyError", ""),
        (1, f"{TRACEBACK}ValueError: first\nsecond\nThird: line\n", "ValueError", ""),
        (1, f"{TRACEBACK}json.decoder.JSONDecodeError: bad\n", "exception", ""),
        (1, f"{TRACEBACK}__main__.Done\n", "exception", ""),
        (1, '  File "main.py", line 1\n    x = (\n        ^\nSyntaxError: unclosed\n', "SyntaxError", ""),
        (1, f"{TRACEBACK}ValueError: late\nsome more text\n", "ValueError", ""),
        (1, "main.py\n", "exit", "exit status 1."),
        (1, "note: all is well\n", "exit", "exit status 1."),
        (1, "", "exit", "exit status 1."),
        (4, "warning\n", "exit", "exit status 4."),
        (3, f"{TRACEBACK}ValueError: was caught\n", "exit", "exit status 3."),
        (-11, f"{TRACEBACK}ValueError: was caught\n", "SIGSEGV", "signal 11 (SIGSEGV)."),
        (-15, "Done\n", "SIGTERM", "signal 15 (SIGTERM)."),
        (-2, f"{TRACEBACK}KeyboardInterrupt\n", "KeyboardInterrupt", ""),
        (-40, "", "signal", "signal 40 (signal)."),
        (120, "Exception ignored in: <Tee>\n", "exit", "exit status 120."),
    ],
)
def test_how_a_program_ended_is_said_and_its_kind_is_one_of_few(exit_code, stderr, kind, told):
    outcome = result(ExecutionStatus.ERROR, "out\n", stderr, exit_code)
    assert error_kind(outcome) == kind
    text = render(outcome, Limits(), 4000)
    assert text.endswith(told) if told else "Error: the program" not in text


@given(st.text(max_size=5000), st.integers(200, 2000), st.sampled_from([-11, 4, 120]))
def test_long_output_hides_neither_its_tail_nor_the_end(text, limit, exit_code):
    outcome = result(ExecutionStatus.ERROR, f"{text}\nANSWER=42\n", "", exit_code)
    shown = render(outcome, Limits(), limit)
    assert "ANSWER=42\nError: the program" in shown
    assert len(shown) <= limit + len("Code Execution Results:\n")


@pytest.mark.parametrize(
    ("status", "kind"), [("ok", ""), ("timeout", "timeout"), ("memory", "memory"), ("output", "output")]
)
def test_kinds_of_limits(status, kind):
    assert error_kind(result(ExecutionStatus(status), stderr=f"{TRACEBACK}NameError: x")) == kind
