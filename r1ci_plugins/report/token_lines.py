"""Rows of tokens as lines for a terminal: colours where there are any, words in columns everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from r1ci_plugins.report.token_rows import TokenRow, mean_log_prob, plain, reveal, runs

# The second of two is for every other token, so that one can see where tokens end.
_STYLES = {
    "trained": ("black on green", "black on bright_green"),
    "leak": ("bold white on red", "bold black on bright_red"),
    "": ("", "dim"),
}
_SPECIAL = "bold magenta"
_ALARM = "bold red"
_MARGIN = f"{'turn':>4} {'kind':<11} {'mask':<7} {'log-prob':>8} | "


def fact_lines(facts: Mapping[str, str], alarm: str) -> Iterator[Text]:
    """What is known of a trajectory, and what is wrong with its mask, if anything."""
    for heading, text in {**facts, **({"wrong": alarm} if alarm else {})}.items():
        style = _ALARM if heading in ("excluded", "leaks", "wrong") else ""
        yield Text.assemble((f"{heading:>9}  ", "bold"), (plain(text), style))


def flowing_lines(rows: Sequence[TokenRow], width: int | None) -> Iterator[Text]:
    """Text as it reads, with a margin that says whose it is and whether it is trained.

    Args:
        rows: Tokens in order.
        width: Of the terminal; None folds no line.
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
    """One token a line, with all that is known of it."""
    yield Text(
        f"{'token':>6} {'id':>7} {'turn':>4} {'kind':<11} {'mask':<7} {'special':<7} {'log-prob':>8}  text", "bold"
    )
    for row in rows:
        log_prob = "" if row.log_prob is None else f"{row.log_prob:.3f}"
        numbers = (
            f"{row.position:>6} {row.token_id:>7} {row.turn:>4} {row.kind.value:<11} {row.verdict:<7} "
            f"{'special' * row.special:<7} {log_prob:>8}  "
        )
        yield Text.assemble(numbers, ("".join(map(reveal, row.text)) or f"⟨{row.token_id}⟩", _style(row)))


def _style(row: TokenRow) -> str:
    return _SPECIAL if row.special and not row.trained else _STYLES[row.verdict][row.position % 2]


def _flowing(row: TokenRow) -> Text:
    """A token's text in its colours; a line break is shown and made, a blank is a blank."""
    if not row.text:
        return Text(f"⟨{row.token_id}⟩", _style(row))
    shown = "".join(plain(character) + "\n" * (character == "\n") for character in row.text)
    return Text(shown, _style(row))


def _folded(line: Text, width: int) -> Iterator[Text]:
    """Parts of a line that fit a width; wide characters count twice."""
    taken, cuts = 0, []
    for index, character in enumerate(line.plain):
        cells = Text(character).cell_len
        if taken + cells > width:
            cuts.append(index)
            taken = 0
        taken += cells
    yield from line.divide(cuts)
