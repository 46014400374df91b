"""The published variant ``boxnet1`` of ``boxnet_v2``: agents move coloured boxes onto targets of their colour.

Only read from published data; what we generate is ``boxnet_v2``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from r1ci_plugins import Question
from r1ci_plugins.tasks import answers

Squares = Mapping[str, Sequence[str]]
"""What lies in each square (``0.5_1.5``: the coordinates of its centre), such as ``box_red``, ``target_red``."""

_SQUARE = r"(\d{1,3}(?:\.\d)?) ?, ?(\d{1,3}(?:\.\d)?)"
_AGENT = re.compile(rf"Agent ?\[ ?{_SQUARE} ?\]", re.I)
_MOVE = re.compile(rf"move ?\( ?box_([a-z]+) ?, ?(?:target_([a-z]+)|square ?\[ ?{_SQUARE} ?\]) ?\)", re.I)
_EXAMPLE = (
    '[{"Agent[0.5, 0.5]": "move(box_white, square[0.5, 1.5])"}, '
    '{"Agent[0.5, 1.5]": "move(box_white, target_white)"}]'  # no box is white
)


def check(squares: Squares, plan: object) -> bool:
    """Whether a plan is legal in every step and leaves no box and no target.

    All agents of a step act at the same time: what they move must be in their squares before the step.

    Args:
        squares: The content of all squares at the start.
        plan: The answer as ``answers.structure`` reads it.

    Raises:
        Unreadable: If it is not a list of steps, each a mapping of agents to moves.
    """
    if not isinstance(plan, list) or not all(isinstance(step, dict) for step in plan):
        raise answers.Unreadable("not a list of steps")
    content = {square: Counter(items) for square, items in squares.items()}
    for step in plan:
        acting = set()
        arriving = []
        for agent, action in step.items():
            here, box, target, there = _move(agent, action)
            if here in acting or not content.get(here, Counter())[f"box_{box}"]:
                return False
            acting.add(here)
            content[here][f"box_{box}"] -= 1
            if there is None:
                if target != box or not content[here][f"target_{box}"]:
                    return False
                content[here][f"target_{box}"] -= 1
            elif there in content and _distance(here, there) == 1:
                arriving.append((there, f"box_{box}"))
            else:
                return False
        for there, item in arriving:
            content[there][item] += 1
    return not any(items.total() for items in content.values())


def _move(agent: object, action: object) -> tuple[str, str, str | None, str | None]:
    """Square and colour of the moved box, then the colour of the target or the next square."""
    who = _AGENT.fullmatch(" ".join(str(agent).split()))
    what = _MOVE.fullmatch(" ".join(str(action).split()))
    if not who or not what:
        raise answers.Unreadable('not of the form "Agent[0.5, 0.5]": "move(box_red, target_red)"')
    here = _name(float(who[1]), float(who[2]))
    if what[2]:
        return here, what[1].lower(), what[2].lower(), None
    return here, what[1].lower(), None, _name(float(what[3]), float(what[4]))


def _name(row: float, column: float) -> str:
    return f"{row}_{column}"


def _centre(square: str) -> tuple[float, float]:
    row, column = square.split("_")
    return float(row), float(column)


def _distance(a: str, b: str) -> float:
    return sum(abs(x - y) for x, y in zip(_centre(a), _centre(b), strict=True))


def plan_one_by_one(squares: Squares) -> str:
    """A plan that brings one box after the other to the first free target of its colour.

    Raises:
        ValueError: If a colour has fewer targets than boxes.
    """
    targets = [(item, square) for square, items in squares.items() for item in items if item.startswith("target_")]
    plan = []
    for square, items in squares.items():
        for box in items:
            if not box.startswith("box_"):
                continue
            target = box.replace("box_", "target_")
            goal = next((where for item, where in targets if item == target), None)
            if goal is None:
                raise ValueError(f"there is no target for a {box}")
            targets.remove((target, goal))
            (row, column), (to_row, to_column) = _centre(square), _centre(goal)
            while (row, column) != (to_row, to_column):
                agent = f"Agent[{row}, {column}]"
                if row != to_row:
                    row += 1 if to_row > row else -1
                else:
                    column += 1 if to_column > column else -1
                plan.append({agent: f"move({box}, square[{row}, {column}])"})
            plan.append({f"Agent[{row}, {column}]": f"move({box}, {target})"})
    return json.dumps(plan)


def question(squares: Squares, answer: str) -> Question:
    """The question in our words."""
    lines = "\n".join(
        f"square[{square.replace('_', ', ')}]: {', '.join(items) or '(empty)'}" for square, items in squares.items()
    )
    return Question(
        text="A field is divided into squares, named by the coordinates of their centres. Each square has an agent "
        f"that acts on what lies in its own square only. Boxes and targets of several colours lie there:\n{lines}\n"
        "In one step each agent can do one thing, or nothing: move a box from its square to a square whose centre is "
        "one unit away along one axis, or move a box onto a target of the same colour in its square, which removes "
        "both. All agents of a step act at the same time, on what lies in their squares before the step. Find a plan "
        "that removes all boxes and targets.\n"
        "Give it as a JSON list of steps between <<< and >>>; each step names the agents that act and their moves, in "
        f"the form <<<{_EXAMPLE}>>>.",
        answer=answer,
        metadata={"squares": {square: list(items) for square, items in squares.items()}},
        example=_EXAMPLE,
    )
