"""Judging a finished episode: verify its answer, then evaluate every reward term."""

import math
from collections.abc import Mapping
from dataclasses import replace

from r1ci_plugins.errors import InfrastructureFault, plugin_error
from r1ci_plugins.rewards.terms import RewardTerm
from r1ci_plugins.rewards.verifier import AnswerVerifier
from r1ci_plugins.rollout.trajectory import Trajectory


async def judge(trajectory: Trajectory, verifier: AnswerVerifier, terms: Mapping[str, RewardTerm]) -> Trajectory:
    """Add score and reward terms. A failing checker or term becomes ``Trajectory.fault``, never a wrong number."""
    if trajectory.excluded:
        return trajectory
    if trajectory.answer is None:
        judged = replace(trajectory, score=0.0, score_detail="no final answer")
    else:
        try:
            score = await verifier.verify(trajectory.question, trajectory.answer)
        except InfrastructureFault as failed:
            return replace(trajectory, fault=str(failed))
        judged = replace(trajectory, score=score.value, score_detail=score.detail)
    values: dict[str, float] = {}
    for name, term in terms.items():
        try:
            values[name] = float(term(judged))
        except Exception as error:  # a plugin's term may raise anything; one bad trajectory must not end a run
            fault = plugin_error(InfrastructureFault, f"the reward term {name} raised", error)
            return replace(judged, fault=str(fault))
        if not math.isfinite(values[name]):
            return replace(judged, fault=f"the reward term {name} returned {values[name]}")
    return replace(judged, reward_terms=values)
