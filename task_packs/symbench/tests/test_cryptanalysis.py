import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r1ci_tasks_symbench.cryptanalysis import Cryptanalysis, published

TASK = Cryptanalysis()

TEXT = """\
1. Guess: 93KC, Feedback: one number is correct but in the wrong position; one number is incorrect and too large; \
one letter is correct and in the correct position; one letter is incorrect and too late in the alphabet.
2. Guess: 01AB, Feedback: both numbers are incorrect and too small; one letter is correct but in the wrong position; \
one letter is incorrect and too early in the alphabet."""


def question(text, answer):
    return published({"question": text, "solution": answer, "params": {"answer": answer}})


@pytest.mark.parametrize("answer", ['["3", "5", "B", "C"]', "['3','5','B','C']", "3, 5, B, C", "35BC", "[3 5 b c]"])
def test_the_password_is_read_in_any_form(answer):
    assert TASK.check(question(TEXT, ["3", "5", "B", "C"]), answer)


@pytest.mark.parametrize("answer", ["53BC", "35CB", "BC35", "35B", "35BCC", "36BC", "[3, 5]"])
def test_other_symbols_are_wrong(answer):
    assert not TASK.check(question(TEXT, ["3", "5", "B", "C"]), answer)


@pytest.mark.parametrize("answer", ["39BC", "15BC", "35KC", "53BC", "59BC"])
def test_a_reference_that_contradicts_the_feedback_is_wrong(answer):
    assert not TASK.check(question(TEXT, list(answer)), answer)


def test_a_text_without_guesses_is_refused():
    for text in (None, "Guess the password."):
        with pytest.raises(ValueError):
            question(text, ["3", "5", "B", "C"])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from(range(TASK.levels)))
def test_the_password_is_the_only_one_that_fits(seed, level):
    q = TASK.generate(random.Random(seed), level)
    assert 4 <= len(q.metadata["guesses"]) <= 18
    assert "".join(q.metadata["password"]) not in [guess for guess, *_ in q.metadata["guesses"]]
    assert TASK.solve(q) == q.answer
