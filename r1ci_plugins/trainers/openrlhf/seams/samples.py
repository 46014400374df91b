"""OpenRLHF's ``SamplesGenerator``: each trajectory is recorded, and a small summary of it stays in its sample's label.

The functions are module-level on purpose, here and in the other seams: Ray pickles upstream's actor classes by value,
and a module-level function travels by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf.seams.recorder import recorder


def process_response_into_experience(self: Any, response: dict[str, Any], **options: Any) -> Any:
    """Upstream's sample of a rollout worker's response; its label becomes the outcome, the trajectory is recorded."""
    outcome = recorder().record(response["label"])
    label = json.dumps(outcome.to_dict())
    return upstream[process_response_into_experience](self, {**response, "label": label}, **options)


def generate_samples(self: Any, **options: Any) -> Any:
    """Mark what is generated as training rollouts of the current step."""
    recorder().phase = "train"
    produced = upstream[generate_samples](self, **options)
    if produced[0]:
        recorder().step += 1
    return produced


def generate_eval_samples(self: Any, **options: Any) -> Any:
    """Mark what is generated as evaluation."""
    recorder().phase = "eval"
    return upstream[generate_eval_samples](self, **options)


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
