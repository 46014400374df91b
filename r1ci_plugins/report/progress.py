"""Progress of long work: one look for every bar."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from r1ci_plugins.environment import Prepared
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.questions.fitting import FittingQuestions
from r1ci_plugins.questions.selection import Purpose


def progress(*, keep: bool) -> Progress:
    """Bars with description, count and time. Every task has a field ``detail``, text that stands after its bar.

    Args:
        keep: Bars stay on standard output when the work ends; else they are shown on standard error and go away.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("{task.fields[detail]}"),
        console=None if keep else Console(stderr=True),
        transient=not keep,
    )


def questions_with_progress(
    prepared: Prepared, purpose: Purpose, template: ChatTemplate, jobs: int | None = None
) -> FittingQuestions:
    """Draw a recipe's questions with a bar; arguments and errors are those of ``Prepared.questions``."""
    total = sum(draw.count for draw in prepared.draws(purpose))
    with progress(keep=True) as bars:
        bar = bars.add_task(f"generating {purpose} questions", total=total, detail="")
        return prepared.questions(purpose, template, lambda drawn: bars.update(bar, completed=drawn), jobs)
