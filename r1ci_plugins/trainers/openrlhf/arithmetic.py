"""What a run's flags amount to in numbers: GPUs by role, ranks, micro-steps, steps, samples and tokens.

Pure functions of resolved flags. ``size_checks`` says which sizes do not work, ``memory`` what they need per GPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from r1ci_plugins.environment import Command, Prepared
from r1ci_plugins.recipe import openrlhf_flags

GROUPED = ("rloo", "reinforce_baseline", "group_norm", "dr_grpo")
"""Estimators that compare the samples of one prompt with each other."""


@dataclass(frozen=True)
class Settings:
    """Resolved flags of a run.

    Attributes:
        command: ``train_ppo`` or ``train_sft``.
        flags: Every flag of OpenRLHF by dotted name, its default where nothing is set.
        processes: ``train_sft`` only: its processes, one per GPU.
        cap: The recipe's own cap on a trajectory's length, tokens; None if it has none.
    """

    command: Command
    flags: Mapping[str, Any]
    processes: int
    cap: int | None

    @classmethod
    def of(cls, prepared: Prepared, processes: int) -> Settings:
        """The settings of a prepared recipe."""
        assert prepared.command is not None
        known = openrlhf_flags.flags(prepared.command)
        flags = {name: prepared.flag(name) for name in known}
        for name, value in flags.items():
            if isinstance(value, str):  # YAML may quote a number
                flags[name] = known[name].convert(value)
        return cls(prepared.command, flags, processes, prepared.recipe.protocol.max_total_tokens)

    def __getitem__(self, flag: str) -> Any:
        return self.flags[flag]

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """The same with some flags changed."""
        return replace(self, flags={**self.flags, **changes})

    @property
    def context(self) -> int:
        """Tokens that a whole trajectory may have."""
        return min(self.cap or self["data.max_len"], self["data.max_len"])

    @property
    def roles(self) -> tuple[str, ...]:
        """The models that DeepSpeed holds."""
        if self.command == "train_sft":
            return ("model",)
        ref = ("ref",) if self["algo.kl.init_coef"] > 0 else ()
        critic = ("critic",) if self["algo.advantage.estimator"] == "gae" else ()
        return ("actor", *ref, *critic)

    def gpus(self, role: str) -> int:
        """GPUs of a role; ``vllm`` is one too."""
        if role == "model":
            return self.processes
        if role == "vllm":
            return int(self["vllm.num_engines"] or 0) * int(self["vllm.tensor_parallel_size"])
        return int(self[f"{role}.num_nodes"]) * int(self[f"{role}.num_gpus_per_node"])

    @property
    def split(self) -> int:
        """GPUs that work on one sample together: ring attention x tensor parallel."""
        return int(self["ds.ring_attn_size"]) * int(self["ds.tensor_parallel_size"])

    def ranks(self, role: str) -> int:
        """Data-parallel ranks of a role."""
        return self.gpus(role) // self.split

    @property
    def unit(self) -> int:
        """Samples of one micro-step of every role: a batch is a multiple of it."""
        return int(self["train.micro_batch_size"]) * math.lcm(*(self.ranks(role) for role in self.roles))

    @property
    def dynamic(self) -> bool:
        """Whether micro-batches are formed by tokens."""
        return bool(self.command == "train_ppo" and self["train.dynamic_batch_enable"])

    @property
    def samples(self) -> int:
        """Samples of one full rollout."""
        return int(self["rollout.batch_size"]) * int(self["rollout.n_samples_per_prompt"])

    @property
    def vllm_shares(self) -> bool:
        """Whether vLLM runs on the actor's GPUs."""
        return bool(self["train.colocate_all"] and not self["train.async_enable"])

    def groups(self) -> list[tuple[tuple[str, ...], int]]:
        """Which roles share which number of GPUs, as upstream's placement groups have it."""
        if self.command == "train_sft":
            return [(("model",), self.processes)]
        together = ["actor"]
        if self["train.colocate_all"] or self["train.colocate_actor_ref"]:
            together.append("ref")
        if self["train.colocate_all"] and not self["train.colocate_critic_reward"]:
            together.append("critic")
        if self.vllm_shares:
            together.append("vllm")
        everybody = (*self.roles, "vllm")
        alone = [((role,), self.gpus(role)) for role in everybody if role not in together]
        return [(tuple(role for role in everybody if role in together), self.gpus("actor")), *alone]

    @property
    def total_gpus(self) -> int:
        """GPUs of all roles, shared ones counted once."""
        return sum(count for _, count in self.groups())


@dataclass(frozen=True)
class Work:
    """How much a run does. Counts are upper bounds where a task has fewer questions than the recipe asks for.

    Attributes:
        prompts: Prompts or examples that an epoch goes through.
        samples: Trajectories that are sampled, or examples that are trained on, in the whole run.
        rollouts: Rollouts of the whole run; 0 for SFT.
        steps: Optimizer steps of the whole run.
        steps_per_rollout: Optimizer steps after a full rollout; 0 for SFT.
        tokens: Tokens at most, prompts and code outputs included.
    """

    prompts: int
    samples: int
    rollouts: int
    steps: int
    steps_per_rollout: int
    tokens: int


def work(settings: Settings, prompts: int) -> Work:
    """What a run does with some prompts, or examples for SFT.

    The last batch of an episode, and one that does not divide, are steps too: they are filled up.
    """
    epochs, batch = settings["train.max_epochs"], settings["train.batch_size"]
    prompts = min(prompts, int(settings["data.max_samples"]))
    if settings.command == "train_sft":
        samples = prompts * epochs
        return Work(prompts, samples, 0, -(-prompts // batch) * epochs, 0, samples * settings["data.max_len"])
    episodes, each = settings["train.num_episodes"], settings["rollout.n_samples_per_prompt"]
    full, rest = divmod(prompts, settings["rollout.batch_size"])
    per_rollout = -(-settings.samples // batch) * epochs
    steps = full * per_rollout + -(-rest * each // batch) * epochs
    samples = prompts * each * episodes
    rollouts = (full + bool(rest)) * episodes
    return Work(prompts, samples, rollouts, steps * episodes, per_rollout, samples * settings.context)


def describe(settings: Settings, prompts: int | None) -> list[str]:
    """The arithmetic in lines.

    Args:
        settings: Flags that ``size_checks`` has found to work.
        prompts: Prompts or examples of an epoch; None if not known yet.
    """
    lines = [f"GPUs: {_gpus(settings)}"]
    ranks = ", ".join(f"{role} {settings.ranks(role)}" for role in settings.roles)
    lines.append(f"data-parallel ranks: {ranks}" + (f" ({settings.split} GPUs each)" if settings.split > 1 else ""))
    lines.append(f"optimizer step: {_optimizer_step(settings)}")
    if settings.command == "train_ppo":
        lines.append(
            f"rollout: {settings['rollout.batch_size']} prompts x {settings['rollout.n_samples_per_prompt']} samples "
            f"= {settings.samples} trajectories, optimizer steps: {work(settings, 0).steps_per_rollout}"
        )
    if prompts is None:
        return [*lines, "run: its steps are known once the trajectories are there"]
    total = work(settings, prompts)
    if settings.command == "train_sft":
        return [
            *lines,
            f"run: at most {total.prompts} examples x {settings['train.max_epochs']} epochs = {total.samples} samples,"
            f" {total.steps} optimizer steps, at most {total.tokens:,} tokens, {settings['data.max_len']} each",
        ]
    return [
        *lines,
        f"run: {total.prompts} prompts x {settings['train.num_episodes']} episodes, {total.rollouts} rollouts, "
        f"{total.steps} optimizer steps, {total.samples} trajectories",
        f"tokens: at most {total.tokens:,}, trajectories of {settings.context} each",
    ]


def _gpus(settings: Settings) -> str:
    parts = []
    for roles, count in settings.groups():
        names = [_engines(settings) if role == "vllm" else role for role in roles]
        parts.append(f"{count} for {', '.join(names)}" + (" (shared)" if len(roles) > 1 else ""))
    return f"{settings.total_gpus}: " + "; ".join(parts)


def _engines(settings: Settings) -> str:
    return f"{settings['vllm.num_engines']} vLLM engines x {settings['vllm.tensor_parallel_size']}"


def _optimizer_step(settings: Settings) -> str:
    batch, role = settings["train.batch_size"], settings.roles[0]
    if settings.dynamic:
        tokens = settings["train.max_tokens_per_gpu"]
        return f"{batch} samples over {settings.ranks(role)} ranks, in micro-steps of at most {tokens} tokens per GPU"
    micro, ranks = settings["train.micro_batch_size"], settings.ranks(role)
    return f"{batch} samples = {ranks} ranks x {batch // (micro * ranks)} micro-steps x {micro}"
