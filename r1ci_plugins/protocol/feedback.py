"""What the model is told about a program it ran."""

import re

from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits

PREFIX = "Code Execution Results:"
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?::.*)?$")


def cut(text: str, max_chars: int) -> str:
    """Keep head and tail of a text that is too long, with a mark that says how much was left out.

    The result has at most ``max_chars`` characters, unless the mark alone is longer.
    """
    if len(text) <= max_chars:
        return text
    mark = "\n... [{} characters cut] ...\n"
    keep = max(0, max_chars - len(mark.format(len(text))))
    head = keep - keep // 2
    tail = keep // 2
    return text[:head] + mark.format(len(text) - head - tail) + text[len(text) - tail :]


def render(result: ExecutionResult, limits: Limits, max_chars: int) -> str:
    """The feedback message for one execution: both streams in order, then what ended it unless it ended normally."""
    parts = [result.output.rstrip()]
    if result.truncated:
        parts.append(f"[{result.truncated} bytes of output were not kept]")
    if result.status is ExecutionStatus.TIMEOUT:
        used = f"{result.wall_s:.0f} s" if result.wall_s >= limits.wall_s else f"{result.cpu_s:.0f} s of CPU time"
        limit = limits.wall_s if result.wall_s >= limits.wall_s or limits.cpu_s is None else limits.cpu_s
        parts.append(f"Error: the program was stopped after {used} (limit {limit:g} s).")
    elif result.status is ExecutionStatus.MEMORY:
        parts.append(f"Error: the program ran out of memory (limit {limits.memory_mb} MiB).")
    elif result.status is ExecutionStatus.OUTPUT:
        parts.append("Error: the program was stopped because it printed too much.")
    elif result.status is ExecutionStatus.ERROR and not result.stderr.strip():
        parts.append(f"Error: the program ended with exit status {result.exit_code}.")
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
