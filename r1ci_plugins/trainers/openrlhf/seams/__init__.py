"""Every place in OpenRLHF 0.11.2 that we reach into: one file per upstream subject, one line below per name.

A seam replaces a name right after its module has executed, in whatever process imports it (``import_hooks``). Each has
a test that fails when upstream moves it. Only one more place knows OpenRLHF from inside: ``agent_executor.py``, which
upstream loads by ``--train.agent_func_path``.

The functions are module-level: Ray pickles upstream's actor classes by value, and a module-level function travels by
name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from r1ci_plugins.trainers.import_hooks import Seam
from r1ci_plugins.trainers.import_hooks import install as install_seams
from r1ci_plugins.trainers.openrlhf.seams import (
    devices,
    experience,
    losses,
    optimization,
    samples,
    sft,
    trainer,
    weights,
)
from r1ci_plugins.training.supervised import Example

_UTILS = "openrlhf.trainer.ppo_utils"
_SAMPLES = f"{_UTILS}.samples_generator"
_EXPERIENCE = f"{_UTILS}.experience_maker"
_TRAINER, _ASYNC = "openrlhf.trainer.ppo_trainer", "openrlhf.trainer.ppo_trainer_async"
_ACTOR, _CRITIC = "openrlhf.trainer.ray.ppo_actor", "openrlhf.trainer.ray.ppo_critic"
_LOSSES = "openrlhf.utils.loss_utils"
_SFT = "openrlhf.trainer.sft_trainer"
_DEEPSPEED = "openrlhf.utils.deepspeed.deepspeed"
_VLLM_WORKER = "openrlhf.trainer.ray.vllm_worker_wrap"

# fmt: off
SEAMS = (
    # upstream module, its name, what stands there, what we add
    Seam(_SAMPLES, "SamplesGenerator._process_response_into_experience", samples.process_response_into_experience,
         "record the trajectory; leave its summary in the label; lengths of what the policy sampled"),
    Seam(_SAMPLES, "SamplesGenerator._dispatch_prompts_to_vllm", samples.dispatch_prompts_to_vllm,
         "the tokenizer travels by name"),
    Seam("openrlhf.trainer.ray.vllm_engine", "RolloutRayActor.generate_responses", samples.generate_responses,
         "dynamic filtering by the known samples"),
    Seam(_SAMPLES, "SamplesGenerator.generate_samples", samples.generate_samples,
         "the samples that follow are training rollouts of the current step; the curriculum hears of them"),
    Seam(_SAMPLES, "SamplesGenerator.generate_eval_samples", samples.generate_eval_samples,
         "the samples that follow are an evaluation"),
    Seam(_TRAINER, "prepare_datasets", trainer.prepare_datasets,
         "the number of steps that are taken; prompts by the curriculum"),
    Seam(_TRAINER, "PPOTrainer._detect_eval_metric_key", trainer.detect_eval_metric_key,
         "the best checkpoint by accuracy averaged over tasks"),
    Seam(_TRAINER, "PPOTrainer._compute_rollout_stats", trainer.compute_rollout_stats,
         "metrics per task and per reward term, in TensorBoard and wandb; upstream's over known samples"),
    Seam(_TRAINER, "PPOTrainer.restore_best_checkpoint_state", trainer.restore_best_checkpoint_state,
         "an evaluation before the first step"),
    Seam(_TRAINER, "PPOTrainer.save_logs_and_checkpoints", trainer.save_logs_and_checkpoints,
         "`metrics.jsonl`; an evaluation after the last step"),
    Seam(_TRAINER, "compute_eval_metrics", trainer.compute_eval_metrics,
         "accuracy (upstream averages the reward), metrics per task, `evaluations.jsonl`"),
    Seam(_ASYNC, "TrainingActor._detect_eval_metric_key", trainer.detect_eval_metric_key, "as in PPOTrainer"),
    Seam(_ASYNC, "TrainingActor._compute_rollout_stats", trainer.compute_rollout_stats, "as in PPOTrainer"),
    Seam(_ASYNC, "TrainingActor.restore_best_checkpoint_state", trainer.restore_best_checkpoint_state,
         "as in PPOTrainer"),
    Seam(_ASYNC, "TrainingActor.save_logs_and_checkpoints", trainer.save_logs_and_checkpoints, "as in PPOTrainer"),
    Seam(_EXPERIENCE, "RemoteExperienceMaker.make_experience_batch", experience.make_experience_batch,
         "`advantages.jsonl`; a batch of nothing but faults ends the run"),
    Seam(_EXPERIENCE, "RemoteExperienceMaker.split_rollout_samples", experience.split_rollout_samples,
         "as many micro-batches for every rank"),
    Seam(_EXPERIENCE, "RemoteExperienceMaker.compute_advantages_and_returns",
         experience.compute_advantages_and_returns,
         "estimators over known samples and own tokens; prompts whose samples score alike train nothing"),
    Seam(_ACTOR, "DataLoader", optimization.training_loader, "as many optimizer steps on every rank, none empty"),
    Seam(_ACTOR, "ActorPPOTrainer.ppo_train", optimization.actor_ppo_train, "what the loader needs to know"),
    Seam(_ACTOR, "ActorPPOTrainer.training_step", optimization.actor_training_step,
         "averages over trained samples; a micro-batch without any counts for nothing; the loss's second term"),
    Seam(_ACTOR, "ActorPPOTrainer.broadcast_to_vllm", weights.broadcast_to_vllm, "LoRA in RL: merged weights"),
    Seam(_CRITIC, "DataLoader", optimization.training_loader, "as in the actor"),
    Seam(_CRITIC, "CriticPPOTrainer.ppo_train", optimization.critic_ppo_train, "as in the actor"),
    Seam(_CRITIC, "CriticPPOTrainer.training_step", optimization.critic_training_step, "as in the actor"),
    Seam("openrlhf.models.utils", "masked_mean", losses.masked_mean, "an empty loss mask means 0, not NaN"),
    Seam(_LOSSES, "_optimizer_step_loss_norm", losses.optimizer_step_loss_norm, "an empty loss mask means 0, not NaN"),
    Seam(_LOSSES, "get_loss_batch_info", losses.get_loss_batch_info, "an empty loss mask means 0, not NaN"),
)
"""What is replaced on every machine."""

SFT_SEAMS = (
    Seam("openrlhf.datasets.utils", "blending_datasets", sft.blending_datasets,
         "the examples that the launcher has made from a trajectory file"),
    Seam("openrlhf.datasets", "SFTDataset", sft.TrajectoryDataset,
         "their ids and masks as tensors, nothing is tokenised again"),
    Seam(_SFT, "SFTLoss", sft.CountingLoss, "a count of the tokens it was given to train; the second term"),
    Seam(_SFT, "iter_grad_accum_global_norm", sft.iter_grad_accum_global_norm, "the divisor of the second term"),
    Seam(_SFT, "SFTTrainer.save_logs_and_checkpoints", sft.save_logs_and_checkpoints,
         "a line of `metrics.jsonl` after each step"),
)
"""What ``train_sft`` replaces besides, in the launcher's process."""

CPU_SEAMS = (
    Seam("openrlhf.models.actor", "Actor.__init__", devices.init_actor, "torch's attention, with packing too"),
    Seam("openrlhf.models.model", "get_llm_for_sequence_regression", devices.get_llm_for_sequence_regression,
         "torch's attention, with packing too"),
    Seam("openrlhf.utils.utils", "convert_to_torch_dtype", devices.convert_to_torch_dtype,
         "float32 where the CPU is slow in bfloat16"),
    Seam(_DEEPSPEED, "init_device_mesh", devices.init_device_mesh, "a CPU mesh"),
    Seam(_DEEPSPEED, "DeepspeedStrategy.get_ds_train_config", devices.get_ds_train_config,
         "`torch.optim.AdamW`; float32 where the CPU is slow in bfloat16"),
    Seam(_DEEPSPEED, "DeepspeedStrategy.get_ds_eval_config", devices.get_ds_eval_config,
         "float32 where the CPU is slow in bfloat16"),
    Seam(f"{_UTILS}.replay_buffer", "NaiveReplayBuffer.__init__", devices.init_replay_buffer,
         "a device that is there"),
    Seam("openrlhf.utils.distributed_util", "stateless_init_process_group", weights.stateless_init_process_group,
         "Gloo carries new weights to vLLM; without NCCL nothing would, silently"),
    Seam(_VLLM_WORKER, "WorkerWrap.update_weight", weights.update_weight, "new weights arrive on vLLM's device"),
    Seam(_VLLM_WORKER, "WorkerWrap.init_process_group", weights.init_process_group,
         "models whose weights cannot change on a CPU are refused"),
)
"""What is replaced without CUDA."""
# fmt: on

CPU_IMPORTS = {"openrlhf.models.ring_attn_utils": devices.flash_attn_stand_in}
"""Modules that need something to be imported without CUDA."""


def install() -> None:
    """Register ``SEAMS``. Cheap: nothing heavy is imported; so do the other two.

    Raises:
        MachineProblem: Upstream has moved one of the names.
    """
    install_seams(SEAMS)


def install_without_cuda() -> None:
    """Register ``CPU_SEAMS``."""
    install_seams(CPU_SEAMS, around=CPU_IMPORTS)


def install_sft(examples: Mapping[str, Sequence[Example]], outputs_weight: float) -> None:
    """Register ``SFT_SEAMS``.

    Args:
        examples: By the file's path, as in ``--data.dataset`` and ``--eval.dataset``.
        outputs_weight: ``LossMask.outputs_weight``.
    """
    sft.examples.update(examples)
    sft.outputs_weight = outputs_weight
    install_seams(SFT_SEAMS)
