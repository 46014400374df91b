"""What the model is told about a program it ran."""

from __future__ import annotations

import re

from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits

PREFIX = "Code Execution Results:"
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?::.*)?$")


def cut(text: str, max_chars: int) -> str:
    """Keep head and tail of a text that is too long, with a mark that says how much was left out.

    The result has at most ``max_chars`` characters as long as the mark itself fits.
    """
    if len(text) <= max_chars:
        return text
    mark = "\n... [{} characters cut] ...\n"
    keep = max(0, max_chars - len(mark.format(len(text))))
    head = keep - keep // 2
    tail = keep // 2
    return text[:head] + mark.format(len(text) - head - tail) + text[len(text) - tail :]


def render(result: ExecutionResult, limits: Limits, max_chars: int) -> str:
    """The feedback message for one execution: output, then the error if there was one."""
    parts = [result.stdout.rstrip()]
    if result.status is ExecutionStatus.TIMEOUT:
        parts.append(f"Error: the program was stopped after {result.wall_s:.0f} s (limit {limits.wall_s:g} s).")
    elif result.status is ExecutionStatus.MEMORY:
        parts.append(f"Error: the program ran out of memory (limit {limits.memory_mb} MiB).")
    elif result.status is ExecutionStatus.OUTPUT:
        parts.append("Error: the program was stopped because it printed too much.")
    if result.status in (ExecutionStatus.ERROR, ExecutionStatus.OK):
        parts.append(result.stderr.rstrip())
        if result.status is ExecutionStatus.ERROR and not result.stderr.strip():
            parts.append(f"Error: the program ended with exit status {result.exit_code}.")
    if result.truncated:
        parts.append(f"[{result.truncated} bytes of output were not kept]")
    body = "\n".join(part for part in parts if part)
    return f"{PREFIX}\n{cut(body, max_chars) if body else '(the program printed nothing)'}"


def error_kind(result: ExecutionResult) -> str:
    """Short name of what went wrong: exception type, ``signal N`` or ``exit N``; empty when nothing did."""
    if result.status is ExecutionStatus.OK:
        return ""
    if result.status is not ExecutionStatus.ERROR:
        return result.status.value
    last = result.stderr.rstrip().rsplit("\n", 1)[-1].strip()
    if (match := _EXCEPTION.match(last)) and len(match[1]) <= 60:
        return match[1]
    return f"signal {-result.exit_code}" if result.exit_code < 0 else f"exit {result.exit_code}"
