"""The sampler: which question comes next. Its state is small and JSON, so that a run goes on where it stopped."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1ci_plugins.curriculum.gates import StageEnd
from r1ci_plugins.curriculum.groups import grouped, ranked
from r1ci_plugins.curriculum.potential import Evidence
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe.schema import CurriculumConfig

_KEEPING = 0.5
"""Weight that a question's older answers keep when it is answered again (order: online)."""


@dataclass(frozen=True)
class Candidate:
    """A question to train on.

    Attributes:
        key: ``Question.key``.
        level: Its difficulty; None if it has none.
        evidence: What the profile knows of it.
    """

    key: str
    level: int | None = None
    evidence: Evidence = Evidence()


class CurriculumSampler:
    """Numbers of questions, stage by stage: steps x batch of them, with repeats where a pool is smaller.

    A pool is gone through in random order, and again in another one. A new stage adds the next group to it. With
    ``order: online`` the groups are made again, from all that is known by then, whenever a pool has been gone through.

    Args:
        candidates: The questions; their numbers are their places.
        config: Recipe section ``curriculum``.
        batch: Prompts per training step.
        seed: The run's.

    Raises:
        RecipeError: Too few questions, a stage without any, or none with a potential above 0.
    """

    def __init__(self, candidates: Sequence[Candidate], config: CurriculumConfig, *, batch: int, seed: int) -> None:
        self._keys = [one.key for one in candidates]
        self._levels = [one.level for one in candidates]
        self._evidence = [one.evidence for one in candidates]
        self._numbers = {key: number for number, key in enumerate(self._keys)}
        self._config, self._batch, self._seed = config, batch, seed
        self._stages = config.all_stages
        self._stage = self._round = self._drawn = self._steps = 0
        self._queue: list[int] = []
        self._end = StageEnd(config.plateau)
        self._groups = self._made_groups()
        self._check()

    def _values(self) -> list[float]:
        match self._config.order:
            case "potential":
                return [one.potential for one in self._evidence]
            case "online":
                return [one.expected_potential for one in self._evidence]
            case "level":
                return [-math.inf if level is None else -float(level) for level in self._levels]
        return [0.0] * len(self._keys)

    def _made_groups(self) -> list[list[int]]:
        values = self._values()
        order = ranked(self._keys, values, self._seed)
        return [order] if self._config.order == "random" else grouped(order, values, self._config)

    def _check(self) -> None:
        where = "recipe key curriculum"
        if not self._keys:
            raise RecipeError("there are no questions to train on", where=where, fix="add some to tasks.train")
        if self._config.order == "potential" and not any(one.potential for one in self._evidence):
            raise RecipeError(
                "every question's answers are all right or all wrong, so none has a potential above 0",
                where=where,
                fix="profile with more samples or a higher temperature; or take easier or harder questions",
            )
        if self._config.order == "level" and len(set(self._levels)) < 2:
            raise RecipeError(
                "all questions have the same difficulty, so there is no order by level",
                where=where,
                fix="give tasks.train groups with different difficulty, or use order: random",
            )
        for number in range(len(self._stages)):
            if not self.pool(number):
                raise RecipeError(
                    f"stage {number + 1} has no question",
                    where=f"{where}.thresholds" if self._config.thresholds else where,
                    fix="lower its threshold, or leave the stage out",
                )

    def pool(self, stage: int) -> list[int]:
        """Numbers of a stage's questions, as they are grouped now; ``stage`` counts from 0."""
        groups = self._groups[: self._stages[stage].groups]
        return sorted(number for group in groups for number in group)

    @property
    def finished(self) -> bool:
        """Whether all stages have ended."""
        return self._stage >= len(self._stages)

    @property
    def stage(self) -> int:
        """The stage now, from 0."""
        return self._stage

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self._stages)

    @property
    def drawn(self) -> int:
        """Questions drawn so far."""
        return self._drawn

    def __len__(self) -> int:
        """Questions drawn so far and still to draw, if every stage takes all its steps."""
        left = sum(stage.steps for stage in self._stages[self._stage :]) - self._end.steps
        return self._drawn + max(0, left) * self._batch

    def __iter__(self) -> Iterator[int]:
        """Go on from where it is; ends when all stages have ended (``finish_step``)."""
        while not self.finished:
            if not self._queue:
                self._fill()
            self._drawn += 1
            yield self._queue.pop()

    def _fill(self) -> None:
        if self._config.order == "online":
            self._groups = self._made_groups()
        self._queue = self.pool(self._stage)
        random.Random(f"{self._seed} {self._stage} {self._round}").shuffle(self._queue)
        self._round += 1

    def finish_step(self, outcomes: Mapping[str, Evidence]) -> str:
        """A training step has been sampled.

        Args:
            outcomes: What was answered in it, by ``Question.key``.

        Returns:
            Why the stage has ended; empty if it goes on.
        """
        if self.finished:  # what was drawn ahead
            return ""
        self._steps += 1
        for key, found in outcomes.items():
            if key in self._numbers and found.count:
                number = self._numbers[key]
                old = self._evidence[number]
                self._evidence[number] = old.then(int(found.correct), int(found.count), keeping=_KEEPING)
        count = sum(found.count for found in outcomes.values())
        self._end.step(sum(found.correct for found in outcomes.values()) / count if count else None)
        reason = self._end.reason(self._stages[self._stage].steps)
        if reason:
            self._stage += 1
            self._round, self._queue, self._end = 0, [], StageEnd(self._config.plateau)
        return reason

    def describe(self, stage: int) -> str:
        """A stage in a line, with its volume."""
        now, pool = self._stages[stage], self.pool(stage)
        total = now.steps * self._batch
        evidence = [self._evidence[number] for number in pool if self._evidence[number].count]
        text = f"stage {stage + 1} of {len(self._stages)}: {len(pool)} questions"
        if self._config.order != "random":
            text += f" ({now.groups} of {len(self._groups)} groups)"
        text += f", {now.steps} steps x {self._batch} prompts = {total}, each {total / len(pool):.1f} times"
        if evidence and self._config.order in ("potential", "online"):
            values = [one.potential for one in evidence]
            text += f"; potential {min(values):.2f} to {max(values):.2f}"
        return text

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides what comes next, ready for JSON."""
        return {
            "questions": len(self._keys),
            "stage": self._stage,
            "round": self._round,
            "drawn": self._drawn,
            "steps": self._steps,
            "queue": list(self._queue),
            "groups": [list(group) for group in self._groups],
            "evidence": [[one.correct, one.count] for one in self._evidence],
            "end": self._end.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            RecipeError: It is not of these questions.
        """
        if state.get("questions") != len(self._keys):
            raise RecipeError(
                f"the checkpoint's curriculum has {state.get('questions')} questions, this run has {len(self._keys)}",
                where="the run's checkpoint",
                fix="go on with the recipe that the run was started with",
            )
        self._stage, self._round = int(state["stage"]), int(state["round"])
        self._drawn, self._steps = int(state["drawn"]), int(state["steps"])
        self._queue, self._groups = list(state["queue"]), [list(group) for group in state["groups"]]
        self._evidence = [Evidence(*values) for values in state["evidence"]]
        self._end.load_state_dict(state["end"])
