"""OpenRLHF's PPO trainer: metrics per task, accuracy before the first and after the last step, lines on disk."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from r1ci_plugins.evaluation.record import Evaluation
from r1ci_plugins.rollout.metrics import batch_metrics
from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf.seams.curriculum import CurriculumLoader
from r1ci_plugins.trainers.openrlhf.seams.recorder import recorder
from r1ci_plugins.trainers.openrlhf.seams.samples import outcomes_of, rows_of


def prepare_datasets(strategy: Any, tokenizer: Any) -> tuple[Any, Any, int]:
    """Upstream's, with the number of optimizer steps that are really taken, for the learning rate's schedule.

    Upstream rounds down; here the last batch of an episode, and one that does not divide, give a step more. With a
    curriculum, the prompts come from its sampler.
    """
    prompts, eval_prompts, _ = upstream[prepare_datasets](strategy, tokenizer)
    rollout, train = strategy.args.rollout, strategy.args.train
    if recorder().recipe.curriculum is not None:
        prompts = CurriculumLoader(prompts.dataset, rollout.batch_size)
    full, rest = divmod(len(prompts), rollout.batch_size)
    batches = [rollout.batch_size] * full + ([rest] if rest else [])
    steps = sum(-(-size * rollout.n_samples_per_prompt // train.batch_size) for size in batches)
    return prompts, eval_prompts, steps * train.num_episodes * train.max_epochs


def compute_rollout_stats(self: Any, experiences: Sequence[Any]) -> dict[str, float]:
    """Upstream's statistics of a batch, over the samples whose reward is known, and ours."""
    known = []
    for experience in experiences:
        rows = [row for row, outcome in enumerate(rows_of([experience])) if outcome and not outcome.excluded]
        if rows:
            cut = {name: getattr(experience, name)[rows] for name in ("response_length", "truncated")}
            info = {"reward": experience.info["reward"][rows]}
            known.append(dataclasses.replace(experience, info=info, **cut))
    stats = upstream[compute_rollout_stats](self, known)
    own = batch_metrics(outcomes_of(experiences))
    skipped = getattr(self.experience_maker, "skipped_prompts", None)  # set where the recipe wants it
    if skipped is not None:
        own["prompts_skipped"] = float(skipped)
    return stats | {f"rollout/{name}": value for name, value in own.items()}


def detect_eval_metric_key(self: Any, eval_metrics: dict[str, float]) -> str | None:
    """The metric that the best checkpoint goes by: accuracy averaged over tasks, unless the user names another.

    Upstream takes the first of the tasks by name.
    """
    self.best_eval_metric_key = self.best_eval_metric_key or "eval_macro_accuracy"
    key: str | None = upstream[detect_eval_metric_key](self, eval_metrics)
    return key


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
    logs = upstream[compute_eval_metrics](eval_dataloader, judged, n_samples_per_prompt)
    own, here = batch_metrics(outcomes), recorder()
    evaluation = Evaluation(f"after step {here.step}", outcomes)
    here.append(here.folder.evaluations, evaluation.to_line(here.step))
    print(f"r1ci: {evaluation}", flush=True)
    here.step_started = time.monotonic()
    return logs | {f"eval_{name}": value for name, value in own.items()}


def restore_best_checkpoint_state(self: Any, checkpoint_states: dict[str, Any]) -> None:
    """At the start of training: take up the step of a resumed run, or evaluate a fresh one before its first step."""
    upstream[restore_best_checkpoint_state](self, checkpoint_states)
    recorder().step = checkpoint_states["global_step"]
    if not checkpoint_states["global_step"]:
        _evaluate(self, 0)
    recorder().step_started = time.monotonic()


def save_logs_and_checkpoints(
    self: Any, global_step: int, logs_dict: dict[str, Any] | None = None, client_states: dict[str, Any] | None = None
) -> None:
    """After each step: a line of ``metrics.jsonl`` and of the terminal; after the last one an evaluation.

    The line comes before the checkpoint: a run that goes on from it will not take this step again.
    """
    here, logs = recorder(), logs_dict or {}
    seconds = time.monotonic() - here.step_started
    numbers = {name: value for name, value in logs.items() if isinstance(value, (int, float))}
    lost = sum(writer.lost for writer in here.writers.values())
    here.append(here.folder.metrics, {"step": global_step, "seconds": seconds, "trajectories_lost": lost, **numbers})
    shown = {name: numbers.get(f"rollout/{name}", float("nan")) for name in ("reward", "accuracy", "code_calls")}
    excluded, skipped = (numbers.get(f"rollout/{name}", 0) for name in ("excluded", "prompts_skipped"))
    print(
        f"r1ci: step {global_step}: reward {shown['reward']:.3f}, accuracy {shown['accuracy']:.1%}, "
        + (f"{excluded:.0f} excluded, " if excluded else "")
        + (f"{skipped:.0f} prompts skipped, " if skipped else "")
        + f"code calls {shown['code_calls']:.2f}, {seconds:.0f} s"
        + ("" if {"policy_loss", "critic_loss"} & set(numbers) else "; NO update: no sample has anything to train"),
        flush=True,
    )
    upstream[save_logs_and_checkpoints](self, global_step, logs_dict, client_states)
    here.step_started = time.monotonic()
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
