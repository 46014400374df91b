"""Every place in OpenRLHF 0.11.2 that we reach into: one file per upstream subject, one line below per name.

A seam replaces a name right after its module has executed, in whatever process imports it (``import_hooks``). Each has
a test that fails when upstream moves it. Only one more place knows OpenRLHF from inside: ``agent_executor.py``, which
upstream loads by ``--train.agent_func_path``.
"""

from __future__ import annotations

from r1ci_plugins.trainers.import_hooks import install as install_hooks
from r1ci_plugins.trainers.openrlhf.seams import devices, experience, losses, samples, trainer, weights

SEAMS = {
    "openrlhf.trainer.ppo_utils.samples_generator": {
        "SamplesGenerator._process_response_into_experience": "record the trajectory; leave its summary in the label",
        "SamplesGenerator.generate_samples": "the samples that follow are training rollouts of the current step",
        "SamplesGenerator.generate_eval_samples": "the samples that follow are an evaluation",
    },
    "openrlhf.trainer.ppo_trainer": {
        "PPOTrainer._compute_rollout_stats": "metrics per task and per reward term, in TensorBoard and wandb",
        "PPOTrainer.restore_best_checkpoint_state": "an evaluation before the first step",
        "PPOTrainer.save_logs_and_checkpoints": "`metrics.jsonl`; an evaluation after the last step",
        "compute_eval_metrics": "accuracy (upstream averages the reward), metrics per task, `evaluations.jsonl`",
    },
    "openrlhf.trainer.ppo_trainer_async": {
        "TrainingActor._compute_rollout_stats": "as in PPOTrainer",
        "TrainingActor.restore_best_checkpoint_state": "as in PPOTrainer",
        "TrainingActor.save_logs_and_checkpoints": "as in PPOTrainer",
    },
    "openrlhf.trainer.ppo_utils.experience_maker": {
        "RemoteExperienceMaker.make_experience_batch": "`advantages.jsonl`; batches of nothing but faults end the run",
        "apply_length_penalties": "infrastructure faults stay out of their group's baseline",
    },
    "openrlhf.models.utils": {"masked_mean": "an empty loss mask means 0, not NaN"},
    "openrlhf.utils.loss_utils": {
        "_optimizer_step_loss_norm": "an empty loss mask means 0, not NaN",
        "get_loss_batch_info": "an empty loss mask means 0, not NaN",
    },
}
"""What is replaced on every machine: module -> name -> what we add."""

SFT_SEAMS = {
    "openrlhf.datasets.utils": {"blending_datasets": "the examples that the launcher has made from a trajectory file"},
    "openrlhf.datasets": {"SFTDataset": "their ids and masks as tensors, nothing is tokenised again"},
    "openrlhf.trainer.sft_trainer": {
        "SFTLoss": "upstream's, and a count of the tokens it was given to train",
        "SFTTrainer.save_logs_and_checkpoints": "a line of `metrics.jsonl` after each step",
    },
}
"""What ``train_sft`` replaces besides, in the launcher's process (``seams/sft.py``)."""

CPU_SEAMS = {
    "openrlhf.utils.utils": {"convert_to_torch_dtype": "float32 where the CPU is slow in bfloat16"},
    "openrlhf.utils.deepspeed.deepspeed": {
        "init_device_mesh": "a CPU mesh",
        "DeepspeedStrategy.get_ds_train_config": "`torch.optim.AdamW`; float32 where the CPU is slow in bfloat16",
        "DeepspeedStrategy.get_ds_eval_config": "float32 where the CPU is slow in bfloat16",
    },
    "openrlhf.trainer.ppo_utils.replay_buffer": {"NaiveReplayBuffer.__init__": "a device that is there"},
    "openrlhf.utils.distributed_util": {"stateless_init_process_group": "Gloo carries new weights to vLLM"},
    "openrlhf.trainer.ray.vllm_worker_wrap": {
        "WorkerWrap.update_weight": "new weights arrive on vLLM's device",
        "WorkerWrap.init_process_group": "models whose weights cannot change on a CPU are refused",
    },
}
"""What is replaced without CUDA. ``openrlhf.models.ring_attn_utils`` also imports a stand-in for flash-attn."""


def install() -> None:
    """Register the seams of ``SEAMS``. Cheap: nothing heavy is imported.

    Raises:
        MachineProblem: Upstream has moved one of the names.
    """
    install_hooks(
        {
            "openrlhf.trainer.ppo_utils.samples_generator": samples.samples_generator,
            "openrlhf.trainer.ppo_utils.experience_maker": experience.experience_maker,
            "openrlhf.trainer.ppo_trainer": trainer.ppo_trainer,
            "openrlhf.trainer.ppo_trainer_async": trainer.ppo_trainer_async,
            "openrlhf.models.utils": losses.models_utils,
            "openrlhf.utils.loss_utils": losses.loss_utils,
        }
    )


def install_without_cuda() -> None:
    """Register the seams of ``CPU_SEAMS``; raises as ``install``."""
    install_hooks(
        {
            "openrlhf.utils.utils": devices.openrlhf_utils,
            "openrlhf.utils.deepspeed.deepspeed": devices.deepspeed_strategy,
            "openrlhf.trainer.ppo_utils.replay_buffer": devices.replay_buffer,
            "openrlhf.utils.distributed_util": weights.distributed_util,
            "openrlhf.trainer.ray.vllm_worker_wrap": weights.vllm_worker_wrap,
        },
        around={"openrlhf.models.ring_attn_utils": devices.flash_attn_stand_in},
    )
