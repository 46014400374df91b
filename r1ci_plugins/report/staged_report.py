"""What came of a staged run: a table and a picture in its folder, and the sentences that the command ends with."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from r1ci_plugins.report.comparison import Gain, comparison_table, gains
from r1ci_plugins.report.progress_picture import draw
from r1ci_plugins.rollout.run_folder import RunFolder, read_lines, writing
from r1ci_plugins.runs.staged_run import StagedRun

WIDE = 160
"""Characters a line, where nothing says how many there are."""


@dataclass(frozen=True)
class StagedReport:
    """The report of one staged run.

    ``table`` is None with fewer than two evaluations, ``picture`` where matplotlib is not installed.
    """

    table: Table | None
    gains: list[Gain]
    picture: Path | None

    @property
    def improved(self) -> bool:
        """Whether a training stage raised accuracy for certain, and each other one did or had no room to."""
        each = [gain.certain or gain.without_room for gain in self.gains]
        return any(gain.certain for gain in self.gains) and all(each)


def write_report(work: StagedRun) -> StagedReport:
    """Write ``comparison.txt`` and ``progress.png`` into the folder of a run.

    Raises MachineProblem if the folder cannot be written.
    """
    evaluations = work.evaluations()
    table = comparison_table(evaluations)
    if table is None:
        return StagedReport(None, [], None)
    curves = {stage.name: list(read_lines(RunFolder(stage.folder).metrics)) for stage in work.stages}
    with writing(work.path):
        with open(work.path / "comparison.txt", "w", encoding="utf-8") as text:
            Console(file=text, width=WIDE).print(table)
        trained = {name: lines for name, lines in curves.items() if lines}
        picture = draw(work.path / "progress.png", evaluations, trained)
    return StagedReport(table, gains(evaluations), picture)


def report_lines(report: StagedReport, work: StagedRun) -> Iterator[str]:
    """What to say below the table."""
    if report.table is None:
        yield "r1ci: fewer than two evaluations, nothing to compare; tasks.eval makes the trainer evaluate"
        return
    for gain in report.gains:
        yield f"r1ci: {gain}: {gain.verdict}"
    seconds = work.seconds()
    each = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    yield f"r1ci: {sum(seconds.values()) / 60:.1f} minutes: {each}"
    yield f"r1ci: {report.picture or 'no picture: pip install matplotlib'}; everything in {work.path}"
