"""SymBench ``blocksworld``: move blocks between stacks until all stand as wanted."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks import answers
from r1ci_tasks_symbench.wording import in_upstream_words

_LEVELS = (  # numbers of blocks, numbers of stacks
    ((2, 3), (3, 5)),
    ((3, 4), (3, 5)),
    ((5, 6), (3, 4)),
    ((7, 8), (3, 4)),
    ((9, 11), (3, 4)),
)
_EXAMPLE = "Move Z from stack1 to stack3\nMove Y from stack2 to stack1"  # blocks are A to K
_MOST_MOVES = 10_000

_MOVE = re.compile(
    r"(?:\d{1,4}[.)] ?)?Move (?:block )?(\w{1,20}) from (?:stack ?)?(\w{1,20}) to (?:stack ?)?(\w{1,20})"
    r"(?: ?[.,;] ?| |$)",
    re.I,
)

Stacks = dict[str, list[str]]
"""Blocks of each stack, from the bottom to the top."""

_PROGRAMS = {
    "breadth_first": """\
from collections import deque

names = list(start)
first = tuple(tuple(start[name]) for name in names)
last = tuple(tuple(goal.get(name, ())) for name in names)
came = {first: None}
queue = deque([first])
while last not in came:
    state = queue.popleft()
    for i in range(len(names)):
        for j in range(len(names)):
            if i != j and state[i]:
                after = list(state)
                after[i], after[j] = state[i][:-1], state[j] + state[i][-1:]
                after = tuple(after)
                if after not in came:
                    came[after] = state, f"Move {state[i][-1]} from {names[i]} to {names[j]}"
                    queue.append(after)
moves = []
while came[last]:
    last, move = came[last]
    moves.append(move)
print("\\n".join(reversed(moves)))
""",
    "direct": """\
moves = []


def move(source, target):
    start[target].append(start[source].pop())
    moves.append(f"Move {start[target][-1]} from {source} to {target}")


for stack, wanted in goal.items():
    for height, block in enumerate(wanted):
        if start[stack][height:height + 1] == [block]:
            continue
        others = [name for name in start if name != stack]
        while len(start[stack]) > height:
            move(stack, others[0])
        source = next(name for name in others if block in start[name])
        spare = next(name for name in others if name != source)
        while start[source][-1] != block:
            move(source, spare)
        move(source, stack)
print("\\n".join(moves))
""",
    "best_first": """\
from heapq import heappop, heappush

names = list(start)
first = tuple(tuple(start[name]) for name in names)
last = tuple(tuple(goal.get(name, ())) for name in names)


def missing(state):
    return sum(a != b for have, want in zip(state, last) for a, b in zip(have + (0,) * len(want), want))


heap, seen = [(missing(first), first, ())], {first}
while heap[0][1] != last:
    _, state, moves = heappop(heap)
    for i, source in enumerate(state):
        for j in range(len(state)):
            if source and i != j:
                after = state[:i] + (source[:-1],) + state[i + 1:]
                after = after[:j] + (after[j] + source[-1:],) + after[j + 1:]
                if after not in seen:
                    seen.add(after)
                    step = f"Move {source[-1]} from {names[i]} to {names[j]}"
                    heappush(heap, (missing(after), after, moves + (step,)))
print("\\n".join(heap[0][2]))
""",
}


class Blocksworld(Task):
    """Move one block at a time from the top of a stack to the top of another until the goal stands.

    Source: SymBench (CodeSteer-v1.0, Code-as-Symbolic-Planner), ``blocksworld`` and ``blocksworld_large``.
    """

    name = "blocksworld"
    description = "Move blocks between stacks until all stand as wanted."
    levels = len(_LEVELS)
    capability = "planning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        # Without a level: not the easiest, which has few questions.
        level = rng.randrange(1, self.levels) if difficulty is None else difficulty
        block_counts, stack_counts = _LEVELS[level]
        blocks = [chr(ord("A") + index) for index in range(rng.randint(*block_counts))]
        names = [f"stack{number}" for number in range(1, rng.randint(*stack_counts) + 1)]
        start = _scattered(rng, blocks, names)
        while (goal := _scattered(rng, blocks, names)) == start:
            pass
        return _question(start, goal)

    def check(self, question: Question, answer: str) -> bool:
        stacks, goal = _folded(question.metadata["initial"]), _folded(question.metadata["goal"])
        for block, source, target in _read(answer):
            if source == target or source not in stacks or target not in stacks or stacks[source][-1:] != [block]:
                return False
            stacks[target].append(stacks[source].pop())
        return all(blocks == goal.get(name, []) for name, blocks in stacks.items())

    def solve(self, question: Question) -> str:
        # Best first: fewest blocks missing from the goal, read from the bottom of each stack, then fewest moves.
        names = list(question.metadata["initial"])
        first = tuple(tuple(question.metadata["initial"][name]) for name in names)
        last = tuple(tuple(question.metadata["goal"].get(name, ())) for name in names)
        came: dict[Any, tuple[Any, str]] = {first: (None, "")}
        heap: list[Any] = [(_missing(first, last), 0, 0, first)]
        order = count(1)
        while (state := heap[0][3]) != last:
            _, depth, _, _ = heappop(heap)
            for i, source in enumerate(state):
                for j in range(len(state)):
                    if source and i != j:
                        after = list(state)
                        after[i], after[j] = source[:-1], (*state[j], source[-1])
                        if (key := tuple(after)) not in came:
                            came[key] = state, f"Move {source[-1]} from {names[i]} to {names[j]}"
                            heappush(heap, (_missing(key, last) + (depth + 1) / 4, depth + 1, next(order), key))
        moves = []
        while came[state][0] is not None:
            state, move = came[state]
            moves.append(move)
        return "\n".join(reversed(moves))

    def programs(self, question: Question) -> Sequence[Program]:
        inputs = f"start = {question.metadata['initial']}\ngoal = {question.metadata['goal']}\n"
        blocks = sum(map(len, question.metadata["initial"].values()))
        bodies = {style: body for style, body in _PROGRAMS.items() if blocks <= 5 or style != "breadth_first"}
        return [Program(style, inputs + body) for style, body in bodies.items()]

    def variations(self, question: Question) -> Sequence[str]:
        return [question.answer.replace("stack", ""), question.answer.replace("\n", "; "), question.answer.lower()]


def _scattered(rng: random.Random, blocks: Sequence[str], names: Sequence[str]) -> Stacks:
    stacks: Stacks = {name: [] for name in names}
    for block in rng.sample(blocks, len(blocks)):
        stacks[rng.choice(names)].append(block)
    return stacks


def _folded(stacks: Mapping[str, Sequence[str]]) -> Stacks:
    """Names in one case, those of stacks without ``stack``, as ``_read`` gives them."""
    return {name.casefold().removeprefix("stack"): [block.casefold() for block in stacks[name]] for name in stacks}


def _read(answer: str) -> Iterator[tuple[str, str, str]]:
    """Block, source and target of each move; names of stacks without ``stack``."""
    text = " ".join(answers.tidy(answer).split())
    at = moves = 0
    while at < len(text) or not moves:
        match = _MOVE.match(text, at)
        if not match or moves == _MOST_MOVES:
            raise answers.Unreadable("not of the form 'Move A from stack1 to stack2', one move on each line")
        yield match[1].casefold(), match[2].casefold(), match[3].casefold()
        at, moves = match.end(), moves + 1


def _missing(state: Sequence[Sequence[str]], goal: Sequence[Sequence[str]]) -> int:
    """Blocks that are not in their final place, which includes having every block below in its own."""
    missing = 0
    for have, want in zip(state, goal, strict=True):
        right = 0
        while right < min(len(have), len(want)) and have[right] == want[right]:
            right += 1
        missing += len(want) - right
    return missing


def _plan(initial: Mapping[str, Sequence[str]], goal: Mapping[str, Sequence[str]]) -> str:
    """Build the goal block by block; what is in the way goes on any other stack. Needs three stacks."""
    stacks = {name: list(blocks) for name, blocks in initial.items()}
    moves = []

    def move(source: str, target: str) -> None:
        stacks[target].append(stacks[source].pop())
        moves.append(f"Move {stacks[target][-1]} from {source} to {target}")

    for stack, wanted in goal.items():
        others = [name for name in stacks if name != stack]
        for height, block in enumerate(wanted):
            if stacks[stack][height : height + 1] == [block]:
                continue
            while len(stacks[stack]) > height:
                move(stack, others[0])
            source = next(name for name in others if block in stacks[name])
            spare = next(name for name in others if name != source)
            while stacks[source][-1] != block:
                move(source, spare)
            move(source, stack)
    return "\n".join(moves)


def _question(initial: Mapping[str, Sequence[str]], goal: Mapping[str, Sequence[str]]) -> Question:
    start_lines, goal_lines = (
        "\n".join(f"{name}: {' '.join(stacks.get(name, ())) or '(empty)'}" for name in initial)
        for stacks in (initial, goal)
    )
    return Question(
        text="Blocks stand on stacks. Each line lists the blocks of one stack from the bottom to the top.\n"
        f"Start:\n{start_lines}\nGoal:\n{goal_lines}\n"
        "One move takes the top block of a stack and puts it on top of another of these stacks, which may be empty. "
        "Find moves that lead from the start to the goal.\n"
        "Write one move on each line, and all of them between <<< and >>>, in the form "
        f"<<<{_EXAMPLE}>>>.",
        answer=_plan(initial, goal),
        metadata={
            "initial": {name: list(blocks) for name, blocks in initial.items()},
            "goal": {name: list(blocks) for name, blocks in goal.items()},
        },
        example=_EXAMPLE,
    )


def published(record: Mapping[str, Any]) -> Question:
    """One upstream record: ``params`` has ``initial`` and ``goal``, blocks by stack; ``solution`` may be missing.

    Raises:
        ValueError: If start and goal do not have the same blocks and stacks, or there are fewer than three stacks.
    """
    initial, goal = record["params"]["initial"], record["params"]["goal"]
    blocks = [sorted(block for stack in stacks.values() for block in stack) for stacks in (initial, goal)]
    if blocks[0] != blocks[1] or not goal.keys() <= initial.keys() or len(initial) < 3:
        raise ValueError(f"no blocksworld of three stacks and more: {initial!r} to {goal!r}")
    ours = _question(initial, goal)
    answer = record["solution"] or ours.answer
    if not answer:  # one published start is the goal: an empty answer is refused, so move a block there and back
        source, block = next((name, stack[-1]) for name, stack in initial.items() if stack)
        spare = next(name for name in initial if name != source)
        answer = f"Move {block} from {source} to {spare}\nMove {block} from {spare} to {source}"
    return in_upstream_words(replace(ours, answer=answer), record["question"])
