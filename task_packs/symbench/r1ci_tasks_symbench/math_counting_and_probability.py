"""SymBench ``math_counting_and_probability``: that subject of MATH (``R1CI_MATH``), or problems of our own."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction

from r1ci_tasks_symbench.math_problem import MathProblems, latex, published

__all__ = ["MathCountingAndProbability", "published"]


def _codes(rng: random.Random) -> tuple[str, str]:
    symbols, length = rng.randint(3, 30), rng.randint(2, 6)
    text = f"How many codes of {length} symbols can be formed from {symbols} symbols if symbols may be repeated?"
    return text, latex(symbols**length)


def _officers(rng: random.Random) -> tuple[str, str]:
    people, roles = rng.randint(5, 30), rng.randint(2, 4)
    text = f"In how many ways can {roles} different posts be given to {roles} different members of a club of {people}?"
    return text, latex(math.perm(people, roles))


def _multiples(rng: random.Random) -> tuple[str, str]:
    low, width, step = rng.randint(1, 400), rng.randint(50, 900), rng.randint(3, 19)
    text = f"How many integers from {low} to {low + width}, both included, are divisible by {step}?"
    return text, latex((low + width) // step - (low - 1) // step)


def _committee(rng: random.Random) -> tuple[str, str]:
    women, men = rng.randint(3, 12), rng.randint(3, 12)
    a, b = rng.randint(1, 3), rng.randint(1, 3)
    text = f"From {women} women and {men} men, a committee of {a} women and {b} men is formed. In how many ways?"
    return text, latex(math.comb(women, a) * math.comb(men, b))


def _one_ball(rng: random.Random) -> tuple[str, str]:
    red, blue, green = (rng.randint(1, 25) for _ in range(3))
    text = (
        f"A bag holds {red} red, {blue} blue and {green} green balls. One ball is drawn at random. What is the "
        "probability that it is not blue?"
    )
    return text, latex(Fraction(red + green, red + blue + green))


def _handshakes(rng: random.Random) -> tuple[str, str]:
    couples = rng.randint(4, 80)
    text = (
        f"At a party of {couples} couples everybody shakes hands once with everybody else except with the own "
        "partner. How many handshakes are there?"
    )
    return text, latex(2 * couples * (couples - 1))


def _letters(rng: random.Random) -> tuple[str, str]:
    counts = [rng.randint(1, 4) for _ in range(rng.randint(2, 4))]
    names = rng.sample("ABCDEFGHKLMNPRST", len(counts))
    letters = "".join(name * count for name, count in zip(names, counts, strict=True))
    ways = math.factorial(len(letters)) // math.prod(map(math.factorial, counts))
    return f"How many different orders of the letters {letters} are there?", latex(ways)


def _two_dice(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randint(4, 20), rng.randint(4, 20)
    total = rng.randint(3, a + b)
    ways = sum(1 <= total - first <= b for first in range(1, a + 1))
    text = (
        f"A fair die has {a} sides, numbered from 1 to {a}, another has {b} sides, numbered from 1 to {b}. Both are "
        f"rolled. What is the probability that the numbers add up to {total}?"
    )
    return text, latex(Fraction(ways, a * b))


def _same_colour(rng: random.Random) -> tuple[str, str]:
    red, blue = rng.randint(2, 20), rng.randint(2, 20)
    text = (
        f"A bag holds {red} red and {blue} blue balls. Two are drawn at random without putting the first one back. "
        "What is the probability that both have the same colour?"
    )
    return text, latex(Fraction(math.comb(red, 2) + math.comb(blue, 2), math.comb(red + blue, 2)))


def _paths(rng: random.Random) -> tuple[str, str]:
    x, y, u, v = (rng.randint(1, 6) for _ in range(4))
    text = (
        f"A path on the lattice goes from (0, 0) to ({x + u}, {y + v}) by steps of one unit to the right or up. How "
        f"many such paths pass through the point ({x}, {y})?"
    )
    return text, latex(math.comb(x + y, x) * math.comb(u + v, u))


def _at_least_one(rng: random.Random) -> tuple[str, str]:
    women, men = rng.randint(2, 10), rng.randint(3, 10)
    size = rng.randint(2, min(4, men))
    text = (
        f"A committee of {size} people is chosen from {women} women and {men} men. How many committees have at least "
        "one woman?"
    )
    return text, latex(math.comb(women + men, size) - math.comb(men, size))


def _coins(rng: random.Random) -> tuple[str, str]:
    tosses = rng.randint(4, 14)
    heads = rng.randint(2, tosses - 1)
    ways = sum(math.comb(tosses, k) for k in range(heads, tosses + 1))
    text = f"A fair coin is tossed {tosses} times. What is the probability of at least {heads} heads?"
    return text, latex(Fraction(ways, 2**tosses))


def _neither(rng: random.Random) -> tuple[str, str]:
    a, b = rng.sample(range(2, 16), 2)
    largest = rng.randint(60, 999)
    both = largest // math.lcm(a, b)
    text = f"How many integers from 1 to {largest} are divisible neither by {a} nor by {b}?"
    return text, latex(largest - largest // a - largest // b + both)


def _shares(rng: random.Random) -> tuple[str, str]:
    children, least = rng.randint(3, 7), rng.randint(1, 3)
    sweets = children * least + rng.randint(2, 15)
    text = (
        f"In how many ways can {sweets} equal sweets be shared among {children} children so that each gets at least "
        f"{least}?"
    )
    return text, latex(math.comb(sweets - children * least + children - 1, children - 1))


def _apart(rng: random.Random) -> tuple[str, str]:
    people = rng.randint(5, 12)
    first, second = rng.sample(("Ana", "Ben", "Cai", "Dora", "Emil", "Fay", "Gita", "Hugo"), 2)
    text = (
        f"{people} people, among them {first} and {second}, sit down at random at a round table with {people} chairs. "
        f"What is the probability that exactly {(between := rng.randint(0, (people - 3) // 2))} people sit between "
        f"{first} and {second} on one of the two sides?"
    )
    seats = {between + 1, people - between - 1}  # how far apart they sit, counted in one direction
    return text, latex(Fraction(len(seats), people - 1))


def _hand(rng: random.Random) -> tuple[str, str]:
    counts = Counter({colour: rng.randint(2, 9) for colour in ("red", "blue", "green")})
    a, b = rng.sample(sorted(counts), 2)
    text = (
        f"A box holds {counts['red']} red, {counts['blue']} blue and {counts['green']} green pens. Three pens are "
        f"taken at random, all at once. What is the probability that two are {a} and one is {b}?"
    )
    return text, latex(Fraction(math.comb(counts[a], 2) * counts[b], math.comb(counts.total(), 3)))


class MathCountingAndProbability(MathProblems):
    """Problems of combinatorics and probability with exact answers.

    Source: SymBench (CodeSteer-v1.0), ``math_counting_and_probability``: MATH, counting & probability.
    """

    name = "math_counting_and_probability"
    description = "Counting and probability problems with exact answers."
    subject = "counting_and_probability"
    templates = (
        (_codes, _officers, _multiples),
        (_committee, _one_ball, _handshakes),
        (_letters, _two_dice, _same_colour),
        (_paths, _at_least_one, _coins),
        (_neither, _shares, _apart, _hand),
    )
