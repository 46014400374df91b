"""OpenRLHF's prompts by a curriculum: a loader around our sampler, whose state goes into the trainer's checkpoints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from r1ci_plugins.curriculum.candidates import from_json, state_line
from r1ci_plugins.curriculum.potential import Evidence
from r1ci_plugins.curriculum.sampler import CurriculumSampler
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.trainers.openrlhf.seams.recorder import recorder


class CurriculumLoader:
    """What upstream uses of a dataloader of prompts: one prompt at a time, a length, and a state.

    Args:
        dataset: Upstream's ``PromptDataset``; its labels are questions.
        batch: Prompts per training step.
    """

    def __init__(self, dataset: Any, batch: int) -> None:
        here = recorder()
        known = from_json(here.folder.curriculum.read_text(encoding="utf-8"))
        questions = [known[Question.from_json(label).key] for label in dataset.labels]
        config = here.recipe.curriculum
        assert config is not None  # as the caller has seen
        self._dataset = dataset
        self.sampler = CurriculumSampler(questions, config, batch=batch, seed=here.recipe.seed)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        for number in self.sampler:
            yield self._dataset.collate_fn([self._dataset[number]])

    def state_dict(self) -> dict[str, Any]:
        """The sampler's state, as upstream keeps it in a checkpoint."""
        return {"curriculum": json.dumps(self.sampler.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.sampler.load_state_dict(json.loads(state["curriculum"]))

    def finish_step(self, outcomes: Sequence[OutcomeSummary], step: int) -> None:
        """Tell the sampler what a step's rollouts came to. Leaves a line on disk, and prints when a stage ends."""
        right, known = Counter[str](), Counter[str]()
        for outcome in outcomes:
            if not outcome.excluded:
                known[outcome.question] += 1
                right[outcome.question] += outcome.correct
        here = recorder()
        here.append(here.folder.curriculum_steps, dict(state_line(self.sampler, step)))
        before = self.sampler.stage
        reason = self.sampler.finish_step({key: Evidence(right[key], count) for key, count in known.items()})
        if reason:
            after = "the last one" if self.sampler.finished else self.sampler.describe(self.sampler.stage)
            print(f"r1ci: curriculum: stage {before + 1} ends after step {step} ({reason}); {after}", flush=True)
