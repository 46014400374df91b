"""Drawing questions: seeds, splits and duplicates, so that no pack has to think of them.

Splits are disjoint by construction. The hash of a question's normalised text says which split it belongs to, so the
same text can never be in two of them, whatever the seeds, the order or the size of the task's question space.
"""

import hashlib
import itertools
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from r1ci_plugins.errors import MissingData, TaskError, plugin_error
from r1ci_plugins.tasks.task import Question, Task

SHARES = {"sft": 25, "rl": 50, "test": 25}
"""Percent of all question texts that fall into each split."""

_GIVE_UP = 400
"""Candidates in a row without a new question of the split before a task counts as exhausted."""


@dataclass(frozen=True)
class Draw:
    """A wish for questions: ``count`` of one task, split, seed and difficulty (None: the task's default)."""

    pack: str
    task: str
    split: str
    seed: int
    count: int
    difficulty: int | None = None


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
        fix = "report it to the pack's author, or leave the task out of the recipe"
        doing = "the task raised while generating a question:"
        raise plugin_error(TaskError, doing, error, where=where, fix=fix) from error
    if wrong := _wrong_question(question):
        what = f"the task returned {wrong}, not a Question with text and answer, both of them texts"
        raise TaskError(what, where=where, fix="let generate return Question(text=..., answer=str(...))")
    return replace(question, task=name, split=split, index=index, seed=seed, difficulty=difficulty)


def _wrong_question(question: object) -> str:
    """What keeps this from being a question; empty if nothing does."""
    if not isinstance(question, Question):
        return f"{question!r:.100}, which is no Question"
    for name in ("text", "answer", "example"):
        value = getattr(question, name)
        if not isinstance(value, str):
            return f"a Question whose {name} is {value!r:.60}, not a text but {type(value).__name__}"
    return "" if question.text.strip() else "a Question without a text"


def own_candidate(pack: str, task: Task, split: str, index: int, seed: int, difficulty: int | None) -> Question | None:
    """The candidate at one position if its text belongs to the split, else None. Raises as ``candidate``."""
    question = candidate(pack, task, split, index, seed, difficulty)
    return question if split_of(question.text) == split else None


class SplitFilter:
    """Which candidates of a task's stream are drawn: the first ``count`` of the split whose texts are new.

    Attributes:
        complete: Whether nothing more is wanted. A task of fixed size may be complete with fewer questions.

    Raises:
        TaskError: If there is no such split, or the task has no such level.
    """

    def __init__(self, pack: str, task: Task, split: str, count: int, difficulty: int | None) -> None:
        if split not in SHARES:
            raise TaskError(f"there is no split {split!r}", fix=f"use one of {', '.join(SHARES)}")
        if difficulty is not None and difficulty not in range(task.levels):
            raise TaskError(
                f"difficulty {difficulty} does not exist",
                where=f"{pack}/{task.name}",
                fix=f"use a level from 0 to {task.levels - 1}, or leave difficulty out",
            )
        self._where = f"{pack}/{task.name}, split {split}, difficulty {difficulty}"
        self._fixed_size = task.size is not None
        self._count = count
        self._seen: set[str] = set()
        self._barren = 0
        self.complete = count == 0

    def __len__(self) -> int:
        return len(self._seen)

    def takes(self, question: Question | None) -> bool:
        """Whether the next candidate (None: one of another split) is drawn.

        Raises TaskError if the task has fewer than ``count`` different questions, and no fixed number of them.
        """
        text = "" if question is None else normalised(question.text)
        if question is not None and text not in self._seen:
            self._seen.add(text)
            self._barren = 0
            self.complete = len(self._seen) == self._count
            return True
        self._barren += 1
        if self._barren < _GIVE_UP:
            return False
        if not self._fixed_size or not self._seen:
            raise TaskError(
                f"only {len(self._seen)} different questions found, {self._count} asked for",
                where=self._where,
                fix="lower the count, or raise the difficulty",
            )
        self.complete = True
        return False


def draw(
    pack: str, task: Task, split: str, seed: int, count: int, difficulty: int | None = None
) -> Iterator[Question]:
    """Yield ``count`` different questions of one split, in a fixed order; fewer if the task has a fixed size.

    Raises TaskError if the task fails, has no such level, or has fewer than ``count`` different questions.
    """
    chosen = SplitFilter(pack, task, split, count, difficulty)
    for index in itertools.count():
        if chosen.complete:
            return
        question = own_candidate(pack, task, split, index, seed, difficulty)
        if chosen.takes(question) and question is not None:
            yield question
