"""What an audit found, as lines for a terminal."""

from collections.abc import Iterator
from pathlib import Path

from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.report.token_rows import plain
from r1ci_plugins.training.audit import Offence, Tally


def offence_line(file: Path, line: int, key: str, offence: Offence) -> str:
    """One offence: where it is, what is wrong, and what to do about it."""
    where = f"{file}, line {line}"
    if offence.position is not None:
        where += f", token {offence.position}"
    if key:
        where += f": {key}"
    return f"{plain(where)}\n  what:  {plain(offence.what)}\n  fix:   {offence.fix}"


def tally_lines(tally: Tally, mask: str, model: str) -> Iterator[str]:
    """Counts of trajectories and of tokens by kind, with the names of the mask and of the tokenizer."""
    notes = [f"{tally.trajectories} trajectories, mask {mask}, tokenizer {model}"]
    if tally.excluded:
        notes.append(f"{tally.excluded} excluded from training")
    if tally.textual:
        notes.append(f"{tally.textual} recorded as text alone and rendered")
    yield "; ".join(notes)
    yield f"{'kind':<12}{'tokens':>12}{'trained':>12}{'share':>9}"
    counts = [(kind.value, tally.tokens[kind], tally.trained[kind]) for kind in SegmentKind]
    for name, tokens, trained in [*counts, ("all", tally.tokens.total(), tally.trained.total())]:
        yield f"{name:<12}{tokens:>12}{trained:>12}{trained / max(1, tokens):>9.1%}"
    leaks = tally.trained.total() - tally.trained[SegmentKind.ACTION]
    if leaks:
        yield f"{leaks} tokens are trained though the policy did not write them"
