import pytest
from r1ci_tasks_symbench.combinatorial_calculation import CombinatorialCalculation, published

from r1ci_plugins.rewards.verifier import ask_task

TASK = CombinatorialCalculation()


def question(numbers, target):
    return published({"question": None, "params": {"numbers": numbers, "target": target, "solution": ["1"]}})


@pytest.mark.parametrize(
    "answer", ["8/(3-8/3)", "8 ÷ (3 − 8 / 3)", "[8, /, (, 3, -, 8, /, 3, )]", '["8","/","(","3","-","8","/","3",")"]']
)
def test_fractions_on_the_way_are_exact(answer):
    assert TASK.check(question([8, 3, 8, 3], 24), answer)


@pytest.mark.parametrize(
    "answer",
    [
        "7+2*6-5",  # 14
        "7+6-5+2",  # another order
        "7-2+5",  # a number left out
        "7-2+5+0",
        "7-2+6-5+2+2",  # numbers too many
        "[7, +, 2, +, 6, -, 5, =, 10]",
        "72-62",  # joined digits
        "[7, -, 2, 6, +, 5]",
        "7-2+6-5/1",
        "(7+2+6-5",
        "2*5",
    ],
)
def test_breaking_one_rule_is_wrong(answer):
    assert ask_task(TASK, question([7, 2, 6, 5], 10), answer).value == 0.0
    assert ask_task(TASK, question([7, 2, 6, 5], 10), "7+2+6-5").value == 1.0


def test_a_sign_before_a_number_is_no_operator():
    q = question([1, 5, 6], 10)
    assert TASK.check(q, "(5 - 1 + 6)") is False
    assert not TASK.check(q, "-1 + 5 + 6")
    assert TASK.check(question([6, 5, 1], 10), "6 + 5 - 1")
    assert TASK.check(question([6, 5, 1], 10), "```text\n6 + 5 - 1\n```")
    assert not TASK.check(question([6, 5, 1], 10), "6 + 5 + -1")
    assert not TASK.check(question([6, 5, 1], 10), "+6 + 5 - 1")
