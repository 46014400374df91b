"""Paths as a shell reads them: ``~`` and ``$NAME`` stand for what they stand for there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

_UNSET = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
_PATH_FLAG = re.compile(r"(?:_path|\.path|_dir|dataset)$")


def expand(text: str) -> str:
    """The path with ``~``, ``~user``, ``$NAME`` and ``${NAME}`` replaced.

    Raises:
        ValueError: A variable is not set, or there is no such user.
    """
    expanded = os.path.expandvars(text)
    if unset := _UNSET.search(expanded):
        raise ValueError(f"the environment variable {unset[1] or unset[2]} in {text!r} is not set")
    expanded = os.path.expanduser(expanded)
    if expanded.startswith("~"):
        raise ValueError(f"{text!r} begins with ~ and no user of that name; write the folder's whole path")
    return expanded


PathText = Annotated[str, AfterValidator(expand)]


def expand_flag(name: str, value: object) -> object:
    """A trainer flag's value, expanded where the flag takes a path.

    Raises:
        ValueError: As ``expand``.
    """
    if not isinstance(value, str) or not _PATH_FLAG.search(name):
        return value
    return ",".join(expand(part) for part in value.split(","))  # data sets may be several


def absolute(text: Any) -> Any:
    """The path made absolute if it exists here; hub names and what is still to be made stay as they are."""
    return str(Path(text).absolute()) if isinstance(text, str) and Path(text).exists() else text
