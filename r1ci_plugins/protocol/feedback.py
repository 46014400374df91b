"""What the model is told about a program it ran."""

import builtins
import re
import signal

from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus, Limits

PREFIX = "Code Execution Results:"
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?::.*)?$")
_OWN_EXCEPTIONS = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)


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
    """The feedback message for one execution: both streams in order, then how it ended unless it ended normally.

    Of output that is too long, head and tail are kept. How the program ended is always said: a traceback says it,
    and for all other ends a sentence does.
    """
    ending = _ending(result, limits)
    if result.truncated:
        ending = [f"[{result.truncated} bytes of output were not kept]", *ending]
    told = "\n".join(ending)
    output = cut(result.output.rstrip(), max(0, max_chars - len(told) - 1)) if result.output.strip() else ""
    body = "\n".join(part for part in (output, told) if part)
    return f"{PREFIX}\n{body or '(the program printed nothing)'}"


def _ending(result: ExecutionResult, limits: Limits) -> list[str]:
    """The sentence that says how a program ended, if one is needed."""
    if result.status is ExecutionStatus.TIMEOUT:
        used = f"{result.wall_s:.0f} s" if result.wall_s >= limits.wall_s else f"{result.cpu_s:.0f} s of CPU time"
        limit = limits.wall_s if result.wall_s >= limits.wall_s or limits.cpu_s is None else limits.cpu_s
        return [f"Error: the program was stopped after {used} (limit {limit:g} s)."]
    if result.status is ExecutionStatus.MEMORY:
        return [f"Error: the program ran out of memory (limit {limits.memory_mb} MiB)."]
    if result.status is ExecutionStatus.OUTPUT:
        return ["Error: the program was stopped because it printed too much."]
    if result.status is ExecutionStatus.OK or _reported_exception(result):
        return []
    if result.exit_code < 0:
        return [f"Error: the program was ended by signal {-result.exit_code} ({_signal_name(result.exit_code)})."]
    return [f"Error: the program ended with exit status {result.exit_code}."]


def error_kind(result: ExecutionResult) -> str:
    """Short name of what went wrong; empty when nothing did. Kinds become names of metrics, so that they are few.

    The name of one of Python's own exceptions, ``exception`` for any other, ``exit`` for an exit status that the
    program chose, a signal's name, ``timeout``, ``memory`` or ``output``.
    """
    if result.status is ExecutionStatus.OK:
        return ""
    if result.status is not ExecutionStatus.ERROR:
        return result.status.value
    if exception := _reported_exception(result):
        return exception if exception in _OWN_EXCEPTIONS else "exception"
    return _signal_name(result.exit_code) if result.exit_code < 0 else "exit"


def _reported_exception(result: ExecutionResult) -> str:
    """The exception of which the interpreter's last report on stderr tells, if it ended the program; else nothing."""
    if result.exit_code not in (1, -signal.SIGINT):
        return ""
    lines = result.stderr.splitlines()
    places = [place for place, line in enumerate(lines) if line.startswith(("Traceback (", '  File "'))]
    for line in lines[places[-1] + 1 :] if places else []:
        if match := _EXCEPTION.match(line):
            return match[1].rpartition(".")[2]
    return ""


def _signal_name(exit_code: int) -> str:
    try:
        return signal.Signals(-exit_code).name
    except ValueError:  # a real-time signal
        return "signal"
