"""The worker process that makes questions; ``generator.py`` starts it as a script.

Some of the library's questions depend on the hash seed, which only a new process can fix, and the library takes
seconds to import.
"""

from __future__ import annotations

import datetime
import decimal
import os
import random
import re
import sys
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from r1ci_plugins.tasks.expressions import evaluate
from r1ci_plugins.workers.json_lines import Channel
from r1ci_tasks_reasoning_gym.catalog import DATASETS

ATTEMPTS = 200
# Building these reads a word list or scans all fonts; an item depends on nothing else but the seed (see the tests).
REUSED = frozenset({"figlet_font", "group_anagrams", "spell_backward", "word_ladder"})
MOST_MOVES = 255
_reused: dict[tuple[str, int | None], Any] = {}


def make(name: str, level: int | None, seed: int) -> dict[str, Any]:
    """One usable question: the library's entry for the first derived seed whose entry is sound.

    Raises:
        RuntimeError: If no seed gives one.
    """
    seeds, problem = random.Random(seed), ""
    for _ in range(ATTEMPTS):
        try:
            entry = item(name, level, seeds.getrandbits(32))
        except (ValueError, ArithmeticError, RuntimeError) as error:  # "failed to generate a valid expression" etc.
            problem = f"{type(error).__name__}: {error}"
            continue
        problem = fault(name, entry)
        if not problem:
            return entry
    raise RuntimeError(f"no usable question in {ATTEMPTS} attempts; the last problem: {problem}")


def item(name: str, level: int | None, seed: int, reuse: bool = True) -> dict[str, Any]:
    """The library's first item for a seed, at its default configuration or at a level of its curriculum."""
    import numpy
    from reasoning_gym import factory

    bound_number_sequences()
    # A few generators draw from the global streams, or change the decimal context and leave it changed.
    random.seed(seed)
    numpy.random.seed(seed)
    with decimal.localcontext(decimal.Context()):
        dataset = _reused.get((name, level)) if reuse else None
        if dataset is None:
            dataset_class, config_class = factory.DATASETS[name]
            if level is None:
                config = config_class(seed=seed, size=1)
            else:
                curriculum = factory.create_curriculum(name)
                curriculum.set_global_level(level)
                config = curriculum.generate_configuration({"seed": seed, "size": 1})
            dataset = dataset_class(config)
            if reuse and name in REUSED:
                _reused[name, level] = dataset
        dataset.seed = dataset.config.seed = seed
        return repaired(name, dataset[0])


@cache
def bound_number_sequences() -> None:
    """Make the library give up a number sequence that grows by squaring, on which it would spend minutes.

    The library rejects a sequence with a term above 1000, and no rule leads back below that from here. It expects the
    exception that is raised, so that all other questions stay as they are.
    """
    from reasoning_gym.cognition.number_sequences import PatternRule

    apply = PatternRule.apply

    def bounded(rule: Any, sequence: list[int], position: int) -> int:
        result: int = apply(rule, sequence, position)
        if abs(result) > 10**200:
            raise OverflowError
        return result

    PatternRule.apply = bounded


def repaired(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry, with its reference corrected where the library's is wrong in a known way."""
    metadata = entry["metadata"]
    if name == "time_intervals" and metadata["task_type"] == "time_ms":
        # The library truncates a float, so that some items are a millisecond short.
        start, end = (datetime.datetime.fromisoformat(metadata[key]) for key in ("start_time", "end_time"))
        milliseconds = (end - start) // datetime.timedelta(milliseconds=1)
        seconds, milliseconds = divmod(milliseconds, 1000)
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"
        return entry | {"answer": clock if seconds >= 0 else "-"}
    return entry


def fault(name: str, entry: dict[str, Any]) -> str:
    """Why an entry cannot be asked; empty if it can."""
    answer, metadata = entry["answer"], entry["metadata"]
    if not isinstance(answer, str) or not answer.strip():
        return "the reference is empty, as a missing answer is"
    if name == "time_intervals":
        if answer.startswith("-"):
            return "the end is past midnight, which the question does not say"
        if metadata["task_type"].startswith("datetime") and "(%A)" in metadata["format"]:
            return "the reference ignores the time of day in this format"
    if name == "letter_counting":
        words = " ".join(metadata["span"])
        if words.count(metadata["target_letter"].lower()) != words.lower().count(metadata["target_letter"].lower()):
            return "the count depends on whether capitals count, which the question does not say"
    if name == "syllogism":
        premises = [metadata["premise1"], metadata["premise2"]]
        verdicts = {follows(premises, metadata["conclusion"], empty) for empty in (False, True)}
        if verdicts != {answer == "Yes"}:
            return "the reference is wrong, or depends on whether there need be any members of a class"
    if name == "basic_arithmetic" and evaluate(metadata["expression"], Fraction) != Fraction(answer):
        return "the reference rounds a quotient down, which the question does not say"
    if name == "rotate_matrix" and metadata["matrix"] == metadata["solution"]:
        return "the rotation changes nothing, so that the question holds its answer"
    if name == "tower_of_hanoi" and metadata["solution_length"] > MOST_MOVES:
        return "the shortest solution is too long to write down"
    if not accepted(name, answer, entry):
        # "No solution" for jugs, an unsolved Integral(...), a Go move that captures nothing.
        return f"the reference is wrong: {answer[:80]}"
    if DATASETS[name].example and accepted(name, DATASETS[name].example, entry):
        return "the example of the format is a right answer"
    return ""


def accepted(name: str, answer: str, entry: dict[str, Any]) -> bool:
    """Whether the data set's check accepts an answer to an entry."""
    try:
        return DATASETS[name].check(answer, entry["answer"], entry["metadata"])
    except (ValueError, ArithmeticError):
        return False


def follows(premises: Sequence[str], conclusion: str, may_be_empty: bool) -> bool:
    """Whether a syllogism holds in every way that its classes can overlap.

    Args:
        premises: ``All/No/Some X are [not] Y``.
        conclusion: Likewise.
        may_be_empty: Whether a class may have no members, as in modern logic but not in the traditional one.
    """
    claims = []
    for sentence in [*premises, conclusion]:
        match = re.fullmatch(r"(All|No|Some) (\w+) are (not )?(\w+)", sentence)
        if not match:
            raise ValueError(f"not a categorical sentence: {sentence}")
        claims.append((match[1], match[2], match[4], bool(match[3])))
    classes = sorted({name for _, subject, predicate, _ in claims for name in (subject, predicate)})
    regions = [frozenset(c for i, c in enumerate(classes) if n >> i & 1) for n in range(2 ** len(classes))]

    def holds(claim: tuple[str, str, str, bool], world: list[frozenset[str]]) -> bool:
        quantifier, subject, predicate, negated = claim
        inside = {predicate in region for region in world if subject in region}
        return {"All": False not in inside, "No": True not in inside, "Some": (not negated) in inside}[quantifier]

    for bits in range(2 ** len(regions)):
        world = [region for i, region in enumerate(regions) if bits >> i & 1]
        if (may_be_empty or all(any(c in region for region in world) for c in classes)) and (
            all(holds(claim, world) for claim in claims[:-1]) and not holds(claims[-1], world)
        ):
            return False
    return True


def plain(value: Any) -> Any:
    """A numpy scalar as a value that JSON knows; anything else is an error."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def exit_with_parent(parent: int) -> None:
    """End this process within a second of its parent's end, even in the middle of a question.

    ``json_lines.die_with_parent`` would end it with the thread that started it, but all threads share it.
    """
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def main() -> None:
    """Answer requests until standard input ends."""
    threading.Thread(target=exit_with_parent, args=(int(sys.argv[1]),), daemon=True).start()
    channel = Channel(default=plain)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # the library prints
    import reasoning_gym  # noqa: F401

    for request in channel:
        try:
            entry = make(request["name"], request["level"], request["seed"])
            metadata = {key: entry["metadata"][key] for key in request["keys"] if key in entry["metadata"]}
            channel.reply(question=entry["question"], answer=entry["answer"], metadata=metadata)
        except Exception as error:
            channel.reply(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
