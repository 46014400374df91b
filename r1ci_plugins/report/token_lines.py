"""Rows of tokens as lines for a terminal. Columns say in words what the colours show, for terminals without them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from rich.cells import chop_cells
from rich.text import Text

from r1ci_plugins.report.token_rows import TokenRow, mean_log_prob, plain, reveal, runs

# Neighbouring tokens take the first and the second in turn, so that the reader sees where a token ends.
_STYLES = {
    "trained": ("black on green", "black on bright_green"),
    "predict": ("black on yellow", "black on bright_yellow"),
    "leak": ("bold white on red", "bold black on bright_red"),
    "": ("", "dim"),
}
_SPECIAL = "bold magenta"
_ALARM = "bold red"
_MARGIN = f"{'turn':>4} {'kind':<11} {'mask':<7} {'log-prob':>8} | "


def fact_lines(facts: Mapping[str, str], alarm: str) -> Iterator[Text]:
    """What is known of a trajectory, and what is wrong with its mask, if anything."""
    shown = [*facts.items(), ("wrong", alarm)] if alarm else facts.items()
    for heading, text in shown:
        style = _ALARM if heading in ("excluded", "leaks", "wrong") else ""
        yield Text.assemble((f"{heading:>9}  ", "bold"), (plain(text), style))


def flowing_lines(rows: Sequence[TokenRow], width: int | None) -> Iterator[Text]:
    """The text as it reads, beside a margin that says who wrote it and whether it is trained.

    Args:
        rows: Tokens in order.
        width: The terminal's width in cells; None leaves long lines whole.
    """
    yield Text(_MARGIN + "text", "bold")
    for run in runs(rows):
        mean = mean_log_prob(run)
        log_prob = "" if mean is None else f"{mean:.3f}"
        for line in Text().join(map(_flowing, run)).split("\n"):
            for part in [line] if width is None else _folded(line, max(20, width - len(_MARGIN))):
                row = run[0]
                margin = f"{row.turn:>4} {row.kind.value:<11} {row.verdict:<7} {log_prob:>8} | "
                yield Text.assemble((margin, "bold" if row.trained else "dim"), part)
                log_prob = ""


def token_lines(rows: Sequence[TokenRow]) -> Iterator[Text]:
    """One line per token, with all that is known of it."""
    yield Text(
        f"{'token':>6} {'id':>7} {'turn':>4} {'kind':<11} {'mask':<7} {'special':<7} {'log-prob':>8}  text", "bold"
    )
    for row in rows:
        log_prob = "" if row.log_prob is None else f"{row.log_prob:.3f}"
        special = "special" if row.special else ""
        numbers = (
            f"{row.position:>6} {row.token_id:>7} {row.turn:>4} {row.kind.value:<11} {row.verdict:<7} "
            f"{special:<7} {log_prob:>8}  "
        )
        yield Text.assemble(numbers, ("".join(map(reveal, row.text)) or f"⟨{row.token_id}⟩", _style(row)))


def _style(row: TokenRow) -> str:
    return _SPECIAL if row.special and not row.trained else _STYLES[row.verdict][row.position % 2]


def _flowing(row: TokenRow) -> Text:
    """A token's text in its colours. A line break has a sign and also breaks the line; a blank stays a blank."""
    if not row.text:
        return Text(f"⟨{row.token_id}⟩", _style(row))
    shown = "".join(plain(character) + ("\n" if character == "\n" else "") for character in row.text)
    return Text(shown, _style(row))


def _folded(line: Text, width: int) -> Iterable[Text]:
    """Parts of a line that fit a width; a wide character takes two cells."""
    ends = accumulate(map(len, chop_cells(line.plain, width)))
    return line.divide(end for end in ends if end < len(line))
