"""The task ``constrained_linear_arrangement``: the opponent's hidden cards from the results of the rounds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import items
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

_EXAMPLE = "A, B"

_TEXT = """\
You and an opponent play a card game. {rules}

Each of you holds every card once. In each round both of you lay one card face down, then both cards are turned over, \
the result of the round is announced, and the two cards are out of the game: nobody plays a card twice.

Your cards and your results were:
{rounds}

Which cards can the opponent have played? Any sequence that fits all the results and uses no card twice counts.

Put the opponent's {count} cards, in the order of the rounds, between <<< and >>> as letters separated by commas, as \
in <<<{example}>>> for a game of two rounds."""


def _elements(mine: int, theirs: int) -> str:
    # Each card generates the next one and overcomes the one after that; the one that generates loses.
    return ("draw", "loss", "win", "loss", "win")[(theirs - mine) % 5]


def _sticks(mine: int, theirs: int) -> str:
    return ("draw", "win", "draw", "loss")[(theirs - mine) % 4]


def _animals(mine: int, theirs: int) -> str:
    if mine == theirs:
        return "draw"
    if {mine, theirs} == {0, 7}:  # the mouse captures the elephant
        return "win" if mine == 7 else "loss"
    return "win" if mine < theirs else "loss"


@dataclass(frozen=True)
class Game:
    """One card game: its cards as letters, the result of two cards (by index), and its rules in words."""

    cards: str
    result: Callable[[int, int], str]
    rules: str

    def results(self, mine: Sequence[str], theirs: Sequence[str]) -> list[str]:
        """What the rounds end in, from my point of view."""
        return [self.result(self.cards.index(m), self.cards.index(t)) for m, t in zip(mine, theirs, strict=True)]


GAMES = {
    "elements": Game(
        "ABCDE",
        _elements,
        """\
The cards are the five elements Wood (A), Fire (B), Earth (C), Metal (D) and Water (E).

- Wood generates Fire, Fire generates Earth, Earth generates Metal, Metal generates Water, Water generates Wood. The \
player whose card generates the other card loses the round.
- Wood overcomes Earth, Earth overcomes Water, Water overcomes Fire, Fire overcomes Metal, Metal overcomes Wood. The \
player whose card overcomes the other card wins the round.
- Two equal cards are a draw.""",
    ),
    "sticks": Game(
        "ABCD",
        _sticks,
        """\
The cards are Stick (A), Tiger (B), Chicken (C) and Worm (D).

- Stick beats Tiger, Tiger beats Chicken, Chicken beats Worm, and Worm beats Stick.
- Every other pair (two equal cards, Stick and Chicken, Tiger and Worm) is a draw.""",
    ),
    "animals": Game(
        "ABCDEFGH",
        _animals,
        """\
The cards are eight animals, from the strongest to the weakest: Elephant (A), Lion (B), Tiger (C), Leopard (D), \
Wolf (E), Dog (F), Cat (G) and Mouse (H).

- The stronger animal wins the round, with one exception: Mouse against Elephant is won by the Mouse.
- Two equal cards are a draw.""",
    ),
}

_PUBLISHED_NAMES = {"elements": "elements", "stick_game": "sticks", "animal": "animals"}


class ConstrainedLinearArrangement(Task):
    """Infer the cards of an opponent from one's own cards and the rounds' results; no card is played twice.

    Source: ``constrained_linear_arrangement`` of SymBench (CodeSteer-v1.0). Any sequence that fits counts.
    """

    name = "constrained_linear_arrangement"
    description = "The opponent's hidden cards, from one's own cards and the results of the rounds."
    levels = 3
    capability = "reasoning"
    unique = False

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        level = self.level(rng, difficulty)
        rounds = level + 3
        name = rng.choice([name for name, game in GAMES.items() if len(game.cards) >= rounds])
        game = GAMES[name]
        mine, theirs = rng.sample(game.cards, rounds), rng.sample(game.cards, rounds)
        return _question(name, mine, game.results(mine, theirs), ", ".join(theirs))

    def check(self, question: Question, answer: str) -> bool:
        game, moves = GAMES[question.metadata["game"]], question.metadata["moves"]
        cards = [item.upper() for item in items(answer)]
        return (
            len(cards) == len(moves)
            and len(set(cards)) == len(cards)
            and all(len(card) == 1 and card in game.cards for card in cards)
            and game.results(moves, cards) == question.metadata["results"]
        )

    def solve(self, question: Question) -> str | None:
        game, moves = GAMES[question.metadata["game"]], question.metadata["moves"]

        def extend(cards: list[str]) -> Iterator[list[str]]:
            if len(cards) == len(moves):
                yield cards
                return
            for card in game.cards:
                if card not in cards:
                    result = game.result(game.cards.index(moves[len(cards)]), game.cards.index(card))
                    if result == question.metadata["results"][len(cards)]:
                        yield from extend([*cards, card])

        found = next(extend([]), None)
        return None if found is None else ", ".join(found)

    def programs(self, question: Question) -> Sequence[Program]:
        game, data = GAMES[question.metadata["game"]], question.metadata
        head = f"cards = {game.cards!r}\nmine = {''.join(data['moves'])!r}\nresults = {list(data['results'])!r}\n\n"
        head += _RESULT[data["game"]]
        return [Program(style, head + code) for style, code in _PROGRAMS.items()]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record.

    The references of game ``elements`` often contradict the rules of the game; the check follows the rules.
    """
    params = record["params"]
    name = params["game_type"]
    if name not in _PUBLISHED_NAMES:
        raise ValueError(f"there is no game {name!r}")
    answer = ",".join(params["solution"])
    question = _question(_PUBLISHED_NAMES[name], params["player_moves"], params["results"], answer)
    return in_upstream_words(question, record["question"])


def _question(name: str, moves: Sequence[str], results: Sequence[str], answer: str) -> Question:
    rounds = "\n".join(f"Round {i}: {m}, {r}" for i, (m, r) in enumerate(zip(moves, results, strict=True), 1))
    text = _TEXT.format(rules=GAMES[name].rules, rounds=rounds, count=len(moves), example=_EXAMPLE)
    metadata = {"game": name, "moves": list(moves), "results": list(results)}
    return Question(text=text, answer=answer, metadata=metadata, example=_EXAMPLE)


_RESULT = {
    "elements": """\
def result(a, b):
    # each element generates the next (and loses) and overcomes the one after the next (and wins)
    return ["draw", "loss", "win", "loss", "win"][(cards.index(b) - cards.index(a)) % 5]

""",
    "sticks": """\
def result(a, b):
    return ["draw", "win", "draw", "loss"][(cards.index(b) - cards.index(a)) % 4]

""",
    "animals": """\
def result(a, b):
    if a == b:
        return "draw"
    if {a, b} == {"A", "H"}:
        return "win" if a == "H" else "loss"
    return "win" if a < b else "loss"

""",
}

_PROGRAMS = {
    "brute_force": """\
from itertools import permutations

for theirs in permutations(cards, len(mine)):
    if [result(a, b) for a, b in zip(mine, theirs)] == results:
        print(", ".join(theirs))
        break
""",
    "recursive": """\
def search(theirs):
    i = len(theirs)
    if i == len(mine):
        return theirs
    for card in cards:
        if card not in theirs and result(mine[i], card) == results[i]:
            found = search(theirs + card)
            if found:
                return found

print(", ".join(search("")))
""",
    "product": """\
from itertools import product

options = [[card for card in cards if result(a, card) == r] for a, r in zip(mine, results)]
print(", ".join(next(theirs for theirs in product(*options) if len(set(theirs)) == len(theirs))))
""",
}
