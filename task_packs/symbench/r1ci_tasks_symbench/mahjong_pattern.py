"""The task ``mahjong_pattern``: draws to a hand of letter cards, each judged Pass, Peng or Chi."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from r1ci_plugins import Question, Task
from r1ci_plugins.tasks.answers import choice
from r1ci_plugins.tasks.task import Program
from r1ci_tasks_symbench.wording import in_upstream_words

PASS, PENG, CHI = "0", "1", "2"

HAND = 13

_EXAMPLE = "x"

_TEXT = """\
A player holds {count} cards, each showing a capital letter; letters may occur more than once. In every round the \
player draws one card, the draw is judged, and then one card is discarded. The draw is judged by the hand before the \
draw:

- Peng, written 1: the hand holds at least two cards with the letter that was drawn.
- Chi, written 2: it is no Peng, and two cards of the hand together with the drawn one show three consecutive letters \
of the alphabet, in any order, such as A B C. The alphabet does not wrap around: Y Z A is not consecutive.
- Pass, written 0: neither of these.

A discard removes one card with that letter, which may be the one just drawn.

Hand at the start: {hand}

{rounds}

How is the draw of the last round judged? Put the number between <<< and >>>: <<<{example}>>> where x is 0, 1 or 2."""


class MahjongPattern(Task):
    """Follow 1 to 5 draws and discards from 13 letter cards and judge the last draw: Pass 0, Peng 1 or Chi 2.

    Source: ``mahjong_pattern`` of SymBench (CodeSteer-v1.0). The answer is unique; Peng comes before Chi.
    """

    name = "mahjong_pattern"
    description = "Whether the last of several draws to a hand of letter cards is a Pass, a Peng or a Chi."
    levels = 5
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        rounds = 1 + self.level(rng, difficulty)
        wanted = rng.choice((PASS, PENG, CHI))
        while True:
            start = "".join(rng.choices(ascii_uppercase, k=HAND))
            hand, moves = start, []
            for _ in range(rounds - 1):
                # Draws often repeat a letter of the hand, or else there would hardly be a Peng.
                drawn = rng.choice(hand if rng.random() < 0.5 else ascii_uppercase)
                discarded = rng.choice(hand + drawn)
                moves.append((drawn, discarded))
                hand = (hand + drawn).replace(discarded, "", 1)
            last = [letter for letter in ascii_uppercase if _judge(hand, letter) == wanted]
            if last:
                moves.append((rng.choice(last), ""))
                return _question(start, moves, wanted)

    def check(self, question: Question, answer: str) -> bool:
        return choice(answer, (PASS, PENG, CHI)) == _verdict(question.metadata)

    def solve(self, question: Question) -> str | None:
        return _verdict(question.metadata)

    def programs(self, question: Question) -> Sequence[Program]:
        data = question.metadata
        head = f"hand = {data['hand']!r}\ndraws = {data['draws']!r}\ndiscards = {data['discards']!r}\n"
        return [Program(style, f"{head}\n{code}") for style, code in _PROGRAMS.items()]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; easy ones know no Chi, which only their text says."""
    params, text = record["params"], record["question"]
    moves = [(move["add"], move["remove"]) for move in params["rounds"]]
    chi = not text or "Chi" in text
    return in_upstream_words(_question(params["initial_cards"], moves, str(params["solution"]), chi), text)


def _question(hand: str, moves: Sequence[tuple[str, str]], answer: str, chi: bool = True) -> Question:
    draws, discards = [draw for draw, _ in moves], [discard for _, discard in moves[:-1]]
    rounds = [f"Round {i}: draw {draw}, discard {gone}" for i, (draw, gone) in enumerate(moves[:-1], 1)]
    rounds.append(f"Round {len(moves)}: draw {draws[-1]}")
    text = _TEXT.format(count=len(hand), hand=" ".join(hand), rounds="\n".join(rounds), example=_EXAMPLE)
    metadata = {"hand": hand, "draws": "".join(draws), "discards": "".join(discards), "chi": chi}
    return Question(text=text, answer=answer, metadata=metadata, example=_EXAMPLE)


def _judge(hand: str, drawn: str, chi: bool = True) -> str:
    if hand.count(drawn) >= 2:
        return PENG
    if chi:
        near = [chr(ord(drawn) + offset) in hand for offset in (-2, -1, 1, 2)]
        if any(first and second for first, second in zip(near, near[1:], strict=False)):
            return CHI
    return PASS


def _verdict(data: Mapping[str, Any]) -> str:
    """How the last draw of a question is judged."""
    hand = data["hand"]
    for drawn, discarded in zip(data["draws"], data["discards"], strict=False):
        hand = (hand + drawn).replace(discarded, "", 1)
    return _judge(hand, data["draws"][-1], data["chi"])


_PROGRAMS = {
    "direct": """\
cards = list(hand)
for draw, discard in zip(draws, discards):
    cards.append(draw)
    cards.remove(discard)
x = ord(draws[-1])
codes = [ord(card) for card in cards]
if codes.count(x) >= 2:
    print(1)
elif any(x + i in codes and x + j in codes for i, j in [(-2, -1), (-1, 1), (1, 2)]):
    print(2)
else:
    print(0)
""",
    "function": """\
from collections import Counter

def judge(cards, draw):
    if cards[draw] >= 2:
        return 1
    for start in range(ord(draw) - 2, ord(draw) + 1):
        run = [chr(start + k) for k in range(3)]
        if all(cards[letter] > 0 for letter in run if letter != draw):
            return 2
    return 0

cards = Counter(hand)
for draw, discard in zip(draws, discards):
    cards[draw] += 1
    cards[discard] -= 1
print(judge(cards, draws[-1]))
""",
    "brute_force": """\
from itertools import combinations

for draw, discard in zip(draws, discards):
    hand = (hand + draw).replace(discard, "", 1)
last = draws[-1]
verdict = 0
for pair in combinations(hand, 2):
    if pair == (last, last):
        verdict = 1
        break
    if "".join(sorted(pair + (last,))) in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        verdict = 2
print(verdict)
""",
}
