from __future__ import annotations

import asyncio
import random

import pytest

from r1ci_plugins.sandbox.contract import ExecutionStatus, Limits
from r1ci_plugins.synthesis import mutation

PROGRAM = """\
from math import gcd

names = ['é', '☃ snow', "b"]
numbers = [12, 18, 30]


def common(values):
    result = 0
    for value in values:
        result = gcd(result, value)
    return result


ordered = sorted(numbers)
steps = 0
for index in range(1, len(ordered) + 1):
    if ordered[index - 1] > 15:
        steps = steps + 1
print(f"{common(ordered)} {steps} {sorted(names)}")
"""
CRASHING = {"misspelt_name", "missing_import", "missing_colon", "missing_bracket", "missing_print"}
MISLEADING = {"short_range", "wrong_operator", "wrong_order", "wrong_comparison", "forgotten_offset"}


def mutants(find, code=PROGRAM, count=400):
    return {mutant.code: mutant for seed in range(count) if (mutant := find(code, random.Random(seed)))}.values()


def test_every_kind_of_slip_is_made():
    assert {mutant.kind for mutant in mutants(mutation.crashing)} == CRASHING
    assert {mutant.kind for mutant in mutants(mutation.misleading)} == MISLEADING


@pytest.mark.parametrize("find", [mutation.crashing, mutation.misleading])
def test_a_mutant_differs_in_its_slip_alone(find):
    lines = PROGRAM.splitlines()
    for mutant in mutants(find):
        changed = mutant.code.splitlines()
        kept = [line for line in changed if line in lines]
        assert len(kept) >= len(lines) - 2 and mutant.code != PROGRAM


def test_crashing_mutants_crash_or_say_nothing(sandbox):
    for mutant in mutants(mutation.crashing):
        result = asyncio.run(sandbox.run(mutant.code, Limits()))
        silent = result.status is ExecutionStatus.OK and not result.stdout
        assert silent == (mutant.kind == "missing_print"), mutant
        assert silent or result.status is ExecutionStatus.ERROR, mutant


def test_misleading_mutants_run_and_most_print_something_else(sandbox):
    right = asyncio.run(sandbox.run(PROGRAM, Limits())).stdout
    results = [asyncio.run(sandbox.run(mutant.code, Limits())) for mutant in mutants(mutation.misleading)]
    wrong = [result for result in results if result.status is ExecutionStatus.OK and result.stdout != right]
    assert len(wrong) > len(results) / 2


def test_a_slip_is_told_as_it_is():
    for mutant in mutants(mutation.crashing):
        if mutant.kind == "misspelt_name":
            right, wrong = mutant.slip.split("`")[1::2]
            assert wrong in mutant.code and PROGRAM.count(right) == mutant.code.count(right) + 1
        if mutant.kind == "missing_import":
            assert "from math import gcd" in mutant.slip and "import" not in mutant.code


ENDLESS = """\
def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def depth(n):
    return 0 if n < 1 else depth(n - 1) + 1


print(depth(7))
"""


def test_what_could_loop_for_ever_is_left_alone():
    assert not list(mutants(mutation.misleading, ENDLESS))


@pytest.mark.parametrize("code", ["", "x = (", "print(1)", "\x00", "pass"])
def test_code_without_a_place_for_it(code):
    assert mutation.misleading(code, random.Random(0)) is None
    mutation.crashing(code, random.Random(0))
