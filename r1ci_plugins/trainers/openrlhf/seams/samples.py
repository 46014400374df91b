"""OpenRLHF's ``SamplesGenerator``: each trajectory is recorded, and a small summary of it stays in its sample's label.

The functions are module-level on purpose, here and in the other seams: Ray pickles upstream's actor classes by value,
and a module-level function travels by name.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf.seams.curriculum import CurriculumLoader
from r1ci_plugins.trainers.openrlhf.seams.recorder import recorder

PADDING = ""
"""Label of a sample that only fills up a batch."""


def process_response_into_experience(self: Any, response: dict[str, Any], **options: Any) -> Any:
    """Upstream's sample of a rollout worker's response; its label becomes the outcome, the trajectory is recorded.

    ``response_length`` counts what the policy sampled (upstream's also counts what programs printed), so that length
    penalties and curves do.
    """
    import torch

    here = recorder()
    outcome = here.record(response["label"])
    if here.phase == "train":
        outcome = replace(outcome, outputs=response["outputs"])
    changed = {"label": json.dumps(outcome.to_dict())}
    if response["scores"] is None:  # nothing is known of its group: dynamic filtering must not take it for wrong
        low, high = self.args.algo.dynamic_filtering_range
        changed["scores"] = (low + high) / 2
    sample = upstream[process_response_into_experience](self, {**response, **changed}, **options)
    sample.response_length = torch.tensor([outcome.action_tokens])
    return sample


def dispatch_prompts_to_vllm(self: Any, prompts: Sequence[str], labels: Sequence[str], **options: Any) -> list[Any]:
    """Upstream's, with the tokenizer's name in place of the tokenizer, which upstream pickles with every prompt.

    The rollout worker loads it once (``AgentExecutor``).
    """
    named = copy.copy(self)
    named.tokenizer = self.tokenizer.name_or_path
    refs: list[Any] = upstream[dispatch_prompts_to_vllm](named, prompts, labels, **options)
    return refs


async def generate_responses(self: Any, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
    """Upstream's; the score of an excluded sample is the mean of its group's others, None if all are excluded.

    Dynamic filtering then goes by the known samples; a score has no other use in training.
    """
    responses = await upstream[generate_responses](self, *arguments, **options)
    known = [response["scores"] for response in responses if not response["excluded"]]
    mean = sum(known) / len(known) if known else None
    return [response | {"scores": mean} if response["excluded"] else response for response in responses]


def generate_samples(self: Any, **options: Any) -> Any:
    """Mark what is generated as training rollouts of the current step."""
    recorder().phase = "train"
    produced = upstream[generate_samples](self, **options)
    if produced[0]:
        recorder().step += 1
        loader = self.prompts_dataloader
        if isinstance(loader, CurriculumLoader):
            loader.finish_step(outcomes_of(produced[0]), recorder().step)
    return produced


def generate_eval_samples(self: Any, **options: Any) -> Any:
    """Mark what is generated as evaluation."""
    recorder().phase = "eval"
    return upstream[generate_eval_samples](self, **options)


def rows_of(samples: Sequence[Any]) -> list[OutcomeSummary | None]:
    """The outcome that travels in the label of each row of OpenRLHF ``Experience`` objects; None for padding.

    Raises:
        TrajectoryFileError: A label was not written by this process's seam.
    """
    labels = [label for sample in samples for label in sample.labels]
    try:
        return [OutcomeSummary(**json.loads(label)) if label != PADDING else None for label in labels]
    except (TypeError, ValueError) as error:
        raise TrajectoryFileError(
            f"a sample carries no outcome: {error}", where="OpenRLHF Experience.labels"
        ) from error


def outcomes_of(samples: Sequence[Any]) -> list[OutcomeSummary]:
    """The outcomes of all rows that have one, in order."""
    return [outcome for outcome in rows_of(samples) if outcome is not None]
