"""The recipes that ship with the package: ``r1ci:NAME`` in place of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from r1ci_plugins.errors import RecipeError, suggest

PREFIX = "r1ci:"

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Shipped:
    """A recipe of the package.

    Attributes:
        name: What follows ``r1ci:``.
        file: Where it is.
        about: The first sentence of its header.
        command: The command of its header, with this recipe as ``r1ci:NAME``.
    """

    name: str
    file: Path
    about: str
    command: str


def shipped() -> Mapping[str, Path]:
    """The recipes by name. A wheel has them inside the package, a checkout beside it."""
    places = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")
    return {file.stem: file for place in places if place.is_dir() for file in sorted(place.glob("*.yaml"))}


def find(reference: str) -> Path:
    """The file of ``r1ci:NAME``; any other reference is a path already.

    Raises:
        RecipeError: The package has no recipe of that name.
    """
    if not reference.startswith(PREFIX):
        return Path(reference)
    known, name = shipped(), reference.removeprefix(PREFIX).removesuffix(".yaml")
    if name not in known:
        raise RecipeError(
            f"there is no recipe {reference!r} in the package",
            fix=f"{suggest(name, known)}; `r1ci recipe list` describes them",
        )
    return known[name]


def described() -> list[Shipped]:
    """Every recipe with what its header says of it."""
    found = []
    for name, file in shipped().items():
        header = []
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            header.append(line.removeprefix("#").strip())
        about = " ".join(header[: header.index("")] if "" in header else header).partition(". ")[0].rstrip(".")
        command = next((line for line in header if f"recipes/{file.name}" in line), "")
        found.append(Shipped(name, file, about, command.replace(f"recipes/{file.name}", PREFIX + name)))
    return found
