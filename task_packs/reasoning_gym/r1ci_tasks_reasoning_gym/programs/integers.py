"""Programs about whole numbers and lists of numbers."""

from __future__ import annotations

from r1ci_tasks_reasoning_gym.programs.template import Codes, Programs, filled, found, literal

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _gcd(text: str) -> Codes:
    numbers = found(r"numbers: ([\d, ]*\d)", text)[1]
    several = """
        a = 0
        for b in [NUMBERS]:
            while b:
                a, b = b, a % b
        print(a)
    """
    two = """
        a, b = NUMBERS
        while b:
            a, b = b, a % b
        print(a)
    """
    return filled(
        {
            "library": "import math\nprint(math.gcd(NUMBERS))",
            "loop": several if numbers.count(",") > 1 else two,
        },
        numbers=numbers,
    )


def _lcm(text: str) -> Codes:
    return filled(
        {
            "library": "import math\nprint(math.lcm(NUMBERS))",
            "multiples": """
                m = 1
                for n in [NUMBERS]:
                    step = m
                    while m % n:
                        m += step
                print(m)
            """,
        },
        numbers=found(r"numbers: ([\d, ]*\d)", text)[1],
    )


def _base_conversion(text: str) -> Codes:
    source, number, target = found(r"convert the (\S+) number (\w+) to (\S+)$", text).groups()
    bases = {"binary": 2, "hexadecimal": 16, "octal": 8, "decimal": 10}
    old, new = (bases.get(name) or int(name.removeprefix("base-")) for name in (source, target))
    templates = {
        "loop": """
            n = int("NUMBER", OLD)
            digits = ""
            while n:
                digits = "DIGITS"[n % NEW] + digits
                n //= NEW
            print(digits)
        """,
        "recursive": """
            def convert(n):
                return convert(n // NEW) + "DIGITS"[n % NEW] if n else ""
            print(convert(int("NUMBER", OLD)))
        """,
    }
    if code := {2: "b", 8: "o", 10: "d", 16: "x"}.get(new):
        templates["library"] = f'print(format(int("NUMBER", OLD), "{code}"))'
    return filled(templates, number=number, old=old, new=new, digits=_DIGITS[:new])


def _count_bits(text: str) -> Codes:
    return filled(
        {
            "direct": 'print(bin(NUMBER).count("1"))',
            "library": "print((NUMBER).bit_count())",
            "loop": """
                n, bits = NUMBER, 0
                while n:
                    bits += n % 2
                    n //= 2
                print(bits)
            """,
        },
        number=found(r"number (\d+)", text)[1],
    )


def _prime_factorization(text: str) -> Codes:
    return filled(
        {
            "loop": """
                n, d, factors = NUMBER, 2, []
                while n > 1:
                    if n % d == 0:
                        factors.append(d)
                        n //= d
                    else:
                        d += 1
                print(*factors, sep=" × ")
            """,
            "recursive": """
                def factors(n):
                    for d in range(2, n + 1):
                        if n % d == 0:
                            return [d] + factors(n // d)
                    return []
                print(*factors(NUMBER), sep=" × ")
            """,
        },
        number=found(r"factorization of (\d+)", text)[1],
    )


def _count_primes(text: str) -> Codes:
    low, high = found(r"between (\d+) and (\d+)", text).groups()
    return filled(
        {
            "brute_force": """
                def prime(n):
                    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))
                print(sum(prime(n) for n in range(LOW, HIGH + 1)))
            """,
            "sieve": """
                prime = [False, False] + [True] * (HIGH - 1)
                for n in range(2, int(HIGH**0.5) + 1):
                    if prime[n]:
                        for m in range(n * n, HIGH + 1, n):
                            prime[m] = False
                print(sum(prime[LOW:]))
            """,
        },
        low=low,
        high=high,
    )


def _number_sorting(text: str) -> Codes:
    order, numbers = found(r"in (ascending|descending) order: ([-\d., ]+)$", text).groups()
    reverse = "reverse=True" if order == "descending" else ""
    return filled(
        {
            "direct": "print(sorted([STRINGS], KEYS))",
            "variables": """
                numbers = [NUMBERS]
                numbers.sort(REVERSE)
                print([str(n) for n in numbers])
            """,
        },
        strings=", ".join(f"'{number}'" for number in numbers.split(", ")),
        numbers=numbers,
        keys=", ".join(filter(None, ("key=float", reverse))),
        reverse=reverse,
    )


def _number_filtering(text: str) -> Codes:
    verb, side, limit, numbers = found(
        r"(Keep|Remove) all numbers (larger|smaller) than (\S+) in this list: (\[.*\])$", text
    ).groups()
    operator = {
        ("Keep", "larger"): ">",
        ("Keep", "smaller"): "<",
        ("Remove", "larger"): "<=",
        ("Remove", "smaller"): ">=",
    }[verb, side]
    return filled(
        {
            "direct": "print([n for n in NUMBERS if float(n) OPERATOR LIMIT])",
            "loop": """
                kept = []
                for n in NUMBERS:
                    if float(n) OPERATOR LIMIT:
                        kept.append(n)
                print(kept)
            """,
            "library": "print(list(filter(lambda n: float(n) OPERATOR LIMIT, NUMBERS)))",
        },
        numbers=numbers,
        operator=operator,
        limit=limit,
    )


def _number_format(text: str) -> Codes:
    size, candidates = found(r"pick the (largest|smallest) number of the following candidates: (.+)$", text).groups()
    return filled(
        {
            "direct": """
                numbers = CANDIDATES.split()
                print(PICK(numbers, key=lambda n: float(n.replace(",", ""))))
            """,
            "loop": """
                values = []
                for n in CANDIDATES.split():
                    values.append(float(n.replace(",", "")))
                print(PICK(values))
            """,
        },
        candidates=literal(candidates.strip()),
        pick="max" if size == "largest" else "min",
    )


PROGRAMS: Programs = {
    "base_conversion": _base_conversion,
    "count_bits": _count_bits,
    "count_primes": _count_primes,
    "gcd": _gcd,
    "lcm": _lcm,
    "number_filtering": _number_filtering,
    "number_format": _number_format,
    "number_sorting": _number_sorting,
    "prime_factorization": _prime_factorization,
}
