"""Evaluated runs side by side: per task, suite and capability class, with paired differences to the first run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.evaluation.evaluated_run import EvaluatedRun
from r1ci_plugins.evaluation.intervals import UNKNOWN, Interval, macro_interval, share_interval
from r1ci_plugins.evaluation.pairs import Pairing, holm, pair, pair_macro
from r1ci_plugins.evaluation.samples import known_samples
from r1ci_plugins.questions.suite import load_suite
from r1ci_plugins.rollout.metrics import OutcomeSummary

Shares = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """One line of a comparison.

    Attributes:
        kind: ``macro``, ``all``, ``suite``, ``class`` or ``task``.
        name: Of the task or group.
        accuracies: For each run.
        pairings: For each run but the first, compared with the first; p-values of tasks are Holm's over all tasks.
    """

    kind: str
    name: str
    accuracies: Sequence[Interval]
    pairings: Sequence[Pairing]


@dataclass(frozen=True)
class Comparison:
    """What runs say about the same questions. ``notes`` tells what they do not share."""

    runs: Sequence[EvaluatedRun]
    rows: Sequence[Row]
    notes: Sequence[str]


def compare(runs: Sequence[EvaluatedRun]) -> Comparison:
    """Compare runs, each with the first. One run is a comparison without differences."""
    samples = [known_samples(run.outcomes) for run in runs]
    by_task = [_shares_by_task(one) for one in samples]
    tasks = sorted({task for one in by_task for task in one})
    rows = [_macro_row(by_task)] if len(tasks) > 1 else []
    rows += [_row("all", "all questions", samples, lambda task: True)]
    for kind, groups in (("suite", _suites(tasks)), ("class", _classes(tasks))):
        if len(groups) > 1:
            rows += [_row(kind, name, samples, members.__contains__) for name, members in groups.items()]
    rows += _corrected([_row("task", task, samples, {task}.__contains__) for task in tasks])
    notes = [f"{run.name}: {note}" for run in runs for note in run.notes]
    return Comparison(runs, rows, [*notes, *_not_shared(runs, samples), *_excluded(runs)])


def _shares_by_task(samples: Mapping[str, Sequence[OutcomeSummary]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for question, some in samples.items():
        found.setdefault(some[0].task, {})[question] = fmean(one.correct for one in some)
    return found


def _row(
    kind: str,
    name: str,
    samples: Sequence[Mapping[str, Sequence[OutcomeSummary]]],
    belongs: Callable[[str], bool],
) -> Row:
    shares: list[Shares] = []
    accuracies = []
    for one in samples:
        mine = {question: some for question, some in one.items() if belongs(some[0].task)}
        shares.append({question: fmean(s.correct for s in some) for question, some in mine.items()})
        accuracies.append(share_interval(list(shares[-1].values()), sum(map(len, mine.values()))))
    return Row(kind, name, accuracies, [pair(shares[0], other) for other in shares[1:]])


def _macro_row(by_task: Sequence[Mapping[str, Shares]]) -> Row:
    accuracies = [macro_interval({task: list(values.values()) for task, values in one.items()}) for one in by_task]
    pairings = []
    for other in by_task[1:]:
        shared = {task for task in by_task[0] if task in other}
        differences = [fmean(other[task].values()) - fmean(by_task[0][task].values()) for task in shared]
        difference = pair_macro(by_task[0], other) if shared else UNKNOWN
        wins, losses = sum(one > 0 for one in differences), sum(one < 0 for one in differences)
        pairings.append(Pairing(len(shared), difference, math.nan, wins, losses))
    return Row("macro", f"average over {len(set().union(*by_task))} tasks", accuracies, pairings)


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """Rows of tasks with Holm's correction, for each run over all tasks."""
    columns = [holm([row.pairings[place].p for row in rows]) for place in range(len(rows[0].pairings) if rows else 0)]
    return [
        replace(
            row, pairings=[replace(one, p=column[number]) for one, column in zip(row.pairings, columns, strict=True)]
        )
        for number, row in enumerate(rows)
    ]


def _suites(tasks: Iterable[str]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for task in tasks:
        groups.setdefault(task.partition("/")[0], set()).add(task)
    return groups


def _classes(tasks: Iterable[str]) -> dict[str, set[str]]:
    """By the capability classes of the default suite; tasks outside of it belong to none."""
    try:
        members = load_suite("default").members
    except RecipeError:
        return {}
    groups: dict[str, set[str]] = {}
    for task in tasks:
        if task in members:
            groups.setdefault(members[task].capability, set()).add(task)
    return dict(sorted(groups.items()))


def _not_shared(runs: Sequence[EvaluatedRun], samples: Sequence[Mapping[str, object]]) -> list[str]:
    notes = []
    for run, other in zip(runs[1:], samples[1:], strict=True):
        shared, mine, theirs = len(samples[0].keys() & other.keys()), len(samples[0]), len(other)
        if shared < max(mine, theirs):
            notes.append(
                f"{run.name} and {runs[0].name} share {shared} questions, which the differences are over; "
                f"{theirs - shared} are only in {run.name}, {mine - shared} only in {runs[0].name}"
            )
    return notes


def _excluded(runs: Sequence[EvaluatedRun]) -> list[str]:
    counts = [(run.name, sum(one.excluded for one in run.outcomes), len(run.outcomes)) for run in runs]
    return [
        f"{name}: {count} of {of} samples are excluded for infrastructure faults"
        for name, count, of in counts
        if count
    ]
