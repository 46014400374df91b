"""SymBench ``boxlift``: lifters lift all boxes within a number of steps."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench.wording import in_upstream_words

_LEVELS = (  # numbers of boxes, numbers of lifters
    ((8, 10), (3, 4)),
    ((10, 15), (3, 4)),
    ((15, 20), (4, 5)),
    ((20, 25), (5, 6)),
    ((25, 32), (5, 7)),
)
_EXAMPLE = "Step 1: [(9, [0, 2]), (7, [1])]\nStep 2: [(8, [1])]"  # boxes weigh at least 10

_STEP = re.compile(r"\bStep\s?(\d{1,4})\s?:", re.I)

Step = list[tuple[int, list[int]]]
"""The boxes lifted in one step: weight, and indices of the lifters that lift it together."""

_PROGRAMS = {
    "direct": """\
left = sorted(boxes, reverse=True)
step = 0
while left:
    step += 1
    free = list(range(len(lifters)))
    lifted = []
    for weight in list(left):
        team = []
        for lifter in free:
            if sum(lifters[i] for i in team) < weight:
                team.append(lifter)
        if sum(lifters[i] for i in team) >= weight:
            lifted.append((weight, team))
            left.remove(weight)
            free = [i for i in free if i not in team]
    print(f"Step {step}: {lifted}")
""",
    "function": """\
def team_for(weight, free):
    team, strength = [], 0
    while strength < weight:
        team.append(free[len(team)])
        strength += lifters[team[-1]]
    return team


def plan(left):
    free = list(range(len(lifters)))
    step, later = [], []
    for weight in left:
        if sum(lifters[i] for i in free) >= weight:
            team = team_for(weight, free)
            step.append((weight, team))
            free = free[len(team):]
        else:
            later.append(weight)
    return [step] + (plan(later) if later else [])


for number, step in enumerate(plan(sorted(boxes, reverse=True)), 1):
    print(f"Step {number}: {step}")
""",
    "library": """\
from bisect import bisect_left
from itertools import accumulate

left = sorted(boxes, reverse=True)
lines = []
while left:
    # reach[k] is what the first k lifters lift together; teams are taken from it one after the other.
    reach = [0, *accumulate(lifters)]
    used, lifted = 0, []
    for weight in list(left):
        end = bisect_left(reach, reach[used] + weight)
        if end < len(reach):
            lifted.append((weight, list(range(used, end))))
            left.remove(weight)
            used = end
    lines.append(f"Step {len(lines) + 1}: {lifted}")
print("\\n".join(lines))
""",
}


class Boxlift(Task):
    """Assign lifters to boxes so that all are lifted within a number of steps; each lifter acts once per step.

    The bound is the length of the plan that lifts the heaviest box first and takes lifters in their order.

    Source: SymBench (CodeSteer-v1.0), ``boxlift``.
    """

    name = "boxlift"
    description = "Assign lifters to boxes so that all are lifted in time."
    levels = len(_LEVELS)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        box_counts, lifter_counts = _LEVELS[self.level(rng, difficulty)]
        count = rng.randint(*lifter_counts)
        lifters = [rng.randint(40, 30 * count) for _ in range(count)]
        heaviest = sum(lifters) * 2 // 3
        boxes = [rng.randint(10, heaviest) for _ in range(rng.randint(*box_counts))]
        plan = _heaviest_first(boxes, lifters)
        return _question(boxes, lifters, plan, len(plan))

    def check(self, question: Question, answer: str) -> bool:
        metadata = question.metadata
        capacities, steps = metadata["lifters"], _read(answer)
        for step in steps:
            used = [lifter for _, team in step for lifter in team]
            if len(set(used)) < len(used) or not all(0 <= lifter < len(capacities) for lifter in used):
                return False
            if any(sum(capacities[lifter] for lifter in team) < weight for weight, team in step):
                return False
        lifted = Counter(weight for step in steps for weight, _ in step)
        return len(steps) <= metadata["max_steps"] and lifted == Counter(metadata["boxes"])

    def solve(self, question: Question) -> str | None:
        # Also heaviest first, but each box gets the free team that wastes least. No program where that takes longer.
        lifters = question.metadata["lifters"]
        left, steps = sorted(question.metadata["boxes"], reverse=True), []
        while left:
            free, step = list(range(len(lifters))), []
            for weight in list(left):
                teams = [
                    (sum(lifters[i] for i in team), team)
                    for size in range(1, len(free) + 1)
                    for team in combinations(free, size)
                ]
                if fitting := [team for team in teams if team[0] >= weight]:
                    team = min(fitting)[1]
                    step.append((weight, list(team)))
                    free = [lifter for lifter in free if lifter not in team]
                    left.remove(weight)
            steps.append(step)
        return _written(steps) if len(steps) <= question.metadata["max_steps"] else None

    def programs(self, question: Question) -> Sequence[Program]:
        inputs = f"boxes = {question.metadata['boxes']}\nlifters = {question.metadata['lifters']}\n"
        return [Program(style, inputs + body) for style, body in _PROGRAMS.items()]

    def variations(self, question: Question) -> Sequence[str]:
        return [
            question.answer.replace("\n", "; "),
            question.answer.replace(" ", "").replace("Step", "step "),
            question.answer.replace("(", "[").replace(")", "]"),
        ]


def _heaviest_first(boxes: Sequence[int], lifters: Sequence[int]) -> list[Step]:
    """In each step lift the heaviest boxes that the free lifters can, taking lifters in order until each box is held.

    Upstream's bound on the number of steps is the length of this plan.

    Raises:
        ValueError: If a box is too heavy for all lifters together.
    """
    if max(boxes) > sum(lifters):
        raise ValueError("a box is too heavy for all lifters together")
    left, steps = sorted(boxes, reverse=True), []
    while left:
        free, step, later = list(range(len(lifters))), [], []
        for weight in left:
            if sum(lifters[i] for i in free) < weight:
                later.append(weight)
                continue
            size = next(n for n in range(1, len(free) + 1) if sum(lifters[i] for i in free[:n]) >= weight)
            step.append((weight, free[:size]))
            free = free[size:]
        steps.append(step)
        left = later
    return steps


def _written(steps: Sequence[Step]) -> str:
    return "\n".join(f"Step {number}: {step}" for number, step in enumerate(steps, 1))


def _read(answer: str) -> list[Step]:
    """The steps of a plan, which must be numbered 1, 2, 3 ..."""
    before, *parts = _STEP.split(answers.tidy(answer))
    if before.strip() or not parts:
        raise answers.Unreadable("not of the form 'Step 1: [(weight, [lifters]), ...]'")
    steps = []
    for number, (label, text) in enumerate(zip(parts[::2], parts[1::2], strict=True), 1):
        boxes = answers.structure(text.strip().rstrip(",;"))
        if int(label) != number or not isinstance(boxes, list):
            raise answers.Unreadable(f"step {number} is not a list")
        steps.append([_box(box) for box in boxes])
    return steps


def _box(box: object) -> tuple[int, list[int]]:
    weight, team = box if isinstance(box, list) and len(box) == 2 else (None, None)
    if type(team) is int:  # a team of one without its brackets
        team = [team]
    if type(weight) is not int or not isinstance(team, list) or not all(type(lifter) is int for lifter in team):
        raise answers.Unreadable("not of the form (weight, [lifters])")
    return weight, team


def _question(boxes: Sequence[int], lifters: Sequence[int], plan: Sequence[Step], max_steps: int) -> Question:
    numbered = ", ".join(f"{index}: {capacity}" for index, capacity in enumerate(lifters))
    return Question(
        text=f"Boxes with these weights wait to be lifted: {', '.join(map(str, boxes))}.\n"
        f"The lifters and the weight that each can lift (index: capacity) are {numbered}.\n"
        "In each step several boxes can be lifted. A box is lifted by one lifter or by several together, whose "
        "capacities must add up to at least its weight. A lifter takes part in lifting at most one box in a step. "
        f"Every box must be lifted exactly once, in at most {max_steps} steps.\n"
        "Write one line for each step with a list of the boxes lifted, each as its weight and the list of indices of "
        f"its lifters. Put all lines between <<< and >>>, in the form <<<{_EXAMPLE}>>>.",
        answer=_written(plan),
        metadata={"boxes": list(boxes), "lifters": list(lifters), "max_steps": max_steps},
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``params`` has ``boxes``, ``lifters`` and, unless it follows from these, ``max_steps``.

    Raises:
        ValueError: If a box is too heavy for all lifters together.
    """
    params = record["params"]
    plan = _heaviest_first(params["boxes"], params["lifters"])
    ours = _question(params["boxes"], params["lifters"], plan, params.get("max_steps", len(plan)))
    return in_upstream_words(replace(ours, answer=record["solution"] or ours.answer), record["question"])
