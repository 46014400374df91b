"""OpenRLHF's experience maker: batches of any size, exact baselines without excluded samples, advantages on disk."""

from __future__ import annotations

import itertools
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from r1ci_plugins.curriculum.gates import alike
from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf import advantages
from r1ci_plugins.trainers.openrlhf.seams.optimization import inert
from r1ci_plugins.trainers.openrlhf.seams.recorder import recorder
from r1ci_plugins.trainers.openrlhf.seams.samples import PADDING, outcomes_of, rows_of
from r1ci_plugins.trainers.openrlhf.windows import parts

log = logging.getLogger("r1ci")


def make_experience_batch(self: Any, rollout_samples: Sequence[Any]) -> Any:
    """Upstream's; a batch of nothing but faults ends the run, and each trajectory's advantage goes to disk.

    Raises:
        InfrastructureFault: No sample is usable: going on would burn GPUs for nothing.
    """
    outcomes, here = outcomes_of(rollout_samples), recorder()
    if all(outcome.excluded for outcome in outcomes):
        cause, count = Counter(outcome.fault for outcome in outcomes).most_common(1)[0]
        raise InfrastructureFault(
            f"all {len(outcomes)} trajectories of step {here.step} ended in an infrastructure fault, "
            f"{count} of them in this one: {cause}",
            where=str(here.folder.trajectories("train")),
            fix="mend the cause (`r1ci doctor` may help), then go on with --ckpt.load_enable",
        )
    curriculum = here.recipe.curriculum
    self.skip_alike = curriculum is not None and curriculum.skip_alike
    experiences = upstream[make_experience_batch](self, rollout_samples)
    _record_advantages(experiences)
    return experiences


def _record_advantages(experiences: Sequence[Any]) -> None:
    """Keep each trajectory's advantage: the mean over its trained tokens, lowest and highest where they differ."""
    here = recorder()
    for experience in experiences:
        masks = experience.action_mask.bool()
        for row, outcome in enumerate(rows_of([experience])):
            values = experience.advantages[row][masks[row]].float()
            if outcome is None or not len(values):
                continue
            line = {"step": here.step, "trajectory": outcome.trajectory, "advantage": values.mean().item()}
            if (values.max() - values.min()).item() > 1e-6:
                line |= {"lowest": values.min().item(), "highest": values.max().item()}
            here.append(here.folder.advantages, line)


def split_rollout_samples(self: Any, rollout_samples: Sequence[Any]) -> list[Any]:
    """Micro-batches for the forward passes: as many for every rank of every model, or ZeRO-3 would wait for ever.

    The batch is filled up with samples of two tokens that train nothing; ``PADDING`` is their label. With dynamic
    batches it is filled up to whole optimizer steps, because upstream drops what is left over.
    """
    from openrlhf.trainer.ppo_utils.experience import Experience

    groups = (self.actor_model_group, self.critic_model_group, self.reward_model_group, self.initial_model_group)
    # Upstream has no public name for a group's processes.
    sizes = [len(group._actor_handlers) // group.duplicate_actors for group in groups if group is not None]
    ranks, dynamic = math.lcm(*sizes), self.args.train.dynamic_batch_enable
    whole = math.lcm(ranks, self.args.train.batch_size) if dynamic else ranks
    samples = [*rollout_samples, *[_padding(rollout_samples[0])] * (-len(rollout_samples) % whole)]
    # One object per place: upstream numbers them in place.
    samples = [replace(sample) for sample in samples]
    if dynamic:
        return list(upstream[split_rollout_samples](self, samples))
    for number, sample in enumerate(samples):
        sample.index = [number]
    return [
        Experience.concat_experiences([samples[number] for number in numbers], self.tokenizer.pad_token_id)
        for numbers in parts(len(samples), ranks, self.args.rollout.micro_batch_size)
    ]


def _padding(sample: Any) -> Any:
    """Two tokens of a sample, shape (1, 2), without anything to train or to judge."""
    lengths = {"response_length": sample.response_length * 0, "total_length": sample.total_length * 0 + 2}
    return replace(inert(sample), labels=[PADDING], **lengths)


def compute_advantages_and_returns(self: Any, experiences: Sequence[Any]) -> Sequence[Any]:
    """Upstream's estimators over the known samples and the policy's own tokens (``advantages``).

    Raises:
        ValueError: An estimator that OpenRLHF 0.11.2 does not have.
    """
    import torch
    from openrlhf.models.utils import compute_reward
    from openrlhf.trainer.ppo_utils.length_penalty import apply_length_penalties

    args, estimator = self.args, self.advantage_estimator
    settings = args.algo.advantage
    if estimator not in (*advantages.GROUPED, "gae", "reinforce", "flash_reinforce"):
        raise ValueError(f"unknown advantage estimator {estimator}")
    for experience in experiences:
        experience.rewards = experience.rewards.to(torch.promote_types(experience.rewards.dtype, torch.float32))
    apply_length_penalties(experiences, args)

    # Rewards by prompt: samples have consecutive numbers, and padding comes last.
    places = torch.tensor(list(itertools.chain.from_iterable(experience.index for experience in experiences)))
    outcomes = rows_of(experiences)
    rewards = torch.empty(len(places), dtype=experiences[0].rewards.dtype)
    rewards[places] = torch.cat([experience.rewards for experience in experiences])
    known = torch.empty(len(places), dtype=torch.bool)
    known[places] = torch.tensor([outcome is not None and not outcome.excluded for outcome in outcomes])
    count, size = sum(outcome is not None for outcome in outcomes), args.rollout.n_samples_per_prompt
    groups, known_groups = rewards[:count].reshape(-1, size), known[:count].reshape(-1, size)
    shaped, deviations = torch.zeros_like(rewards), torch.zeros_like(rewards)
    shaped[:count] = advantages.shaped_rewards(groups, known_groups, estimator).flatten()
    deviations[:count] = advantages.group_deviations(groups, known_groups).expand(-1, size).flatten()

    if getattr(self, "skip_alike", False) and estimator in advantages.GROUPED:
        skipped = torch.zeros_like(known)
        pairs = zip(groups.tolist(), known_groups.tolist(), strict=True)
        prompts = torch.tensor([alike(*pair) for pair in pairs], dtype=torch.bool)
        skipped[:count] = prompts.repeat_interleave(size)
        self.skipped_prompts = int(prompts.sum())
        for experience in experiences:  # an empty mask trains nothing and counts in no average
            experience.action_mask = experience.action_mask * ~skipped[torch.tensor(experience.index)][:, None]

    gamma = settings.gamma if estimator in ("gae", "reinforce") else 1.0
    for experience in experiences:
        rows, own = torch.tensor(experience.index), experience.action_mask.bool()
        if size > 1:
            experience.info["group_reward_std"] = deviations[rows]
        clip = args.reward.clip_range
        token_rewards = compute_reward(shaped[rows], self.kl_ctl.value, experience.kl, own, clip) * own
        if estimator == "gae":
            experience.advantages, experience.returns = advantages.generalized_advantages(
                experience.values, token_rewards, own, gamma, settings.lambd
            )
        else:
            experience.returns = advantages.discounted_returns(token_rewards, own, gamma)
            experience.advantages = experience.returns.clone()
        experience.info["return"] = token_rewards.sum(dim=-1)
        experience.kl = None

    if estimator in ("gae", "reinforce", "reinforce_baseline"):
        masks = [experience.action_mask.bool() for experience in experiences]
        given = [experience.advantages.float() for experience in experiences]
        found = advantages.standardized(given, masks, divide=not settings.no_std_norm)
        for experience, values in zip(experiences, found, strict=True):
            experience.advantages = values
    return experiences
