"""Metrics of a batch of trajectories: plain numbers by name, overall and per task."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from r1ci_plugins.rollout.behaviour import Behaviour
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.sandbox.pool_metrics import quantiles


@dataclass(frozen=True)
class OutcomeSummary:
    """What metrics need to know about a trajectory, small enough to travel with every training sample.

    Attributes:
        task: Qualified task name.
        question: ``Question.key``.
        correct: Whether the verifier accepted the answer.
        reward: Sum of the reward terms.
        reward_terms: Each term's value.
        stop_reason: Why the episode ended.
        excluded: Whether an infrastructure fault keeps it out of loss and baseline.
        tool_errors: Error kind of every code call; empty for one that succeeded.
        timeouts: Number of code calls that were stopped at their time limit.
        queue_s: Seconds that each program waited for a slot.
        execution_s: Seconds that each program ran.
        cpu_s: CPU seconds that each program used.
        sandbox_retries: How often a program was started again because the sandbox failed.
        action_tokens: Tokens the policy sampled.
        wall_s: Seconds the episode took.
        trajectory: ``Trajectory.fingerprint``, which finds its record and its advantage.
        fault: The infrastructure fault, with its cause; empty without one.
        outputs: Ranges of positions of code outputs that the loss's second term trains; none without it.
        answer: A digest of the final answer, white space and case aside; empty without one, and in old records.
        invented_outputs: See ``behaviour``; so are the next two.
        repeated_programs: Programs that an earlier one of the trajectory repeats.
        self_check: Whether the model checks a result that it has.
    """

    task: str
    question: str
    correct: bool
    reward: float
    reward_terms: Mapping[str, float]
    stop_reason: str
    excluded: bool
    tool_errors: tuple[str, ...]
    timeouts: int
    queue_s: tuple[float, ...]
    execution_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    sandbox_retries: int
    action_tokens: int
    wall_s: float
    trajectory: str = ""
    fault: str = ""
    outputs: tuple[tuple[int, int], ...] = ()
    answer: str = ""
    invented_outputs: int = 0
    repeated_programs: int = 0
    self_check: bool = False

    def __post_init__(self) -> None:
        for name in ("tool_errors", "queue_s", "execution_s", "cpu_s"):  # JSON gives lists back
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "outputs", tuple((start, end) for start, end in self.outputs))

    @classmethod
    def of(cls, trajectory: Trajectory) -> OutcomeSummary:
        """Summarise a judged trajectory."""
        behaviour = Behaviour(trajectory)
        return cls(
            task=trajectory.question.task,
            question=trajectory.question.key,
            correct=trajectory.correct,
            reward=trajectory.reward,
            reward_terms=dict(trajectory.reward_terms),
            stop_reason=trajectory.stop_reason.value,
            excluded=trajectory.excluded,
            tool_errors=tuple(call.error for call in trajectory.tool_calls),
            timeouts=sum(call.status == "timeout" for call in trajectory.tool_calls),
            queue_s=tuple(call.queue_s for call in trajectory.tool_calls),
            execution_s=tuple(call.wall_s for call in trajectory.tool_calls),
            cpu_s=tuple(call.cpu_s for call in trajectory.tool_calls),
            sandbox_retries=sum(call.attempts - 1 for call in trajectory.tool_calls),
            action_tokens=trajectory.action_tokens,
            wall_s=trajectory.wall_s,
            trajectory=trajectory.fingerprint,
            fault=trajectory.fault,
            answer=_digest(trajectory.answer),
            invented_outputs=behaviour.invented_outputs,
            repeated_programs=behaviour.repeated_programs,
            self_check=behaviour.self_check,
        )

    def to_dict(self) -> dict[str, object]:
        """JSON-ready values; ``OutcomeSummary(**values)`` reads them back."""
        return asdict(self)


def _digest(answer: str | None) -> str:
    """12 hexadecimal digits that equal answers share; the vote of the majority needs no more of them."""
    if answer is None:
        return ""
    plain = " ".join(answer.casefold().split())
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def batch_metrics(outcomes: Sequence[OutcomeSummary]) -> dict[str, float]:
    """Metrics of a batch: ``accuracy``, ``code_calls``, ... and the same under ``task/<name>/`` for every task.

    ``macro_accuracy`` is the mean of the tasks' accuracies.

    Excluded trajectories do not count in ``accuracy``, ``reward`` and ``reward/<term>``, and these are left out when
    all are excluded; they count everywhere else. Rates are means over trajectories, tool-error rates over code calls.
    """
    if not outcomes:
        return {}
    metrics = _metrics(outcomes)
    for reason in StopReason:
        metrics[f"stop/{reason.value}"] = fmean(o.stop_reason == reason.value for o in outcomes)
    metrics["sandbox_retries"] = float(sum(o.sandbox_retries for o in outcomes))
    for name in ("queue_s", "execution_s", "cpu_s"):
        if seconds := [value for outcome in outcomes for value in getattr(outcome, name)]:
            metrics |= quantiles(name, seconds)
    metrics |= _tool_errors(outcomes, 10)
    known = [o for o in outcomes if not o.excluded]
    for term in sorted({name for o in known for name in o.reward_terms}):
        metrics[f"reward/{term}"] = fmean(o.reward_terms.get(term, 0.0) for o in known)
    by_task: dict[str, list[OutcomeSummary]] = defaultdict(list)
    for outcome in outcomes:
        by_task[outcome.task].append(outcome)
    accuracies = []
    for task, group in sorted(by_task.items()):
        stops = Counter(o.stop_reason for o in group)
        shares = {f"stop/{stop}": count / len(group) for stop, count in stops.items()}
        own = _metrics(group) | shares | _tool_errors(group, 3)
        metrics |= {f"task/{task}/{name}": value for name, value in own.items()}
        if "accuracy" in own:
            accuracies.append(own["accuracy"])
    if accuracies:
        metrics["macro_accuracy"] = fmean(accuracies)
    return metrics


def _tool_errors(outcomes: Sequence[OutcomeSummary], most: int) -> dict[str, float]:
    """Shares of the most frequent kinds of errors among code calls."""
    calls = [error for outcome in outcomes for error in outcome.tool_errors]
    kinds = Counter(error for error in calls if error).most_common(most)
    return {f"tool_error/{kind}": count / len(calls) for kind, count in kinds}


def _metrics(outcomes: Sequence[OutcomeSummary]) -> dict[str, float]:
    known = [o for o in outcomes if not o.excluded]
    calls = sum(len(o.tool_errors) for o in outcomes)
    metrics = {
        "samples": float(len(outcomes)),
        "excluded": float(len(outcomes) - len(known)),
        "code_calls": fmean(len(o.tool_errors) for o in outcomes),
        "code_share": fmean(bool(o.tool_errors) for o in outcomes),
        "tool_error_rate": sum(error != "" for o in outcomes for error in o.tool_errors) / calls if calls else 0.0,
        "timeouts": float(sum(o.timeouts for o in outcomes)),
        "queue_s": sum(seconds for o in outcomes for seconds in o.queue_s) / calls if calls else 0.0,
        "execution_s": sum(seconds for o in outcomes for seconds in o.execution_s) / calls if calls else 0.0,
        "action_tokens": fmean(o.action_tokens for o in outcomes),
        "wall_s": fmean(o.wall_s for o in outcomes),
    }
    if known:  # without trajectories the accuracy is unknown, not 0: the curve gets no point
        metrics["accuracy"] = fmean(o.correct for o in known)
        metrics["reward"] = fmean(o.reward for o in known)
    return metrics
