"""Rules small enough to see: order of rules, rounds of exchanges, boards, windows, formats that upstream refuses."""

import random

import pytest
from r1ci_tasks_symbench import r1ci_task_packs
from r1ci_tasks_symbench.published import question_of

from r1ci_plugins import Question
from r1ci_plugins.rewards.verifier import ask_task

(PACK,) = r1ci_task_packs()


def judged(question: Question, answer: str) -> bool:
    question = Question.from_json(question.to_json())
    return ask_task(PACK[question.task.split("/")[1]], question, answer).correct


def rewriting(string: str, *rules: str) -> Question:
    params = {"initial_string": string, "selected_rules": rules}
    return question_of({"task": "string_deletion_and_modification", "params": params, "solution": "?"})


def test_the_first_rule_that_applies_goes_first() -> None:
    prefix, suffix = (
        "If the string starts with 'cc', remove the first two characters.",
        "the suffix is 'bb', delete the last two",
    )
    assert judged(rewriting("ccabb", prefix, suffix), "a")
    shorten = "If the string ends with 'ca', remove the last character."
    turn = "If the string contains 'bca', delete the first occurrence entirely."
    assert judged(rewriting("abca", shorten, turn), "abc")
    assert judged(rewriting("abca", turn, shorten), "a")
    assert not judged(rewriting("abca", turn, shorten), "abc")


def test_a_rule_applies_to_what_another_made() -> None:
    back, forth = "the string ends with 'ba', replace it with 'ab'", "the prefix is 'ab', replace it with 'ca'"
    assert judged(rewriting("ba", back, forth), "ca")
    even = "the string contains an even number of 'b's (and at least one 'b'), append 'ab' at the end"
    assert judged(rewriting("bb", even), "bbab")


@pytest.mark.parametrize(
    ("rules", "right", "wrong"),
    [
        (["One [A] and one [B] {} one {C}.", "Two [B] {} one {B}."], "0 1 0 0 0 1 0 0 0", "1 0 0 0 1 0 0 0 0"),
        (["Two [B] {} one {B}.", "One [A] and one [B] {} one {C}."], "1 0 0 0 1 0 0 0 0", "0 1 0 0 0 1 0 0 0"),
    ],
)
def test_blocks_combine_in_the_order_that_the_text_states(rules: list[str], right: str, wrong: str) -> None:
    text = "\n".join(f"{k}. {rule.replace('{}', 'can be combined to form')}" for k, rule in enumerate(rules, 1))
    params = {"A_count": 1, "B_count": 2, "C_count": 0}
    question = question_of({"task": "string_synthesis", "question": text, "params": params, "solution": []})
    assert judged(question, right)
    assert not judged(question, wrong)


def board(shown: list[str] | None, *moves: list[int]) -> Question:
    text = shown and "you play black chess.\n\n" + "\n".join(shown) + "\n\nPlay."
    return question_of(
        {"task": "reversi", "question": text, "params": {"board_size": 4, "moves": moves}, "solution": "?"}
    )


def test_reversi_is_played_from_the_board_that_is_shown() -> None:
    start = ["****", "*10*", "*01*", "****"]
    after = "*,*,*,*,*,1,0,*,*,0,0,*,*,*,0,*"
    for question in (board(None, [4, 3]), board(start, [4, 3])):
        assert judged(question, after)
        assert judged(question, "****\n*10*\n*00*\n**0*")
        assert not judged(question, after.replace("1", "0"))
    assert not judged(board(["****", "*10*", "*00*", "**0*"], [4, 3]), after)


@pytest.mark.parametrize("seed", range(20))
def test_our_reversi_shows_the_board_before_the_moves(seed: int) -> None:
    question = PACK["reversi"].generate(random.Random(seed), None)
    shown = "".join(question.metadata["board"])
    after = question.answer.replace(",", "")
    assert "\n".join(question.metadata["board"]) in question.text
    assert after.count("*") == shown.count("*") - len(question.metadata["moves"])


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("[1.25, 2.5, 3.75, 5]", True),
        ("1.3, 2.5, 3.8, 5", False),
        ("1.25, 2.50, 3.75, 5.00", True),
        ("[[1.25, 2.5], [3.75, 5.0]]", True),
        ("5/4, 5/2, 15/4, 5", True),
        ("1.25, 2.5, 3.75", False),
        ("1, 2, 3, 5", False),
    ],
)
def test_averages_pass(answer: str, right: bool) -> None:
    params = {"matrix": [[0, 1, 4], [1, 3, 2], [5, 6, 9]], "window_size": 2, "pooling_type": "average"}
    question = question_of({"task": "pooling", "params": params, "solution": [[1.25, 2.5], [3.75, 5.0]]})
    assert judged(question, answer) == right


def test_an_inserted_letter_makes_no_new_substring() -> None:
    text = " ".join(
        f"substring {s} in the string, insert the character {c}." for s, c in [("ABCD", "E"), ("BCDE", "B")]
    )
    params = {"original_string": "ABCDABCDE"}
    question = question_of(
        {"task": "string_insertion", "question": text, "params": params, "solution": "ABCDEABCDEEB"}
    )
    assert judged(question, "ABCDEABCDEEB")
    assert judged(question, "'abcdeabcdeeb'")
    assert not judged(question, "ABCDEBABCDEEB")
