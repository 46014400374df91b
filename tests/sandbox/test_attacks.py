"""Every attack of r1ci_plugins/sandbox/checks/attacks against every backend, as the user who runs the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from r1ci_plugins.sandbox.checks.attacks import ATTACKS
from r1ci_plugins.sandbox.checks.attacks.attack import Attack
from r1ci_plugins.sandbox.checks.bench import Verdict

from .conftest import BACKENDS, Bench, backend_parameters, opened


@pytest.fixture(scope="module", params=backend_parameters())
def target(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """One slot, so that the program after an attack runs where it ran."""
    with opened(BACKENDS[request.param](concurrency=1), BACKENDS[request.param]) as bench:
        yield bench


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(target, attack):
    outcome = target.examine(attack)
    if outcome.verdict is Verdict.SKIPPED:
        assert target.sandbox.isolation == "rlimits", "only rlimits leaves something out"
        pytest.skip(outcome.saw)
    assert outcome.verdict is Verdict.HELD, outcome.saw


@pytest.mark.parametrize(
    ("code", "look", "control", "saw"),
    [
        ("print('REACHED')", "", False, "REACHED"),
        ("print('nothing tried')", "", False, "nothing tried"),
        ("print('held')", "print('REACHED')", False, "the next program"),
        ("print('held')", "print('held')", True, "its control does not reach it"),
    ],
)
def test_an_attack_that_reaches_something_or_cannot_see_it_is_told(target, code, look, control, saw):
    outcome = target.examine(Attack("a", "An attack.", code, "nobody", look=look, control=control))
    assert outcome.verdict is Verdict.BROKEN and saw in outcome.saw


def test_names_of_attacks_are_unique():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) > 80
