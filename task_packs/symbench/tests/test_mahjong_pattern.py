from itertools import combinations
from string import ascii_uppercase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r1ci_tasks_symbench.mahjong_pattern import MahjongPattern, published

TASK = MahjongPattern()


def question(hand, moves, text=None):
    rounds = [{"add": draw, "remove": discard} for draw, discard in moves]
    return published({"question": text, "params": {"initial_cards": hand, "rounds": rounds, "solution": 0}})


@pytest.mark.parametrize(
    ("hand", "draw", "verdict"),
    [
        ("AABBDFHJLNPRT", "C", "2"),  # Chi although each letter is there twice
        ("BBDDFHJLNPRTV", "C", "2"),
        ("CCBDFHJLNPRTV", "C", "1"),  # Peng comes before Chi
        ("CBEFHJLNPRTVX", "C", "0"),  # one equal card is not enough
        ("YZCFHJLNPRTVX", "A", "0"),  # the alphabet does not wrap around
        ("YBCFHJLNPRTVX", "A", "2"),
        ("XYCFHJLNPRTVA", "Z", "2"),
        ("BBBFHJLNPRTVX", "A", "0"),
    ],
)
def test_the_last_draw_is_judged_by_the_rules(hand, draw, verdict):
    q = question(hand, [(draw, draw)])
    assert [answer for answer in "012" if TASK.check(q, answer)] == [verdict]


def test_draws_stay_and_discards_go():
    hand = "ACEGIKMOQSUWY"
    assert TASK.check(question(hand, [("A", "C"), ("A", "A")]), "1")
    assert TASK.check(question(hand, [("A", "A"), ("A", "A")]), "0")
    assert TASK.check(question(hand, [("B", "A"), ("D", "D")]), "2")
    assert TASK.check(question(hand, [("B", "C"), ("D", "D")]), "0")
    assert TASK.check(question("AABEGIKMOQSUW", [("Y", "A"), ("C", "C")]), "2")  # one of two is discarded


def test_a_text_without_chi_has_none():
    text = "1 is Peng, 0 is Pass."
    assert TASK.check(question("AABBDFHJLNPRT", [("C", "C")], text), "0")
    assert TASK.check(question("AABBDFHJLNPRT", [("A", "A")], text), "1")


@settings(deadline=None)
@given(st.text(ascii_uppercase, min_size=13, max_size=13), st.sampled_from(ascii_uppercase))
def test_one_verdict_is_right_and_it_is_that_of_trying_all_pairs(hand, draw):
    pairs = ["".join(sorted(pair + (draw,))) for pair in combinations(hand, 2)]
    verdict = 1 if 3 * draw in pairs else 2 if any(pair in ascii_uppercase for pair in pairs) else 0
    q = question(hand, [(draw, draw)])
    assert [answer for answer in range(3) if TASK.check(q, str(answer))] == [verdict]
