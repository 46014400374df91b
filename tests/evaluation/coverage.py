"""How often the 95 % intervals cover the truth, by simulation.

    python tests/evaluation/coverage.py                 # everything, 4,000 evaluations each: some minutes
    python tests/evaluation/coverage.py --rounds 500    # sooner, and less exact

Each line is a number of questions, of samples a question, and how alike the samples of a question are (the same chance
for all questions; chances spread more and more; a question is always right or always wrong). It gives the lowest and
the highest coverage for p from 0.1 to 0.9, and the lowest elsewhere. Exit status 1 if one is not as promised.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence

from r1ci_plugins.evaluation.intervals import Interval, difference_interval, macro_interval, share_interval

MIDDLE = (0.1, 0.3, 0.5, 0.7, 0.9)
EDGES = (0.003, 0.01, 0.03, 0.06, 0.97, 0.995)
SPREADS = {"same chance": None, "spread": 4.0, "wide": 1.0, "very wide": 0.3, "all or nothing": 0.0}


def chance(rng: random.Random, p: float, spread: float | None) -> float:
    """A question's own probability of being answered rightly; its mean is p."""
    if spread is None:
        return p
    return float(rng.random() < p) if spread == 0 else rng.betavariate(spread * p, spread * (1 - p))


def mean_of(rng: random.Random, p: float, samples: int) -> float:
    return sum(rng.random() < p for _ in range(samples)) / samples


def shares(rng: random.Random, p: float, questions: int, samples: int, spread: float | None) -> list[float]:
    return [mean_of(rng, chance(rng, p, spread), samples) for _ in range(questions)]


def coverage(rounds: int, truth: float, draw: Callable[[], Interval]) -> float:
    """Share of the rounds whose interval holds the truth."""
    hits = 0
    for _ in range(rounds):
        interval = draw()
        hits += interval.low <= truth <= interval.high
    return hits / rounds


def share_coverage(rng: random.Random, p: float, questions: int, samples: int, spread: float | None, rounds: int):
    return coverage(rounds, p, lambda: share_interval(shares(rng, p, questions, samples, spread), questions * samples))


def macro_coverage(rng: random.Random, ps: Sequence[float], questions: int, rounds: int) -> float:
    truth = sum(ps) / len(ps)
    return coverage(
        rounds,
        truth,
        lambda: macro_interval({str(n): shares(rng, p, questions, 1, None) for n, p in enumerate(ps)}),
    )


def difference_coverage(
    rng: random.Random, p: float, fall: float, questions: int, samples: int, spread: float | None, rounds: int
) -> float:
    """How often the interval covers the difference of two models, one worse by the share ``fall`` everywhere."""

    def draw() -> Interval:
        chances = [chance(rng, p, spread) for _ in range(questions)]
        return difference_interval(
            [mean_of(rng, one * (1 - fall), samples) - mean_of(rng, one, samples) for one in chances]
        )

    return coverage(rounds, -p * fall, draw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4000)
    rounds = parser.parse_args().rounds
    rng, broken = random.Random(0), 0
    slack = 3 * (0.05 * 0.95 / rounds) ** 0.5 if rounds < 4000 else 0.008

    def report(kind: str, middle: list[float], edge: list[float], strict: bool) -> None:
        nonlocal broken
        wrong = min([*middle, *edge]) < 0.92 - slack
        wrong |= strict and not 0.93 - slack <= min(middle) <= max(middle) <= 0.97 + slack
        broken += wrong
        print(f"{kind:<58} {min(middle):.3f} to {max(middle):.3f}", end="")
        print((f", elsewhere {min(edge):.3f} or more" if edge else "") + ("   <-- NOT AS PROMISED" if wrong else ""))

    for questions in (3, 10, 20, 50, 56, 100, 200):
        for samples in (1, 4, 8):
            for name, spread in SPREADS.items() if samples > 1 else [("", None)]:
                kind = f"share: {questions} questions, {samples} samples {name}"
                middle = [share_coverage(rng, p, questions, samples, spread, rounds) for p in MIDDLE]
                edge = [share_coverage(rng, p, questions, samples, spread, rounds) for p in EDGES]
                report(kind, middle, edge, strict=questions >= 50)
    for tasks in (2, 5, 37):
        for questions in (10, 56):
            middle = [macro_coverage(rng, [p] * tasks, questions, rounds // 4) for p in MIDDLE]
            mixed = [macro_coverage(rng, [0.0, 1.0, *[p] * tasks], questions, rounds // 4) for p in (0.05, 0.5)]
            edge = [macro_coverage(rng, [p] * tasks, questions, rounds // 4) for p in EDGES]
            report(f"macro: {tasks} tasks, {questions} questions each", middle, edge + mixed, strict=False)
    for questions in (10, 50, 200):
        for samples in (1, 4):
            for name, spread in SPREADS.items():
                arguments = (questions, samples, spread, rounds // 2)
                middle = [difference_coverage(rng, p, fall, *arguments) for p in MIDDLE for fall in (0.1, 0.3)]
                edge = [difference_coverage(rng, p, fall, *arguments) for p in EDGES for fall in (0.0, 0.3)]
                report(f"difference: {questions} questions, {samples} samples {name}", middle, edge, strict=False)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
