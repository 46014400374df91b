"""OpenRLHF's own command-line flags, read without importing OpenRLHF (which takes seconds and needs torch).

Upstream builds its parser under ``if __name__ == "__main__"``. The statements from there up to ``parse_args`` need
nothing but argparse and datetime: they are cut out of the source and run alone, which gives upstream's real parser.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from r1ci_plugins.errors import MachineProblem, RecipeError, suggest

MODULES = {"train_ppo": "train_ppo_ray", "train_sft": "train_sft"}
"""Our command's name -> upstream's module in ``openrlhf.cli``."""

MAX_LEN = 2048
"""Upstream's default of ``data.max_len``, for machines that do without OpenRLHF; a test compares the two."""


@dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        name: Dotted, without dashes.
        default: Upstream's default; None also when it has none.
        help: Upstream's help text.
        takes: Number of values on the command line, or ``many``.
        choices: The allowed values; empty means any.
        convert: Upstream's conversion from text, such as int.
    """

    name: str
    default: object
    help: str
    takes: int | Literal["many"]
    choices: tuple[object, ...]
    convert: Any


def find_cli(command: str) -> Path:
    """The source file of upstream's command. Nothing of OpenRLHF is imported.

    Raises:
        MachineProblem: If OpenRLHF is not installed.
    """
    spec = importlib.util.find_spec("openrlhf")
    # Our own wheel puts one alias module into openrlhf/cli, so the package's folder alone proves nothing.
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "cli" / f"{MODULES[command]}.py"
        if file.is_file():
            return file
    raise MachineProblem(
        "OpenRLHF is not installed",
        where=f"openrlhf/cli/{MODULES[command]}.py is not on the Python path",
        fix="pip install 'r1ci-plugins[gpu]'; without a GPU, `make setup` in a clone of r1ci-plugins",
    )


@cache
def flags(command: str) -> dict[str, Flag]:
    """Every flag of ``train_ppo`` or ``train_sft``, by dotted name.

    Raises:
        MachineProblem: If OpenRLHF is not installed, or its parser is not where it was in 0.11.2.
    """
    found = {}
    for action in parser(command)._actions:
        if action.dest == "help" or not action.option_strings:
            continue
        name = action.option_strings[0].removeprefix("--")
        takes: int | Literal["many"] = 1
        if action.nargs is not None:
            takes = action.nargs if isinstance(action.nargs, int) else "many"
        choices = tuple(action.choices or ())
        found[name] = Flag(name, action.default, action.help or "", takes, choices, action.type or str)
    return found


def check(given: Mapping[str, object], command: str) -> None:
    """Check flags against upstream's, as far as that is possible without starting it.

    Raises:
        RecipeError: If a flag is unknown, or its value has the wrong number of items, type or choice.
        MachineProblem: As ``flags``.
    """
    known = flags(command)
    for name, value in given.items():
        where = f"recipe key trainer.{name}"
        if name not in known:
            raise RecipeError(f"OpenRLHF's {command} has no flag --{name}", where=where, fix=suggest(name, known))
        if value is None or value is False:
            continue
        flag = known[name]
        values = value if isinstance(value, list | tuple) else [] if value is True else [value]
        if flag.takes != "many" and len(values) != flag.takes:
            expected = "no value: write true or false" if flag.takes == 0 else f"{flag.takes} value(s)"
            raise RecipeError(f"--{name} takes {expected}, not {value!r}", where=where, fix=flag.help or None)
        for item in values:
            try:
                converted = flag.convert(_text(item))
            except (ValueError, TypeError, argparse.ArgumentTypeError):
                kind = getattr(flag.convert, "__name__", "another type")
                raise RecipeError(f"--{name} takes {kind}, not {item!r}", where=where, fix=flag.help or None) from None
            if flag.choices and converted not in flag.choices:
                raise RecipeError(f"--{name} cannot be {item!r}", where=where, fix=_right_choice(flag, item))


def _right_choice(flag: Flag, item: object) -> str:
    """The value that the field means by this word, or the nearest one."""
    meant = _MEANT.get(str(item).lower()) if flag.name == "algo.advantage.estimator" else None
    if meant:
        return f"{item} is {meant} here: --{flag.name} {meant}"
    return suggest(str(item), map(str, flag.choices))


_MEANT = {"grpo": "group_norm", "ppo": "gae", "reinforce++": "reinforce", "reinforce++-baseline": "reinforce_baseline",
          "dr.grpo": "dr_grpo", "drgrpo": "dr_grpo", "flashreinforce": "flash_reinforce"}  # fmt: skip
"""Algorithms as papers name them, where OpenRLHF has another word."""


def read(arguments: Sequence[str], command: str) -> dict[str, Any]:
    """The user's OpenRLHF flags by dotted name, read with upstream's own parser.

    Raises:
        RecipeError: A flag that neither we nor OpenRLHF have, or a value that it cannot have.
        MachineProblem: As ``flags``.
    """
    upstream = parser(command)
    for action in upstream._actions:
        action.default = argparse.SUPPRESS  # only what was given shall come back
    upstream.exit_on_error = False
    try:
        namespace, unknown = upstream.parse_known_args(list(arguments))
    except (argparse.ArgumentError, SystemExit) as error:
        raise _misread(error, arguments, command) from None
    if unknown:
        names = ["plugin", "recipe", "set", "dry-run", "for", *flags(command)]
        nearest = suggest(unknown[0].partition("=")[0].lstrip("-"), names)
        raise RecipeError(f"unknown argument {unknown[0]!r}", where=f"openrlhf.cli.{command}", fix=nearest)
    options = {action.dest: action.option_strings[0].removeprefix("--") for action in upstream._actions}
    return {options.get(name, name): value for name, value in vars(namespace).items()}


def _misread(error: argparse.ArgumentError | SystemExit, arguments: Sequence[str], command: str) -> RecipeError:
    """What argparse makes of a wrong value, in the words of a recipe's flags."""
    where, fix = f"openrlhf.cli.{command}", f"openrlhf.cli.{command} --help lists the flags"
    if isinstance(error, SystemExit):
        return RecipeError("OpenRLHF cannot read these flags", where=where, fix=fix)
    name = (error.argument_name or "").split("/")[0].removeprefix("--")
    flag = flags(command).get(name)
    given = [argument.partition("=") for argument in arguments]
    values = [value if equals else "".join(given[place + 1][:1]) if place + 1 < len(given) else ""
              for place, (option, equals, value) in enumerate(given) if option == f"--{name}"]  # fmt: skip
    if flag is not None and flag.choices and values:
        return RecipeError(
            f"--{name} cannot be {values[-1]!r}", where=f"{where}: --{name}", fix=_right_choice(flag, values[-1])
        )
    return RecipeError(f"--{name}: {error.message}", where=f"{where}: --{name}", fix=(flag and flag.help) or fix)


def to_argv(given: Mapping[str, object]) -> list[str]:
    """The command line of some flags: True is a bare flag, False and None are left out, a list is several values."""
    argv: list[str] = []
    for name, value in given.items():
        if value is None or value is False:
            continue
        if value is True:
            argv.append(f"--{name}")
        elif isinstance(value, list | tuple):
            argv += [f"--{name}", *map(_text, value)]
        elif _text(value).startswith("-"):
            argv.append(f"--{name}={_text(value)}")  # apart, argparse would take -1e-3 for a flag
        else:
            argv += [f"--{name}", _text(value)]
    return argv


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def parser(command: str) -> argparse.ArgumentParser:
    """A new parser with upstream's flags, from the statements of its main block that build it.

    Raises:
        MachineProblem: If OpenRLHF is not installed, or its parser is not where it was in 0.11.2.
    """
    file = find_cli(command)
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    main = next(
        (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "__name__ == '__main__'"), None
    )
    building = []
    for statement in main.body if main else []:
        if any(isinstance(node, ast.Attribute) and node.attr == "parse_args" for node in ast.walk(statement)):
            break
        building.append(statement)
    names: dict[str, Any] = {"argparse": argparse, "datetime": datetime, "os": os}
    try:
        exec(compile(ast.Module(building, []), str(file), "exec"), names)
        built = names["parser"]
    except Exception as error:
        raise MachineProblem(
            f"OpenRLHF's command-line flags cannot be read: {type(error).__name__}: {error}",
            where=str(file),
            fix="install the supported version: pip install openrlhf==0.11.2",
        ) from error
    assert isinstance(built, argparse.ArgumentParser)
    return built
