"""Drawing questions: seeds, splits and duplicates, so that no pack has to think of them.

Splits are disjoint by construction. The hash of a question's normalised text says which split it belongs to, so the
same text can never be in two of them, whatever the seeds, the order or the size of the task's question space.
"""

from __future__ import annotations

import hashlib
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from r1ci_plugins.errors import MissingData, TaskError
from r1ci_plugins.tasks.task import Question, Task

SHARES = {"sft": 25, "rl": 50, "test": 25}
"""Percent of all question texts that fall into each split."""

_GIVE_UP = 400
"""Candidates in a row without a new question of the split before a task counts as exhausted."""


def normalised(text: str) -> str:
    """The text by which two questions count as the same: NFKC, case folded, runs of white space as one blank."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def split_of(text: str) -> str:
    """The one split that a question with this text belongs to."""
    bucket = (
        int.from_bytes(hashlib.sha256(normalised(text).encode("utf-8", "surrogatepass")).digest()[:8], "big") % 100
    )
    for split, share in SHARES.items():
        if bucket < share:
            return split
        bucket -= share
    raise AssertionError("SHARES add up to 100")


def candidate(pack: str, task: Task, split: str, index: int, seed: int, difficulty: int | None) -> Question:
    """The question that a task makes at one position of its stream, whatever split its text belongs to.

    Raises:
        MissingData: If the task's data is not on this machine.
        TaskError: If the task raises or returns something other than a question with text and answer.
    """
    name = f"{pack}/{task.name}"
    rng = random.Random(f"{name}/{split}/{index}/{seed}")
    where = f"{name}, difficulty {difficulty}, split {split}, index {index}, seed {seed}"
    try:
        question = task.generate(rng, difficulty)
    except MissingData:
        raise
    except Exception as error:
        raise TaskError(
            f"the task raised while generating a question: {type(error).__name__}: {error}",
            where=where,
            fix="report it to the pack's author, or leave the task out of the recipe",
        ) from error
    if not isinstance(question, Question) or not question.text.strip() or not isinstance(question.answer, str):
        raise TaskError(f"the task returned {question!r}, not a Question with text and answer", where=where)
    return replace(question, task=name, split=split, index=index, seed=seed, difficulty=difficulty)


def draw(
    pack: str, task: Task, split: str, seed: int, count: int, difficulty: int | None = None
) -> Iterator[Question]:
    """Yield ``count`` different questions of one split, in a fixed order.

    Raises:
        TaskError: If the task fails, has no such level, or has fewer than ``count`` different questions.
    """
    if split not in SHARES:
        raise TaskError(f"there is no split {split!r}", fix=f"use one of {', '.join(SHARES)}")
    if difficulty is not None and difficulty not in range(task.levels):
        raise TaskError(
            f"difficulty {difficulty} does not exist",
            where=f"{pack}/{task.name}",
            fix=f"use a level from 0 to {task.levels - 1}, or leave difficulty out",
        )
    seen: set[str] = set()
    index = barren = 0
    while len(seen) < count:
        question = candidate(pack, task, split, index, seed, difficulty)
        text = normalised(question.text)
        index += 1
        if split_of(question.text) == split and text not in seen:
            seen.add(text)
            barren = 0
            yield question
        elif (barren := barren + 1) >= _GIVE_UP:
            raise TaskError(
                f"only {len(seen)} different questions found, {count} asked for",
                where=f"{pack}/{task.name}, split {split}, difficulty {difficulty}",
                fix="lower the count, or raise the difficulty",
            )
