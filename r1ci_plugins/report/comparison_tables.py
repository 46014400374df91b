"""A comparison of runs as a table for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from r1ci_plugins.evaluation.comparison import Comparison, Row
from r1ci_plugins.evaluation.pairs import Pairing
from r1ci_plugins.evaluation.samples import sample_statistics
from r1ci_plugins.report.summary import behaviour, shown
from r1ci_plugins.report.token_rows import plain

PUBLISHED = (
    ("Qwen2.5-14B, all text", 44.1), ("R1-CI-14B, SFT", 63.1), ("R1-CI-14B, GRPO", 66.5), ("R1-CI-14B, v1", 64.1),
    ("R1-CI-14B, curriculum (v2)", 72.4), ("GPT-4o, all text", 58.6), ("GPT-4o, Code Interpreter", 70.9),
)  # fmt: skip
"""Per cent, average over the paper's 37 test tasks (arXiv 2505.21668); its split of tasks is not published."""

EXPLAINED = (
    "Accuracy in per cent with its 95 % interval, clustered by question; differences to the first run in pairs of the "
    "same question, with wins and losses in questions (of the average: in tasks); p-values of tasks are corrected for "
    "their number by Holm's method."
)


def heads(comparison: Comparison) -> list[str]:
    """The columns' heads."""
    first, *others = [plain(run.name) for run in comparison.runs]
    found = ["", first]
    for name in others:
        found += [name, "difference", "won-lost", "p"]
    return found


def lines(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Every row's kind and cells."""
    for row in comparison.rows:
        yield row.kind, [plain(row.name), *_cells(row)]
    for name, values in details(comparison).items():
        cells = [name, values[0]]
        for value in values[1:]:
            cells += [value, "", "", ""]
        yield "detail", cells


def details(comparison: Comparison) -> dict[str, list[str]]:
    """What several samples tell and how each run worked, by name; one value for each run."""
    each = []
    for run in comparison.runs:
        found = sample_statistics(run.outcomes)
        shares = {name: f"{100 * value:.1f} %" for name, value in found.items()} if len(found) > 1 else {}
        each.append(shares | behaviour(run.outcomes))
    names = list(dict.fromkeys(name for one in each for name in one))
    return {name: [one.get(name, "-") for one in each] for name in names}


def terminal_table(comparison: Comparison) -> Table:
    """The table for people."""
    table = Table(title="Accuracy on the same questions", title_justify="left")
    for number, head in enumerate(heads(comparison)):
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    before = ""
    for kind, cells in lines(comparison):
        if before and kind != before:
            table.add_section()
        before = kind
        table.add_row(*map(Text, cells), style="bold" if kind in ("macro", "all") else None)
    return table


def markdown(comparison: Comparison) -> str:
    """GitHub's Markdown: the table, what it shows, notes."""
    head = heads(comparison)
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *(cells for _, cells in lines(comparison))]
    table = ["| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in row) + " |" for row in rows]
    notes = [f"- {plain(note)}" for note in comparison.notes]
    return "\n".join([*table, "", EXPLAINED, *notes]) + "\n"


def to_csv(comparison: Comparison) -> str:
    """One line for each row and run, numbers as shares."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns = ("accuracy", "low", "high", "difference", "difference_low", "difference_high", "p", "wins", "losses")
    writer.writerow(["kind", "name", "run", *columns])
    for row in comparison.rows:
        for place, (run, accuracy) in enumerate(zip(comparison.runs, row.accuracies, strict=True)):
            numbers = accuracy.to_list()
            if place:
                pairing = row.pairings[place - 1]
                p = None if pairing.p != pairing.p else pairing.p
                numbers += [*pairing.difference.to_list(), p, pairing.wins, pairing.losses]
            cells = ["" if value is None else f"{value:.6g}" for value in numbers]
            writer.writerow([row.kind, _inert(row.name), _inert(run.name), *cells])
    return out.getvalue()


def _cells(row: Row) -> list[str]:
    cells = [shown(row.accuracies[0])]
    for accuracy, pairing in zip(row.accuracies[1:], row.pairings, strict=True):
        cells += [shown(accuracy), *pairing_cells(pairing)]
    return cells


def pairing_cells(pairing: Pairing) -> Sequence[str]:
    """Difference, wins and losses, p-value."""
    if not pairing.questions:
        return ("-", "-", "-")
    p = "" if pairing.p != pairing.p else "<0.001" if pairing.p < 0.001 else f"{pairing.p:.3f}"
    return (shown(pairing.difference, sign=True), f"{pairing.wins}-{pairing.losses}", p)


def _inert(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{plain(text)}" if text[:1] in "=+-@" else plain(text)
