"""Secrets stay in the environment: recipes and flags name a variable, so that nothing that is written holds a key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins.errors import MachineProblem

WANDB_FLAG, WANDB_VARIABLE = "logger.wandb.key", "WANDB_API_KEY"

# A bare "token" or "key" may be anything, such as a word that a format looks for.
_SECRET = re.compile(
    r"(?:^|[._-])(?:(?:api|access|auth|wandb|secret|private)[._-]?key|(?:api|access|auth|hf|hub|bearer)[._-]?token"
    r"|secret|password|passwd|credentials?)$",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)


def variable(value: object) -> str | None:
    """The environment variable that ``$NAME`` or ``${NAME}`` names; None for anything else."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return (found[1] or found[2]) if found else None


def is_secret(name: str) -> bool:
    """Whether a flag or option of this dotted name holds a secret."""
    return bool(_SECRET.search(name))


def check_no_secrets(values: Mapping[str, Any], path: str) -> None:
    """Refuse secrets that are written out. The message does not repeat them.

    Args:
        values: Free options or flags, nested or dotted.
        path: Their key in the recipe.

    Raises:
        ValueError: One is written out.
    """
    for key, value in values.items():
        name = f"{path}.{key}"
        if isinstance(value, Mapping):
            check_no_secrets(value, name)
        elif isinstance(value, str) and value and is_secret(name.removeprefix("trainer.")) and not variable(value):
            wanted = WANDB_VARIABLE if name == f"trainer.{WANDB_FLAG}" else str(key).upper().replace(".", "_")
            raise ValueError(
                f"{name}: a secret does not belong in a recipe, which every run records; "
                f"export {wanted}=... and write {name}: ${wanted}"
            )


def resolved(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with every secret that is a reference taken from the environment.

    Raises:
        MachineProblem: The variable is not set.
    """
    found = dict(options)
    for key, value in options.items():
        if isinstance(value, Mapping):
            found[key] = resolved(value)
        elif is_secret(key) and (name := variable(value)):
            found[key] = from_environment(name)
    return found


def from_environment(name: str) -> str:
    """A variable's value; MachineProblem if it is not set."""
    if not os.environ.get(name):
        raise MachineProblem(f"the environment variable {name} is not set", fix=f"export {name}=... first")
    return os.environ[name]


def redacted(text: str) -> str:
    """A ``key=value`` without its value, where the key is one of a secret."""
    key, equals, value = text.partition("=")
    return f"{key}=***" if equals and is_secret(key.lstrip("-")) and not variable(value) else text


def redacted_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line as it may be written down."""
    shown: list[str] = []
    for argument in arguments:
        after_secret = bool(shown) and shown[-1].startswith("--") and "=" not in shown[-1] and is_secret(shown[-1][2:])
        shown.append("***" if after_secret and not variable(argument) else redacted(argument))
    return shown


def to_environment(arguments: Sequence[str]) -> list[str]:
    """The user's flags with a typed wandb key moved into the environment, where wandb looks for it first."""
    kept = list(arguments)
    for place, argument in enumerate(kept):
        flag, equals, value = argument.partition("=")
        if flag != f"--{WANDB_FLAG}":
            continue
        given = value if equals else next(iter(kept[place + 1 : place + 2]), "")
        if not given or variable(given):
            continue
        os.environ[WANDB_VARIABLE] = given
        kept[place if equals else place + 1] = f"{flag}=${WANDB_VARIABLE}" if equals else f"${WANDB_VARIABLE}"
    return kept
