"""Reading cells of a grid, as ``r c, r c, ...`` or as any nesting of pairs."""

from __future__ import annotations

from r1ci_plugins.tasks.answers import Unreadable, integers, rows


def positions(text: str) -> list[tuple[int, int]]:
    """The cells in order, each as row and column: ``0 3, 1 0``, ``[[0, 3], [1, 0]]`` and ``(0,3),(1,0)`` read alike.

    Raises:
        Unreadable: If there is something other than integers, or an odd number of them.
    """
    numbers = integers(" ".join(item for row in rows(text) for item in row))
    if len(numbers) % 2:
        raise Unreadable("a cell is a row and a column")
    return list(zip(numbers[::2], numbers[1::2], strict=True))
