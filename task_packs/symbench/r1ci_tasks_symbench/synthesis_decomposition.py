"""The task ``synthesis_decomposition``: goods are exchanged for other goods until no exchange is possible."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import integers
from r1ci_tasks_symbench import exchanges
from r1ci_tasks_symbench.wording import in_upstream_words

LEVELS = (("AB", "X", 2, 8), ("ABC", "X", 3, 12), ("ABC", "XY", 4, 16), ("ABC", "XY", 5, 30))
"""Crops, products, number of methods and the greatest number of a crop, by level."""

_TEXT = """\
A farm grows the crops {crops} and exchanges them for {products}. There are {number} methods:

{methods}

The methods take turns in the stated order, again and again. At its turn, a method is carried out once if there is \
enough for it, and skipped otherwise. This ends when no method is possible any more.

At the start there are {start}, and nothing else. How much of {kinds} is there at the end? Put the numbers in this \
order between <<< and >>>, as a list in the form <<<{example}>>>"""


class SynthesisDecomposition(Task):
    """Exchange three to five kinds of goods by methods that take turns; count what is left at the end.

    Source: ``synthesis_decomposition`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "synthesis_decomposition"
    description = "Counts of goods after methods of exchange were carried out in turn."
    levels = len(LEVELS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        crops, products, number, most = LEVELS[self.level(rng, difficulty)]
        kinds = crops + products
        while True:
            start = [rng.randint(2, most) for _ in crops] + [0] * len(products)
            methods = [_method(rng, crops, products) for _ in range(number)]
            end = exchanges.cycled(kinds, start, methods)
            if end != start and any(end[len(crops) :]):
                return _question(kinds, start, methods)

    def check(self, question: Question, answer: str) -> bool:
        data = question.metadata
        return integers(answer) == exchanges.cycled(data["kinds"], data["start"], data["methods"])

    def solve(self, question: Question) -> str:
        data = question.metadata
        return str(exchanges.by_vectors(data["start"], data["kinds"], data["methods"], restart=False))

    def programs(self, question: Question) -> Sequence[Program]:
        return exchanges.programs(question.metadata, restart=False)


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; the methods stand only in its text."""
    stated = re.findall(r"Method \d+: (.+?) can be exchanged for (.+?), and", record["question"])
    order = re.search(r"list showing \[(.+?)\]", record["question"])
    initial = record["params"]["initial_state"]
    if not stated or not order:
        raise ValueError("no methods in the text")
    kinds = [name.strip().rpartition("_")[2] for name in order[1].split(",")]
    methods = [exchanges.method(_goods(give), _goods(get)) for give, get in stated]
    answer = ", ".join(str(number) for number in record["solution"])
    ours = _question(kinds, [int(initial.get(kind, 0)) for kind in kinds], methods, answer)
    return in_upstream_words(ours, record["question"])


def _goods(text: str) -> dict[str, int]:
    return {kind: int(number) for number, kind in re.findall(r"(\d+) units? of \w+ (\w)\b", text)}


def _method(rng: random.Random, crops: str, products: str) -> exchanges.Method:
    """A method that makes fewer goods than it takes, or makes products from crops only, so that exchanges end."""
    give = {kind: rng.randint(1, 2) for kind in sorted(rng.sample(crops, rng.randint(1, len(crops))))}
    if len(products) > 1 and rng.random() < 0.4:
        give["X"] = rng.randint(1, 2)
        return exchanges.method(give, {"Y": rng.randint(1, 2)})
    crop = rng.choice(crops)
    if crop not in give and sum(give.values()) > 1 and rng.random() < 0.4:
        return exchanges.method(give, {crop: rng.randint(1, sum(give.values()) - 1)})
    return exchanges.method(give, {"X": rng.randint(1, 3)})


def _question(
    kinds: Sequence[str], start: Sequence[int], methods: Sequence[exchanges.Method], answer: str | None = None
) -> Question:
    crops = [kind for kind in kinds if kind not in "XY"]
    products = [kind for kind in kinds if kind in "XY"]
    example = str([9] * len(kinds))  # never a final state: every method is possible
    return Question(
        text=_TEXT.format(
            crops=" and ".join(crops),
            products=f"product{'s' * (len(products) > 1)} {' and '.join(products)}",
            number=len(methods),
            methods="\n".join(
                f"{k}. Give {_named(m['give'])}; get {_named(m['get'])}." for k, m in enumerate(methods, 1)
            ),
            start=_named(dict(zip(crops, start, strict=False))),
            kinds=", ".join(kinds),
            example=example,
        ),
        answer=answer or str(exchanges.cycled(kinds, start, methods)),
        metadata={"kinds": list(kinds), "start": list(start), "methods": list(methods)},
        example=example,
    )


def _named(goods: Mapping[str, int]) -> str:
    return " and ".join(f"{number} {kind}" for kind, number in goods.items())
