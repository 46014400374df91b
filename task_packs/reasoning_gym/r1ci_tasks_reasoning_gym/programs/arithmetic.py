"""Programs that calculate with numbers."""

from __future__ import annotations

import re
from string import ascii_lowercase

from r1ci_tasks_reasoning_gym.programs.template import Codes, Programs, filled, found


def _variables(formula: str) -> str:
    """The formula after a name for each of its numbers."""
    lines: list[str] = []

    def name(match: re.Match[str]) -> str:
        names = [*ascii_lowercase, *(f"x{i}" for i in range(len(formula)))]
        lines.append(f"{names[len(lines)]} = {match[0]}")
        return names[len(lines) - 1]

    # A sign with a space behind it is an operator.
    result = re.sub(r"(?:(?<=\s)|(?<=^))-?\d[\d.]*|\d[\d.]*", name, formula)
    return "\n".join([*lines, f"print({result})"])


def _steps(formula: str) -> str:
    """One line for each pair of brackets, innermost first."""
    lines: list[str] = []

    def name(match: re.Match[str]) -> str:
        lines.append(f"v{len(lines) + 1} = {match[1]}")
        return f"v{len(lines)}"

    while "(" in formula:
        formula = re.sub(r"\(([^()]*)\)", name, formula)
    return "\n".join([*lines, f"print(hex({formula}))"])


def _basic_arithmetic(text: str) -> Codes:
    # All quotients are exact: the pack asks nothing else.
    formula = found(r"Calculate (.+)\.$", text)[1].replace("/", "//")
    return filled({"direct": "print(FORMULA)", "variables": _variables(formula)}, formula=formula)


def _chain_sum(text: str) -> Codes:
    formula = found(r"problem: (.+) =", text)[1]
    terms = formula.replace("- ", "-").replace("+ ", "").split()
    return filled(
        {
            "direct": "print(FORMULA)",
            "variables": _variables(formula),
            "library": "print(sum([TERMS]))",
        },
        formula=formula,
        terms=", ".join(terms),
    )


def _decimal_chain_sum(text: str) -> Codes:
    formula = found(r"problem: (.+) =", text)[1]
    terms = formula.replace("- ", "-").replace("+ ", "").split()
    digits = max(len(term.partition(".")[2]) for term in terms)
    templates = {
        "exact": "from decimal import Decimal as D\nprint(DECIMALS)",
        "library": "from decimal import Decimal\nprint(sum(map(Decimal, [TERMS])))",
    }
    if digits + max(len(term.partition(".")[0]) for term in terms) <= 12:
        # A float holds 15 digits.
        templates["rounding"] = "print(round(FORMULA, DIGITS))"
    return filled(
        templates,
        formula=formula,
        decimals=re.sub(r"\d[\d.]*", r'D("\g<0>")', formula),
        terms=", ".join(f'"{term}"' for term in terms),
        digits=digits,
    )


def _decimal_arithmetic(text: str) -> Codes:
    digits = found(r"maximum of (\d+) significant", text)[1]
    formula = found(r"^(.+) = \?", text)[1]
    return filled(
        {
            "exact": """
                from decimal import ROUND_HALF_UP, Decimal as D, getcontext
                getcontext().prec = DIGITS
                getcontext().rounding = ROUND_HALF_UP
                print(DECIMALS)
            """,
            "direct": 'print(f"{FORMULA:.DIGITSg}")',
        },
        digits=digits,
        formula=formula,
        decimals=re.sub(r"\d[\d.]*", r'D("\g<0>")', formula),
    )


def _products(text: str) -> Codes:
    formula = found(r"multiplication: ([-\d* ]*\d)", text)[1]
    return filled(
        {
            "direct": "print(FORMULA)",
            "variables": _variables(formula),
            "library": "import math\nprint(math.prod([FACTORS]))",
        },
        formula=formula,
        factors=formula.replace(" * ", ", "),
    )


def _bitwise_arithmetic(text: str) -> Codes:
    formula = found(r"^\(.+\)$", text)[0][1:-1]
    return filled(
        {"direct": "print(hex(FORMULA))", "steps": _steps(formula), "format": 'print(f"{FORMULA:#x}")'},
        formula=formula,
    )


def _complex_arithmetic(text: str) -> Codes:
    left, operator, right = found(r"\(([^()]+)\) ([-+×÷]) \(([^()]+)\)", text).groups()
    left, right = left.replace("i", "j"), right.replace("i", "j")
    values = [complex(side.replace(" ", "")) for side in (left, right)]
    if operator == "×" and abs(values[0] * values[1]) > 2**53:
        raise ValueError("the library's floats do not hold the product")
    parts = {
        "+": ("a + c", "b + d"),
        "-": ("a - c", "b - d"),
        "×": ("a * c - b * d", "a * d + b * c"),
        "÷": ("(a * c + b * d) // (c * c + d * d)", "(b * c - a * d) // (c * c + d * d)"),
    }
    return filled(
        {
            "direct": """
                z = (LEFT) OPERATOR (RIGHT)
                print(f"{z.real:.1f} {z.imag:+.1f}i")
            """,
            "parts": """
                a, b, c, d = NUMBERS
                real = REAL
                imaginary = IMAGINARY
                print(f"{real} {imaginary:+}i")
            """,
        },
        left=left,
        right=right,
        numbers=", ".join(f"{part:.0f}" for value in values for part in (value.real, value.imag)),
        operator={"×": "*", "÷": "/"}.get(operator, operator),
        real=parts[operator][0],
        imaginary=parts[operator][1],
    )


def _power_function(text: str) -> Codes:
    base, exponent = found(r"Compute (\S+)\^(-?\d+)\.", text).groups()
    return filled(
        {
            "direct": 'print(f"{(BASE) ** EXPONENT:.2e}")',
            "library": 'print(format(pow(BASE, EXPONENT), ".2e"))',
            "loop": """
                result = 1
                for _ in range(COUNT):
                    result OPERATOR BASE
                print(f"{result:.2e}")
            """,
        },
        base=base,
        exponent=exponent,
        count=exponent.lstrip("-"),
        operator="/=" if exponent.startswith("-") else "*=",
    )


def _fraction_simplification(text: str) -> Codes:
    a, b = re.findall(r"\d+", text)
    return filled(
        {
            "library": 'from fractions import Fraction\nprint(*Fraction(TOP, BOTTOM).as_integer_ratio(), sep="/")',
            "divisor": """
                import math
                g = math.gcd(TOP, BOTTOM)
                print(f"{TOP // g}/{BOTTOM // g}")
            """,
            "loop": """
                a, b = TOP, BOTTOM
                while b:
                    a, b = b, a % b
                print(f"{TOP // a}/{BOTTOM // a}")
            """,
        },
        top=a,
        bottom=b,
    )


def _simple_equations(text: str) -> Codes:
    name, left, right = found(r" (\w)(?: in the equation| that satisfies)?: (.+) = (-?\d+)", text).groups()
    return filled(
        {
            # A linear function is known from two of its values.
            "function": """
                def f(NAME):
                    return LEFT - RIGHT
                print(f(0) // (f(0) - f(1)))
            """,
            "substitution": """
                NAME = 0
                start = LEFT
                NAME = 1
                step = LEFT - start
                print((RIGHT - start) // step)
            """,
        },
        name=name,
        left=left,
        right=f"({right})" if right.startswith("-") else right,
    )


def _simple_geometry(text: str) -> Codes:
    sides = found(r"(\d+)(?:-gon| sides)", text)[1]
    angles = ", ".join(re.findall(r"([\d.]+)°", text)).replace(".0", "")
    return filled(
        {
            "direct": "print((SIDES - 2) * 180 - sum([ANGLES]))",
            "loop": """
                angle = (SIDES - 2) * 180
                for known in [ANGLES]:
                    angle -= known
                print(angle)
            """,
        },
        sides=sides,
        angles=angles,
    )


_LEGS = {
    0: "snake, sea slug, jellyfish, flatworm, leech",
    2: "chicken, bird, human, duck",
    4: "dog, cat, cow, horse, lion, elephant, giraffe, tiger, deer, sheep",
    5: "starfish",
    6: "insect, ant, butterfly, beetle, bee, wasp, grasshopper, cricket, cockroach, praying mantis, firefly",
    8: "spider, scorpion",
    10: "crab, lobster, shrimp",
    14: "woodlouse",
}
"""What the question takes for granted."""


def _leg_counting(text: str) -> Codes:
    legs = {animal: number for number, animals in _LEGS.items() for animal in animals.split(", ")}
    named = re.findall(r"(\d+) ([a-z ]+)[,?]", text)
    counts = [(count, name if name in legs else name.removesuffix("s")) for count, name in named]
    if not counts or not all(animal in legs for _, animal in counts):
        raise ValueError("no animal, or an animal with an unknown number of legs")
    return filled(
        {
            "direct": "print(TERMS)",
            "dictionary": """
                counts = {COUNTS}
                legs = {LEGS}
                print(sum(counts[a] * legs[a] for a in counts))
            """,
        },
        terms=" + ".join(f"{count} * {legs[animal]}" for count, animal in counts),
        counts=", ".join(f'"{animal}": {count}' for count, animal in counts),
        legs=", ".join(f'"{animal}": {legs[animal]}' for _, animal in counts),
    )


def _dice(text: str) -> Codes:
    return filled(
        {
            "dynamic_programming": """
                from fractions import Fraction
                ways = {0: 1}
                for sides in [SIDES]:
                    rolled = {}
                    for total, n in ways.items():
                        for roll in range(1, sides + 1):
                            rolled[total + roll] = rolled.get(total + roll, 0) + n
                    ways = rolled
                good = sum(n for total, n in ways.items() if total >= GOAL)
                print(*Fraction(good, sum(ways.values())).as_integer_ratio(), sep="/")
            """,
            "recursive": """
                from fractions import Fraction
                from functools import cache
                dice = [SIDES]
                @cache
                def chance(i, need):
                    if i == len(dice):
                        return Fraction(need <= 0)
                    return sum(chance(i + 1, need - roll) for roll in range(1, dice[i] + 1)) / dice[i]
                print(*chance(0, GOAL).as_integer_ratio(), sep="/")
            """,
        },
        sides=", ".join(re.findall(r"\b1d(\d+)", text.partition("What")[0])),
        goal=found(r"rolling (\d+) or higher", text)[1],
    )


PROGRAMS: Programs = {
    "basic_arithmetic": _basic_arithmetic,
    "bitwise_arithmetic": _bitwise_arithmetic,
    "chain_sum": _chain_sum,
    "complex_arithmetic": _complex_arithmetic,
    "decimal_arithmetic": _decimal_arithmetic,
    "decimal_chain_sum": _decimal_chain_sum,
    "dice": _dice,
    "fraction_simplification": _fraction_simplification,
    "leg_counting": _leg_counting,
    "power_function": _power_function,
    "products": _products,
    "simple_equations": _simple_equations,
    "simple_geometry": _simple_geometry,
}
