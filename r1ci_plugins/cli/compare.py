"""``r1ci compare``: evaluated models side by side, on the same questions."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """How a comparison is printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs or staged runs, or trajectory files.")
    ],
    form: Annotated[Form, typer.Option("--format", help="table, markdown or csv.")] = Form.TABLE,
) -> None:
    """Compare evaluated models: accuracy with 95 % intervals, and paired differences to the first run.

    What the runs do not share is said, and left out of the differences. A run that is still being written counts as
    far as it is.

    Example: r1ci compare runs/base runs/trained
    """
    from rich.console import Console

    from r1ci_plugins.evaluation.comparison import compare as compared
    from r1ci_plugins.evaluation.evaluated_run import load_runs
    from r1ci_plugins.report.comparison_tables import EXPLAINED, markdown, terminal_table, to_csv

    comparison = compared(load_runs(runs))
    if form is Form.CSV:
        typer.echo(to_csv(comparison), nl=False)
    elif form is Form.MARKDOWN:
        typer.echo(markdown(comparison), nl=False)
    else:
        console = Console(width=None if sys.stdout.isatty() else 200)
        console.print(terminal_table(comparison))
        for line in (EXPLAINED, *comparison.notes):
            console.print(line, markup=False, soft_wrap=True)
