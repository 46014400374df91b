"""Checks of answers, one function per kind of answer: ``(answer, reference, metadata) -> bool``.

They are ours, not the library's: several of its scorers evaluate the answer as code, hang, raise, or give full marks
to wrong text. What is common to all packs in reading answers is ``r1ci_plugins.tasks.answers``. A check may raise
ValueError or ArithmeticError on text it cannot read (the caller counts that as wrong) and runs in time bounded by the
length of the answer, which the caller limits.
"""

from __future__ import annotations

import csv
import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from r1ci_plugins.tasks import answers
from r1ci_plugins.tasks.answers import Unreadable, integer, items
from r1ci_plugins.tasks.expressions import evaluate
from r1ci_tasks_reasoning_gym.algebra import Polynomial, is_antiderivative

Metadata = Mapping[str, Any]
Check = Callable[[str, str, Metadata], bool]


def _value(text: str) -> Fraction:
    """A number. A quotient is refused: to a question about a division it would only repeat the question."""
    if "/" in text:
        raise Unreadable("a quotient, not a number")
    return answers.number(text)


def _grid(text: str) -> list[list[int]]:
    return [[integer(cell) for cell in row] for row in answers.rows(text)]


def _lists_of_words(text: str) -> list[list[str]]:
    lists = answers.structure(text)
    if not (isinstance(lists, list) and all(isinstance(inner, list) for inner in lists)):
        raise Unreadable("not a list of lists")
    if not all(isinstance(word, str) for inner in lists for word in inner):
        raise Unreadable("not a list of lists of strings")
    return lists


# --- answers that are compared -----------------------------------------------------------------------------------


def text(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same text up to white space."""
    return answer.split() == reference.split()


def word(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same text up to white space and case."""
    return answer.casefold().split() == reference.casefold().split()


def letters(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same letters up to case, even when they are spaced out."""
    return "".join(answer.casefold().split()) == reference.casefold()


def lines(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same lines up to white space within them."""
    return [_packed(line) for line in answer.split("\n")] == [_packed(line) for line in reference.split("\n")]


def _packed(line: str) -> str:
    return "".join(line.split())


def number(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same number, exactly."""
    return _value(answer) == _value(reference)


def number_or_word(answer: str, reference: str, metadata: Metadata) -> bool:
    """A number where the reference is one, else a word."""
    return number(answer, reference, metadata) if reference.strip().isdigit() else word(answer, reference, metadata)


def close_number(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same number up to one part in a million, for references that were rounded on the way."""
    wanted = _value(reference)
    return abs(_value(answer) - wanted) <= abs(wanted) / 10**6


def three_figures(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same number to three significant figures; more figures are fine."""
    unit = Fraction(10) ** (Decimal(reference).adjusted() - 2)
    return abs(_value(answer) - _value(reference)) <= unit / 2


def solution_for_variable(answer: str, reference: str, metadata: Metadata) -> bool:
    """A number, or ``x = number``."""
    return number(re.sub(rf"\s*{re.escape(metadata['variable'])}\s*=", "", answer, count=1), reference, metadata)


def chosen_number(answer: str, reference: str, metadata: Metadata) -> bool:
    """The candidate nearest to the answer is the solution; the format does not matter."""
    value = _value(answer)
    nearest = min(abs(value - Fraction(candidate)) for candidate in metadata["candidates"])
    return abs(value - Fraction(metadata["solution"])) == nearest < Fraction(1, 10**4)


def numbers(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same numbers in the same order."""
    return answers.numbers(answer) == answers.numbers(reference)


def words(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same words in the same order."""
    return items(answer) == items(reference)


def matrix(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same rows of whole numbers."""
    return _grid(answer) == _grid(reference)


def sequence(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same whole numbers in the same order, however broken into lines."""
    return sum(_grid(answer), []) == sum(_grid(reference), [])


def hexadecimal(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same hexadecimal number, with its 0x."""
    wanted, found = (re.fullmatch(r"([+-]?)0x0*([0-9a-f]+)", t.strip().lower(), re.ASCII) for t in (reference, answer))
    return wanted is not None and found is not None and (wanted[1] == "-", wanted[2]) == (found[1] == "-", found[2])


def fraction(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same fraction in the same lowest terms, plain or in LaTeX."""
    return _fraction(answer) == _fraction(reference)


def _fraction(text: str) -> tuple[int, int]:
    text = text.strip().strip("$").strip()
    match = re.fullmatch(r"(\d+)\s*/\s*(\d+)|\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}", text, re.ASCII)
    if not match:
        raise Unreadable("not a fraction")
    return integer(match[1] or match[3]), integer(match[2] or match[4])


def complex_number(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same complex number, exactly."""
    return _complex(answer) == _complex(reference)


def _complex(text: str) -> tuple[Fraction, Fraction]:
    text = _packed(text).lower().replace("j", "i")
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    match = re.fullmatch(r"([+-]?[\d.]+(?![\d.]*i))?(?:([+-]?)([\d.]*)\*?i)?", text, re.ASCII)
    if not match or not text or (match[1] and match[3] is not None and not match[2]):
        raise Unreadable("not a complex number")
    imaginary = Fraction(0) if match[3] is None else _value(match[3] or "1")
    return _value(match[1] or "0"), -imaginary if match[2] == "-" else imaginary


def duration(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same span of time: ``D days``, ``HH:MM[:SS[.mmm]]`` or ``D days, HH:MM[:SS]``."""
    return _milliseconds(answer) == _milliseconds(reference)


def _milliseconds(text: str) -> int:
    clock = r"(\d{1,4}):([0-5]\d)(?::([0-5]\d)(?:\.(\d{3}))?)?"
    match = re.fullmatch(rf"(?:(\d{{1,7}}) days?)?(?:(?:(?<=s)|(?<=y)|^),?\s*{clock})?", text.strip(), re.ASCII)
    if not match or not text.strip():
        raise Unreadable("not a span of time")
    days, hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + milliseconds


def geometry(answer: str, reference: str, metadata: Metadata) -> bool:
    """An angle (2 decimals or more), a radius or a point (3 decimals), against the exact values."""
    if metadata["task_type"] == "angle_measure":
        answer = re.sub(r"(?:°|\s*degrees)$", "", answer.strip())
        wanted, found, margin = [metadata["angle_ABC_degrees"]], [answer], Fraction(1, 200)
    elif metadata["task_type"] == "orthocenter":
        wanted, found, margin = metadata["orthocenter_approx"], items(answer), Fraction(1, 2000)
    else:
        wanted, found, margin = [metadata["incircle_radius_approx"]], [answer], Fraction(1, 2000)
    margin += Fraction(1, 10**9)  # the exact values are floats
    pairs = zip(wanted, found, strict=True)
    return all(abs(_value(f) - Fraction(w)) <= margin for w, f in pairs)


def roots(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same real numbers in any order, each to 4 decimals, rounded either way."""
    wanted, found = (sorted(_value(item) for item in items(t)) for t in (reference, answer))
    return len(wanted) == len(found) and all(
        abs(w - f) <= Fraction(11, 10**5) for w, f in zip(wanted, found, strict=True)
    )


def factors(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same factors in any order."""
    wanted, found = (sorted(integer(f.strip()) for f in re.split(r"[×x*·]", t)) for t in (reference, answer))
    return wanted == found


def groups(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same groups of words; the order of groups and of words within one is free."""
    wanted, found = (Counter(tuple(sorted(g)) for g in _lists_of_words(t)) for t in (reference, answer))
    return wanted == found


def partitions(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same set of sequences of words, each named once."""
    wanted, found = (Counter(tuple(p) for p in _lists_of_words(t)) for t in (reference, answer))
    return wanted == found


def roles(answer: str, reference: str, metadata: Metadata) -> bool:
    """Everybody's role, in any order, and nothing else."""
    return _roles(answer) == _roles(reference)


def _roles(text: str) -> dict[str, str]:
    claim = re.compile(r"\b(\w+) is an? (\w+)")
    claims = claim.findall(text.casefold())
    if not claims or re.sub(r"\band\b|[\s,;.]", "", claim.sub("", text.casefold())):
        raise Unreadable("not a list of roles")
    if len(dict(claims)) != len(claims):
        raise Unreadable("somebody is named twice")
    return dict(claims)


# --- algebra -----------------------------------------------------------------------------------------------------


def countdown(answer: str, reference: str, metadata: Metadata) -> bool:
    """An expression of each given number exactly once that equals the target exactly."""
    expression = answers.expression(answer)
    return Counter(expression.numbers()) == Counter(metadata["numbers"]) and expression.value() == metadata["target"]


def _polynomial(text: str, variables: str) -> Polynomial:
    names = set(re.findall(r"[A-Za-z]+", text)) & set(variables)
    return evaluate(text, Polynomial.constant, {name: Polynomial.variable(name) for name in names})


def expanded_polynomial(answer: str, reference: str, metadata: Metadata) -> bool:
    """The same polynomial, multiplied out: the product itself is not an answer."""
    if "(" in answer:
        return False
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return _polynomial(answer, letters) == _polynomial(reference, letters)


def polynomial_integral(answer: str, reference: str, metadata: Metadata) -> bool:
    """A polynomial whose derivative is the integrand, exactly; C is a constant."""
    variable = metadata["variable"]
    derivative = _polynomial(answer, variable + "Cc").derivative(variable)
    return derivative == _polynomial(metadata["integrand"], variable)


def integral(answer: str, reference: str, metadata: Metadata) -> bool:
    """An antiderivative of the integrand in elementary functions."""
    return is_antiderivative(answer, metadata["integrand"], metadata["variable"])


# --- questions with several right answers --------------------------------------------------------------------------


def cryptarithm(answer: str, reference: str, metadata: Metadata) -> bool:
    """A different digit for every letter, no leading zero, and the sum holds."""
    pairs = [re.fullmatch(r"([A-Z])\s*=\s*([0-9])", item) for item in items(answer)]
    digits = {pair[1]: pair[2] for pair in pairs if pair}
    addends, total = metadata["words_letters"], metadata["result_letters"]
    if not all(pairs) or len(digits) != len(pairs) or set(digits) != set("".join([*addends, total])):
        return False
    leading_zero = any(digits[w[0]] == "0" for w in [*addends, total]) and not metadata["allow_leading_zero"]
    if leading_zero or len(set(digits.values())) != len(digits):
        return False
    return sum(int("".join(digits[c] for c in w)) for w in addends) == int("".join(digits[c] for c in total))


def jugs(answer: str, reference: str, metadata: Metadata) -> bool:
    """Moves that leave some jug with the target amount."""
    capacity, target = metadata["puzzle"]["jug_capacities"], metadata["puzzle"]["target"]
    names = [chr(ord("A") + i) for i in range(len(capacity))]
    level = [0] * len(capacity)
    for move in items(answer):
        match = re.fullmatch(r"(fill|empty) ([A-Z])|pour ([A-Z])->([A-Z])", move)
        if not match:
            return False
        if match[1]:
            jug = names.index(match[2])
            level[jug] = capacity[jug] if match[1] == "fill" else 0
        else:
            source, target_jug = names.index(match[3]), names.index(match[4])
            amount = min(level[source], capacity[target_jug] - level[target_jug])
            level[source] -= amount
            level[target_jug] += amount
    return target in level


def palindrome(answer: str, reference: str, metadata: Metadata) -> bool:
    """A palindrome of exactly the given letters."""
    answer = answer.strip().lower()
    return answer == answer[::-1] and sorted(answer) == sorted(metadata["letters"])


def latin_square(answer: str, reference: str, metadata: Metadata) -> bool:
    """Each number once in every row and column, the clues kept, every inequality or 2x2 box satisfied."""
    clues = metadata["puzzle"]
    # The signs between cells are part of the puzzle's drawing; a line of nothing but signs is not a row.
    grid = _grid("\n".join(filter(str.strip, re.sub(r"[<>^v∧∨|]", " ", answer).splitlines())))
    every = list(range(1, len(clues) + 1))
    if len(grid) != len(clues):
        return False
    if any(sorted(line) != every for line in [*grid, *zip(*grid, strict=False)]):
        return False
    if any(c not in (0, g) for clue, row in zip(clues, grid, strict=True) for c, g in zip(clue, row, strict=True)):
        return False
    if "constraints" not in metadata:
        boxes = [[grid[r + i][c + j] for i in (0, 1) for j in (0, 1)] for r in (0, 2) for c in (0, 2)]
        return all(sorted(box) == every for box in boxes)
    return all((grid[r1][c1] < grid[r2][c2]) == (sign == "<") for r1, c1, r2, c2, sign in metadata["constraints"])


def quantum_lock(answer: str, reference: str, metadata: Metadata) -> bool:
    """Presses that reach the target and are no more than the shortest sequence's.

    The question leaves open whether pressing an inactive button switches the light; either reading is accepted.
    """
    presses = [press for press in re.split(r"\s*(?:→|->|,|\s)\s*", answer.strip().upper()) if press]
    buttons = {button["name"]: button for button in metadata["buttons"]}
    if not presses or len(presses) > len(reference.split("→")) or not set(presses) <= set(buttons):
        return False
    return any(_unlocks(presses, buttons, metadata, switches) for switches in (False, True))


def _unlocks(presses: list[str], buttons: Metadata, metadata: Metadata, inactive_switches: bool) -> bool:
    value, light = metadata["initial_value"], metadata["initial_state"]
    for press in presses:
        button = buttons[press]
        active = button["active_state"] in (light, "any")
        if active:
            kind, operand = button["type"], button["value"]
            value = {"add": value + operand, "subtract": value - operand, "multiply": value * operand}[kind]
        if active or inactive_switches:
            light = "green" if light == "red" else "red"
    return value == metadata["target_value"]


_STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def shortest_path(answer: str, reference: str, metadata: Metadata) -> bool:
    """A walk from * to # through open cells, as short as the shortest; or ``infeasible``."""
    steps = answer.casefold().replace(",", " ").split()
    if reference == "infeasible" or steps == ["infeasible"]:
        return steps == [reference]
    grid = {(r, c): cell for r, line in enumerate(metadata["matrix"]) for c, cell in enumerate(line)}
    r, c = next(place for place, cell in grid.items() if cell == "*")
    for step in steps:
        if step not in _STEPS:
            return False
        r, c = r + _STEPS[step][0], c + _STEPS[step][1]
        if grid.get((r, c), "X") == "X":
            return False
    return grid[r, c] == "#" and len(steps) <= len(reference.split())


def sokoban(answer: str, reference: str, metadata: Metadata) -> bool:
    """Moves after which every box is on a goal; a blocked move does nothing."""
    rows = metadata["gamestr"].replace(" ", "").strip().split("\n")
    cells = {(r, c): cell for r, row in enumerate(rows) for c, cell in enumerate(row)}
    boxes = {place for place, cell in cells.items() if cell in "@$"}
    goals = {place for place, cell in cells.items() if cell in "X$%"}
    player = next(place for place, cell in cells.items() if cell in "*%")
    step = {name[0].upper(): by for name, by in _STEPS.items()}
    for move in _packed(answer):
        if move not in step:
            return False
        ahead, beyond = ((player[0] + n * step[move][0], player[1] + n * step[move][1]) for n in (1, 2))
        if cells.get(ahead, "+") == "+" or (ahead in boxes and (cells.get(beyond, "+") == "+" or beyond in boxes)):
            continue
        if ahead in boxes:
            boxes = boxes - {ahead} | {beyond}
        player = ahead
    return boxes <= goals


def tower_of_hanoi(answer: str, reference: str, metadata: Metadata) -> bool:
    """Legal moves that bring every disk to the target peg, no more of them than the reference has."""
    moves = [line.strip() for line in answer.strip().splitlines() if line.strip()]
    if len(moves) > metadata["solution_length"]:
        return False
    pegs: dict[int, list[int]] = {peg: [] for peg in range(1, metadata["num_pegs"] + 1)}
    pegs[metadata["start_peg"]] = list(range(metadata["num_disks"], 0, -1))
    for move in moves:
        match = re.fullmatch(r"move disk (\d{1,3}) from peg (\d{1,3}) to peg (\d{1,3})\.?", move.lower(), re.ASCII)
        if not match:
            return False
        disk, source, target = (int(part) for part in match.groups())
        if source not in pegs or target not in pegs or pegs[source][-1:] != [disk]:
            return False
        pegs[source].pop()
        if pegs[target] and pegs[target][-1] < disk:
            return False
        pegs[target].append(disk)
    return len(pegs[metadata["target_peg"]]) == metadata["num_disks"]


def go_capture(answer: str, reference: str, metadata: Metadata) -> bool:
    """A legal move of Black's that captures the most white stones, at least one."""
    board = metadata["board"]
    stones = {(r, c): stone for r, line in enumerate(board) for c, stone in enumerate(line)}
    match = re.fullmatch(r"([A-Z])(\d{1,2})", answer.strip().upper(), re.ASCII)
    place = (len(board) - int(match[2]), ord(match[1]) - ord("A")) if match else (-1, -1)
    return 0 < _captured(place, stones) == max(_captured(other, stones) for other in stones)


def _captured(place: tuple[int, int], stones: Mapping[tuple[int, int], str]) -> int:
    """White stones that Black takes by playing at a place; 0 if it is not empty."""
    if stones.get(place) != ".":
        return 0
    taken: set[tuple[int, int]] = set()
    for neighbour in _neighbours(place):
        if stones.get(neighbour) == "O" and neighbour not in taken:
            group, liberties = _group(neighbour, stones)
            taken |= group if liberties == 1 else set()
    return len(taken)


def _neighbours(place: tuple[int, int]) -> list[tuple[int, int]]:
    return [(place[0] + dr, place[1] + dc) for dr, dc in _STEPS.values()]


def _group(place: tuple[int, int], stones: Mapping[tuple[int, int], str]) -> tuple[set[tuple[int, int]], int]:
    """The connected stones of one colour around a place, and the number of their liberties."""
    group, queue = {place}, [place]
    liberties: set[tuple[int, int]] = set()
    while queue:
        for neighbour in _neighbours(queue.pop()):
            if stones.get(neighbour) == ".":
                liberties.add(neighbour)
            elif stones.get(neighbour) == stones[place] and neighbour not in group:
                group.add(neighbour)
                queue.append(neighbour)
    return group, len(liberties)


def word_ladder(answer: str, reference: str, metadata: Metadata) -> bool:
    """Words from start to end that each differ from the one before in one letter, all in the library's list."""
    ladder = [item.upper() for item in items(answer)]
    if len(ladder) < 2 or (ladder[0], ladder[-1]) != (metadata["start_word"], metadata["end_word"]):
        return False
    if not set(ladder) <= _vocabulary() or any(len(rung) != len(ladder[0]) for rung in ladder):
        return False
    steps = zip(ladder, ladder[1:], strict=False)
    return all(sum(a != b for a, b in zip(one, two, strict=True)) == 1 for one, two in steps)


@cache
def _vocabulary() -> frozenset[str]:
    """Words of 3 to 5 letters, read from the library's file without importing the library, which is slow."""
    spec = importlib.util.find_spec("reasoning_gym")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("reasoning_gym is not installed")
    with (Path(spec.origin).parent / "data" / "words.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(cell.upper() for row in csv.DictReader(file) for cell in row.values() if cell)
