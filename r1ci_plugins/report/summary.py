"""One evaluation in a few lines: accuracy with its interval, what several samples tell, and how the model worked."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from r1ci_plugins.evaluation.intervals import Interval, macro_interval, share_interval
from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.evaluation.samples import known_samples, sample_statistics
from r1ci_plugins.evaluation.statistics import accuracy_by_question
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.trajectory import StopReason


def summary_lines(evaluation: Evaluation) -> Iterator[str]:
    """The lines."""
    outcomes = evaluation.outcomes
    yield str(evaluation)
    yield f"95 % interval of the accuracy over questions: {shown(accuracy(outcomes))}"
    tasks = by_task(outcomes)
    if len(tasks) > 1:
        yield f"average over {len(tasks)} tasks: {shown(macro(outcomes))}"
    found = sample_statistics(outcomes)
    if len(found) > 1:
        yield ", ".join(f"{name} {100 * value:.1f} %" for name, value in found.items())
    if shares := behaviour(outcomes):
        yield ", ".join(f"{name} {value}" for name, value in shares.items())


def accuracy(outcomes: Sequence[OutcomeSummary]) -> Interval:
    """Over questions, with its interval."""
    values = list(accuracy_by_question(outcomes).values())
    return share_interval(values, sum(not one.excluded for one in outcomes))


def by_task(outcomes: Sequence[OutcomeSummary]) -> dict[str, dict[str, float]]:
    """Accuracy by task and question, without excluded samples."""
    found: dict[str, dict[str, float]] = {}
    for question, samples in known_samples(outcomes).items():
        found.setdefault(samples[0].task, {})[question] = fmean(one.correct for one in samples)
    return dict(sorted(found.items()))


def macro(outcomes: Sequence[OutcomeSummary]) -> Interval:
    """Averaged over tasks, with its interval."""
    return macro_interval({task: list(questions.values()) for task, questions in by_task(outcomes).items()})


def behaviour(outcomes: Sequence[OutcomeSummary]) -> dict[str, str]:
    """How the model worked, in shares of the known samples."""
    known = [one for one in outcomes if not one.excluded]
    if not known:
        return {}
    coded, text = [o for o in known if o.tool_errors], [o for o in known if not o.tool_errors]
    calls = sum(len(one.tool_errors) for one in known)
    answered = sum(one.stop_reason == StopReason.ANSWERED for one in known)
    found = {
        "with code": _percent(len(coded), len(known)),
        "calls per answer": f"{calls / answered:.2f}" if answered else "-",
        "void turns": _percent(sum(one.stop_reason == StopReason.VOID_TURN for one in known), len(known)),
        "invented outputs": _percent(sum(one.invented_outputs > 0 for one in known), len(known)),
        "repeated programs": _percent(sum(one.repeated_programs for one in known), calls),
        "self-checks": _percent(sum(one.self_check for one in known), len(known)),
        "right without code": _percent(sum(one.correct for one in text), len(text)),
        "right with code": _percent(sum(one.correct for one in coded), len(coded)),
    }
    return found


def shown(interval: Interval, *, sign: bool = False) -> str:
    """Per cent with limits; ``-`` where nothing is known."""
    if interval.mean != interval.mean:
        return "-"
    plus = "+" if sign else ""
    mean = f"{100 * interval.mean:{plus}.1f} %"
    if interval.low != interval.low:
        return mean
    return f"{mean} [{100 * interval.low:{plus}.1f}, {100 * interval.high:{plus}.1f}]"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
