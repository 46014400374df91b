"""One error type per boundary. Each message says what happened, where, and how to fix it."""

import errno
import os
import sysconfig
from collections.abc import Iterable
from functools import partial
from traceback import walk_tb
from typing import TypeVar


class R1CIError(Exception):
    """Base of every error that r1ci-plugins raises on purpose.

    Args:
        what: What went wrong, in one sentence.
        where: The file, recipe key, plugin or question it went wrong in.
        fix: What the reader can do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        lines = [what]
        if where:
            lines.append(f"  where: {where}")
        if fix:
            lines.append(f"  fix:   {fix}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries (Ray, checker workers): keep the parts, not the rendered text.
        return partial(type(self), self.what, where=self.where, fix=self.fix), ()


class PluginError(R1CIError):
    """A plugin or task pack is missing, broken, duplicated or misspelt."""


class RecipeError(R1CIError):
    """The recipe, or an override of it, cannot be used."""


class TaskError(R1CIError):
    """A task could not generate or describe a question."""


class MissingData(TaskError):
    """A task's questions are data that this machine does not have."""


class TemplateError(R1CIError):
    """The tokenizer's chat template cannot carry the multi-turn protocol exactly."""


class SandboxUnavailable(R1CIError):
    """The sandbox cannot start safely: binary missing, unsupported version, or its canary failed."""


class InfrastructureFault(R1CIError):
    """The sandbox or the checker itself failed, not the program it ran. Never scored, always retried or excluded."""


class LossMaskError(R1CIError):
    """A loss mask or log-prob alignment invariant does not hold."""


class TrajectoryFileError(R1CIError):
    """A trajectory record is corrupt, of an unknown version, or cannot be written."""


class MachineProblem(R1CIError):
    """The machine lacks something a run needs: a package, a model folder, disk space, shared memory."""


_Kind = TypeVar("_Kind", bound=R1CIError)


def plugin_error(
    kind: type[_Kind], doing: str, error: BaseException, *, where: str | None = None, fix: str | None = None
) -> _Kind:
    """Turn an exception that a plugin's code raised into an error of ours that points at the plugin's line.

    Args:
        kind: Type of the new error.
        doing: What raised, as the beginning of a sentence: ``the reward term length raised``.
        error: What was raised. If it is an error of ours, its own place and remedy are kept.
        where: What the plugin was working on, or where it comes from.
        fix: What the reader can do about it.
    """
    what, places = "", [where, plugin_line(error)]
    if isinstance(error, R1CIError):
        what, places, fix = error.what, [where, error.where, plugin_line(error)], error.fix or fix
    else:
        try:
            what = str(error)
        except Exception:
            what = "its message cannot be read"
    return kind(
        f"{doing} {type(error).__name__}" + (f": {what}" if what else ""),
        where=", ".join(place for place in places if place) or None,
        fix=fix,
    )


def readable(error: Exception) -> R1CIError:
    """Any error as one of ours: what a file system refuses says which file, anything else where it was raised."""
    if isinstance(error, R1CIError):
        return error
    if isinstance(error, OSError) and error.strerror:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return MachineProblem(
            f"a file cannot be read or written: {error.strerror}",
            where=str(error.filename) if error.filename else _last_line(error),
            fix="free some space, or choose another folder"
            if full
            else "check the path, and who may read and write it",
        )
    text = " ".join(str(error).split())
    return MachineProblem(
        f"unexpected {type(error).__name__}" + (f": {text}" if text else ""),
        where=plugin_line(error) or _last_line(error),
        fix="give the same command with --debug for the whole story; if it is not your plugin, please report it",
    )


def _last_line(error: BaseException) -> str | None:
    """``FILE:LINE`` where it was raised."""
    places = [f"{frame.f_code.co_filename}:{line}" for frame, line in walk_tb(error.__traceback__)]
    return places[-1] if places else None


def plugin_line(error: BaseException) -> str | None:
    """``FILE:LINE`` of the innermost frame of the plugin, whose frame is the first outside this package and Python's.

    What the plugin itself calls, numpy for instance, is not the plugin. None if there is no such frame.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    found, home = None, ""
    for frame, line in walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        place = next((place for place in _INSTALLED if file.startswith(place)), "")
        if file.startswith(("<", _OURS)) or (not place and file.startswith(_PYTHON)):
            continue
        # An installed package or module, else the folder of the file.
        home = home or (place + file[len(place) :].split(os.sep)[0] if place else os.path.dirname(file) + os.sep)
        if file.startswith(home):
            found = f"{file}:{line}"
    return found


_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PYTHON = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = (sysconfig.get_path("purelib") + os.sep, sysconfig.get_path("platlib") + os.sep)  # may be within _PYTHON

_SHOWN = 12


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known name most like the given one, or None when nothing is near."""
    from difflib import get_close_matches  # only where something is wrong

    found = get_close_matches(given, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def suggest(given: str, known: Iterable[str]) -> str:
    """A hint for an error's ``fix``: the nearest known name, and the known names when they are few."""
    names = sorted(known)
    match = nearest(given, names)
    hint = f"did you mean {match!r}? " if match else ""
    if not names:
        return f"{hint}known: none"
    if len(names) <= _SHOWN or not match:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"{hint}known: {', '.join(names[:_SHOWN])}{more}"
    return hint.strip()
