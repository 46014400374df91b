"""Tables: columns for people on a terminal, tab-separated lines for programs elsewhere."""

import sys
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[str] = (), heads_in_lines: bool = True
) -> None:
    """Print a table.

    The columns whose heads are in ``numbers`` are aligned to the right. ``heads_in_lines`` says whether tab-separated
    lines begin with the heads.
    """
    if not sys.stdout.isatty():
        for line in [heads, *rows] if heads_in_lines else rows:
            print("\t".join(line))
        return
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right" if head in numbers else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
