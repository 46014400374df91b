"""OpenRLHF's experience maker: excluded trajectories stay out of baselines, and advantages are kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf.seams.recorder import recorder
from r1ci_plugins.trainers.openrlhf.seams.samples import outcomes_of

log = logging.getLogger("r1ci")

_DEAD_BATCHES = 3


def make_experience_batch(self: Any, rollout_samples: Sequence[Any]) -> Any:
    """End the run after ``_DEAD_BATCHES`` batches in a row without a single usable sample.

    One such batch may be a passing outage; its loss mask is empty, so that it trains nothing.

    Raises:
        InfrastructureFault: Sandbox or checkers are down for good: going on would burn GPUs for nothing.
    """
    outcomes, here = outcomes_of(rollout_samples), recorder()
    if all(outcome.excluded for outcome in outcomes):
        here.dead_batches += 1
        log.warning("all %d trajectories of step %d ended in an infrastructure fault", len(outcomes), here.step)
        if here.dead_batches >= _DEAD_BATCHES:
            raise InfrastructureFault(
                f"{here.dead_batches} batches in a row had nothing but infrastructure faults",
                where=str(here.folder.trajectories("train")),
                fix="read `fault` in the trajectories, run `r1ci doctor`, then resume with --ckpt.load_enable",
            )
    else:
        here.dead_batches = 0
    experiences = upstream[make_experience_batch](self, rollout_samples)
    _record_advantages(experiences)
    return experiences


def _record_advantages(experiences: Sequence[Any]) -> None:
    """Keep each trajectory's advantage: the mean over its trained tokens, lowest and highest where they differ."""
    here = recorder()
    for experience in experiences:
        masks, advantages = experience.action_mask.bool(), experience.advantages
        for row, outcome in enumerate(outcomes_of([experience])):
            values = advantages[row][masks[row]].float()
            if not len(values):
                continue
            line = {"step": here.step, "trajectory": outcome.trajectory, "advantage": values.mean().item()}
            if (values.max() - values.min()).item() > 1e-6:
                line |= {"lowest": values.min().item(), "highest": values.max().item()}
            here.append(here.folder.advantages, line)


def apply_length_penalties(experiences: Sequence[Any], args: Any) -> None:
    """Upstream's penalties; then each excluded sample gets the mean reward of the rest of its baseline's group.

    This is the last call that touches rewards before baselines are computed, so an excluded sample does not move its
    baseline; its own loss mask is empty. The group's standard deviation (``group_norm``) still counts it, as a value
    at the mean; with one of five excluded it comes out 13 % smaller.
    """
    upstream[apply_length_penalties](experiences, args)
    rows = [(experience, row) for experience in experiences for row in range(len(experience.index))]
    samples = sorted(
        zip([experience.index[row] for experience, row in rows], rows, outcomes_of(experiences), strict=True),
        key=lambda sample: sample[0],  # a prompt's samples have consecutive indices
    )
    whole_batch = args.algo.advantage.estimator == "flash_reinforce"
    size = len(samples) if whole_batch else args.rollout.n_samples_per_prompt
    for start in range(0, len(samples), size):
        group = samples[start : start + size]
        known = [experience.rewards[row].item() for _, (experience, row), outcome in group if not outcome.excluded]
        for _, (experience, row), outcome in group:
            if outcome.excluded:
                experience.rewards[row] = sum(known) / len(known) if known else 0.0
    for experience in experiences:
        if "reward" in experience.info:
            experience.info["reward"] = experience.rewards.clone()
