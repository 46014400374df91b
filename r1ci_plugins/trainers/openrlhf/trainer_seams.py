"""Where we reach into OpenRLHF 0.11.2's trainer, on every machine: one place each, all of them below.

| upstream name | what we add |
|---|---|
| ``SamplesGenerator`` | record each trajectory with its step; leave a small ``OutcomeSummary`` in the sample's label |
| ``BasePPOTrainer._compute_rollout_stats`` | metrics per task and per reward term, in TensorBoard and wandb |
| ``compute_eval_metrics`` | accuracy (upstream averages the reward), per-task metrics, ``evaluations.jsonl`` |
| ``BasePPOTrainer.restore_best_checkpoint_state`` | an evaluation before the first step |
| ``BasePPOTrainer.save_logs_and_checkpoints`` | ``metrics.jsonl``; an evaluation after the last step |
| ``RemoteExperienceMaker.make_experience_batch`` | ``advantages.jsonl``; batches of nothing but faults end the run |
| ``apply_length_penalties`` | infrastructure faults stay out of their group's baseline |
| ``masked_mean``, ``_optimizer_step_loss_norm``, ``get_loss_batch_info`` | an empty loss mask means 0, not NaN |

The functions are module-level on purpose: Ray pickles upstream's actor classes by value, and a module-level function
travels by name.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from r1ci_plugins.errors import InfrastructureFault, TrajectoryFileError
from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.rollout.metrics import OutcomeSummary, batch_metrics
from r1ci_plugins.rollout.run_folder import RunFolder, append_line
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter
from r1ci_plugins.trainers.import_hooks import install as install_hooks
from r1ci_plugins.trainers.import_hooks import replace

log = logging.getLogger("r1ci")

_upstream: dict[str, Callable[..., Any]] = {}
_DEAD_BATCHES = 3


class Recorder:
    """What one trainer process knows beside OpenRLHF: the run's folder and the step. One per process."""

    def __init__(self) -> None:
        self.folder = RunFolder.of_this_process()
        options = load_recipe(self.folder.recipe).trajectories
        self.writers = {
            name: TrajectoryWriter(self.folder.trajectories(name), options.max_mb, options.sample_rate)
            for name in ("train", "eval")
        }
        self.step = 0
        self.phase = "train"
        self.step_started = time.monotonic()
        self.dead_batches = 0

    def record(self, label: str) -> OutcomeSummary:
        """Write the trajectory that a rollout worker put into a label; return what the trainer keeps of it."""
        trajectory = dataclasses.replace(Trajectory.from_json(label), step=self.step)
        self.writers[self.phase].write([trajectory])
        return OutcomeSummary.of(trajectory)

    def append(self, path: Path, values: dict[str, Any]) -> None:
        """Append a line to one of the run's files; a full disk is logged, it does not end the run."""
        try:
            append_line(path, values)
        except OSError as error:
            log.warning("cannot write %s: %s. Training goes on.", path, error)


_recorder: Recorder | None = None


def recorder() -> Recorder:
    """This process's recorder."""
    global _recorder
    if _recorder is None:
        _recorder = Recorder()
    return _recorder


def install() -> None:
    """Patch the modules above as they are imported in this process. Cheap; imports nothing heavy."""
    install_hooks(
        {
            "openrlhf.trainer.ppo_utils.samples_generator": _samples_generator,
            "openrlhf.trainer.ppo_utils.experience_maker": _experience_maker,
            "openrlhf.trainer.ppo_trainer": _ppo_trainer,
            "openrlhf.trainer.ppo_trainer_async": _ppo_trainer_async,
            "openrlhf.models.utils": _models_utils,
            "openrlhf.utils.loss_utils": _loss_utils,
        }
    )


# -- rollouts ---------------------------------------------------------------------------------------------------------


def _samples_generator(module: ModuleType) -> None:
    generator = module.SamplesGenerator
    for name in ("_process_response_into_experience", "generate_samples", "generate_eval_samples"):
        _upstream[name] = replace(generator, name, globals()[name])


def _process_response_into_experience(self: Any, response: dict[str, Any], **options: Any) -> Any:
    outcome = recorder().record(response["label"])
    label = json.dumps(outcome.to_dict())
    return _upstream["_process_response_into_experience"](self, {**response, "label": label}, **options)


def generate_samples(self: Any, **options: Any) -> Any:
    """Mark what is generated as training rollouts of the current step."""
    recorder().phase = "train"
    produced = _upstream["generate_samples"](self, **options)
    if produced[0]:
        recorder().step += 1
    return produced


def generate_eval_samples(self: Any, **options: Any) -> Any:
    """Mark what is generated as evaluation."""
    recorder().phase = "eval"
    return _upstream["generate_eval_samples"](self, **options)


def outcomes_of(samples: Sequence[Any]) -> list[OutcomeSummary]:
    """The outcomes that travel in the labels of OpenRLHF ``Experience`` objects, in order.

    Raises:
        TrajectoryFileError: A label was not written by this process's seam.
    """
    try:
        return [OutcomeSummary(**json.loads(label)) for sample in samples for label in sample.labels]
    except (TypeError, ValueError) as error:
        raise TrajectoryFileError(
            f"a sample carries no outcome: {error}", where="OpenRLHF Experience.labels"
        ) from error


# -- training ---------------------------------------------------------------------------------------------------------


def _ppo_trainer(module: ModuleType) -> None:
    _trainer(module.PPOTrainer)
    _upstream["compute_eval_metrics"] = replace(module, "compute_eval_metrics", compute_eval_metrics)


def _ppo_trainer_async(module: ModuleType) -> None:
    _trainer(module.TrainingActor)


def _trainer(actor: Any) -> None:
    # ray.remote has copied the methods of BasePPOTrainer into a class of its own: that is the one that runs.
    remote_class = actor.__ray_metadata__.modified_class
    for name in ("_compute_rollout_stats", "restore_best_checkpoint_state", "save_logs_and_checkpoints"):
        _upstream[name] = replace(remote_class, name, globals()[name])


def _compute_rollout_stats(self: Any, experiences: Sequence[Any]) -> dict[str, float]:
    stats = _upstream["_compute_rollout_stats"](self, experiences)
    return stats | {f"rollout/{name}": value for name, value in batch_metrics(outcomes_of(experiences)).items()}


def compute_eval_metrics(eval_dataloader: Any, samples: Sequence[Any], n_samples_per_prompt: int) -> dict[str, float]:
    """Upstream's pass@k over correctness instead of reward, and our metrics; keep every outcome on disk.

    An excluded sample is neither right nor wrong: it counts as the mean of its question's other samples, and a
    question without any is left out.
    """
    outcomes = outcomes_of(samples)
    judged = []
    for start in range(0, len(samples), n_samples_per_prompt):
        group = range(start, start + n_samples_per_prompt)
        known = [outcomes[i].correct for i in group if not outcomes[i].excluded]
        for i in group if known else ():
            score = sum(known) / len(known) if outcomes[i].excluded else float(outcomes[i].correct)
            judged.append(dataclasses.replace(samples[i], rewards=samples[i].scores.new_full((1,), score)))
    logs = _upstream["compute_eval_metrics"](eval_dataloader, judged, n_samples_per_prompt)
    own, here = batch_metrics(outcomes), recorder()
    evaluation = Evaluation(f"after step {here.step}", outcomes)
    here.append(here.folder.evaluations, evaluation.to_line(here.step))
    print(f"r1ci: {evaluation}", flush=True)
    here.step_started = time.monotonic()
    return logs | {f"eval_{name}": value for name, value in own.items()}


def restore_best_checkpoint_state(self: Any, checkpoint_states: dict[str, Any]) -> None:
    """At the start of training: take up the step of a resumed run, or evaluate a fresh one before its first step."""
    _upstream["restore_best_checkpoint_state"](self, checkpoint_states)
    recorder().step = checkpoint_states["global_step"]
    if not checkpoint_states["global_step"]:
        _evaluate(self, 0)
    recorder().step_started = time.monotonic()


def save_logs_and_checkpoints(
    self: Any, global_step: int, logs_dict: dict[str, Any] | None = None, client_states: dict[str, Any] | None = None
) -> None:
    """After each step: a line of ``metrics.jsonl`` and of the terminal; after the last one an evaluation."""
    _upstream["save_logs_and_checkpoints"](self, global_step, logs_dict, client_states)
    here, logs = recorder(), logs_dict or {}
    seconds, here.step_started = time.monotonic() - here.step_started, time.monotonic()
    numbers = {name: value for name, value in logs.items() if isinstance(value, (int, float))}
    lost = sum(writer.lost for writer in here.writers.values())
    here.append(here.folder.metrics, {"step": global_step, "seconds": seconds, "trajectories_lost": lost, **numbers})
    shown = {name: numbers.get(f"rollout/{name}", float("nan")) for name in ("reward", "accuracy", "code_calls")}
    print(
        f"r1ci: step {global_step}: reward {shown['reward']:.3f}, accuracy {shown['accuracy']:.1%}, "
        f"code calls {shown['code_calls']:.2f}, {seconds:.0f} s",
        flush=True,
    )
    consumed = (client_states or {}).get("total_consumed_prompts", 0)
    dataloader = getattr(self, "prompts_dataloader", None)
    last = dataloader is not None and consumed >= self.args.train.num_episodes * len(dataloader)
    if last and global_step % self.args.eval.steps:
        _evaluate(self, global_step)


def _evaluate(trainer: Any, global_step: int) -> None:
    # The asynchronous trainer evaluates in another actor, by --eval.steps alone.
    if getattr(trainer, "eval_dataloader", None) is None or not hasattr(trainer, "evaluate"):
        return
    options = {
        **trainer.generate_kwargs,
        "temperature": trainer.args.eval.temperature,
        "n_samples_per_prompt": trainer.args.eval.n_samples_per_prompt,
    }
    trainer.evaluate(global_step, **options)


# -- excluded trajectories --------------------------------------------------------------------------------------------


def _experience_maker(module: ModuleType) -> None:
    maker = module.RemoteExperienceMaker
    _upstream["make_experience_batch"] = replace(maker, "make_experience_batch", make_experience_batch)
    # Imported there by name, and the last thing that touches rewards before baselines are computed.
    _upstream["apply_length_penalties"] = replace(module, "apply_length_penalties", apply_length_penalties)


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
    experiences = _upstream["make_experience_batch"](self, rollout_samples)
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

    So it does not move the baseline; its own loss mask is empty. The group's standard deviation (``group_norm``)
    still counts it, as a value at the mean; with one of five excluded it comes out 13 % smaller.
    """
    _upstream["apply_length_penalties"](experiences, args)
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


def _models_utils(module: ModuleType) -> None:
    _upstream["masked_mean"] = replace(module, "masked_mean", masked_mean)


def masked_mean(tensor: Any, mask: Any, dim: int | None = None) -> Any:
    """Upstream's masked mean, and 0 where the mask is empty."""
    if mask is None:
        return _upstream["masked_mean"](tensor, mask, dim)
    return (tensor * mask).sum(dim=dim) / mask.sum(dim=dim).clamp(min=1)


def _loss_utils(module: ModuleType) -> None:
    for name in ("_optimizer_step_loss_norm", "get_loss_batch_info"):
        _upstream[name] = replace(module, name, globals()[name])


def _optimizer_step_loss_norm(masks: Any, dp_group: Any, dp_size: int, gas: int) -> dict[str, Any]:
    return _at_least(1 / gas, _upstream["_optimizer_step_loss_norm"](masks, dp_group, dp_size, gas))


def get_loss_batch_info(*arguments: Any, **options: Any) -> dict[str, Any]:
    """Upstream's, for dynamic batches."""
    return _at_least(1, _upstream["get_loss_batch_info"](*arguments, **options))


def _at_least(one: float, norms: dict[str, Any]) -> dict[str, Any]:
    """Divisors of the loss, no less than a single token's: with no trained token in the whole step the loss is 0."""
    return norms | {name: norms[name].clamp(min=one) for name in ("batch_num_tokens", "global_batch_size")}
