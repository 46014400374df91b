"""Cells of a grid as SymBench writes them: ``C2,3`` is row 2, column 3, both counted from 1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Cell = tuple[int, int]

_NAME = re.compile(r"C ?(\d{1,3}) ?, ?(\d{1,3})", re.I)


def cell(name: object) -> Cell:
    """Row and column of a name.

    Raises:
        ValueError: If it is not the name of a cell.
    """
    match = _NAME.fullmatch(name.strip()) if isinstance(name, str) else None
    if not match:
        raise ValueError(f"not a cell like C1,2: {str(name)[:40]!r}")
    return int(match[1]), int(match[2])


def names(cells: Iterable[Cell]) -> list[str]:
    """The names of cells."""
    return [f"C{row},{column}" for row, column in cells]


def neighbours(of: Cell, rows: int, columns: int) -> Iterator[Cell]:
    """The cells above, below, left and right that are on the grid."""
    row, column = of
    for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
        if 1 <= near[0] <= rows and 1 <= near[1] <= columns:
            yield near


def adjacent(a: Cell, b: Cell) -> bool:
    """Whether two cells share a side."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1
