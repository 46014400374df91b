"""The pack as its users meet it: questions from the entry point's tasks, answers to their checks."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from datetime import datetime
from fractions import Fraction
from importlib.metadata import entry_points

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from r1ci_tasks_reasoning_gym import r1ci_task_packs
from r1ci_tasks_reasoning_gym.catalog import DATASETS
from r1ci_tasks_reasoning_gym.generator import Generator, generator
from r1ci_tasks_reasoning_gym.worker import follows

from r1ci_plugins import Question, TaskPack
from r1ci_plugins.questions.splits import candidate
from r1ci_plugins.tasks.expressions import evaluate

NAMES = list(DATASETS)

EVERY_DATA_SET = pytest.mark.parametrize("name", NAMES)

JUNK = [
    *("", " ", "None", "null", "NaN", "Infinity", "1e999", "[1e400]", "9**9**9", "(9**999)**999", "-" * 4000),
    *("(" * 10_000, "[" * 10_000, "[[" * 1500 + "]]" * 1500, "(" * 1000 + "1" + ")" * 1000, "1" * 4500, "x**x**x**x"),
    *("a" * 4000, "9" * 1_000_000, "x+" * 2000, "١٢٣", "²", "½", "\x00", "\ud800", "{}", "[[[]]]", "1/0", "A=1,A=1"),
    *("__import__('os')._exit(3)", "(x+1)**200", "((1/3)**200)**200", "exp(exp(exp(100)))", "0x" + "f" * 4000, "C0"),
    *('["fill Z"]', "Move disk 1 from Peg 9 to Peg 9", "UDLR" * 1000, "is a knight", "→", "×", "$$", "''", ".", "..."),
]


@pytest.fixture(scope="module")
def pack() -> TaskPack:
    (entry,) = [e for e in entry_points(group="r1ci.task_packs") if e.name == "reasoning_gym"]
    (pack,) = entry.load().r1ci_task_packs()
    return pack


@pytest.fixture(scope="module")
def questions(pack: TaskPack) -> dict[str, list[Question]]:
    """Of each data set: four questions at the default and one at the easiest and the hardest level, out of JSON."""
    drawn = {}
    for task in pack.tasks:
        places: list[int | None] = [None] * 4 + [0, task.levels - 1]
        made = [candidate("reasoning_gym", task, "rl", i, 11, level) for i, level in enumerate(places)]
        drawn[task.name] = [Question.from_json(question.to_json()) for question in made]
    return drawn


def value(pack: TaskPack, question: Question, answer: str) -> float:
    score = pack[question.task.split("/")[1]].check(question, answer)
    assert score.value in (0.0, 1.0)
    return score.value


def test_the_pack_offers_84_described_tasks(pack):
    assert len(pack.tasks) == 84
    assert all(task.description.endswith(".") and task.levels >= 1 for task in pack.tasks)
    assert {task.capability for task in pack.tasks} == {"execution", "planning", "reasoning"}


def test_importing_the_pack_does_not_import_the_library():
    code = "import sys, r1ci_tasks_reasoning_gym as p; p.r1ci_task_packs(); sys.exit('reasoning_gym' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@EVERY_DATA_SET
def test_the_reference_is_correct_and_harmless_variation_is_too(pack, questions, name):
    for question in questions[name]:
        for answer in ("{}", "  {}\n", "`{}`", '"{}"', "{}."):
            assert value(pack, question, answer.format(question.answer)) == 1.0, (question.text, answer)


@EVERY_DATA_SET
def test_wrong_answers_get_nothing(pack, questions, name):
    one = questions[name][0]
    contained = [f"The answer is {one.answer}", f"{one.answer} or else", f"perhaps {one.answer} perhaps"]
    for answer in [one.text, one.text[-400:], *contained]:
        assert value(pack, one, answer) == 0.0, answer
    wanted = one.answer.casefold().split()
    for other in questions[name][1:]:
        if other.answer.casefold().split() != wanted and name not in ("jugs", "sokoban"):
            # Digits of a number with other decimals, or a move that is as good, do not occur among these.
            assert value(pack, one, other.answer) == 0.0, other.answer


def test_the_example_of_the_format_is_shown_and_never_right(pack, questions):
    shown = {name: drawn for name, drawn in questions.items() if DATASETS[name].example}
    assert len(shown) > 10
    for question in (question for drawn in shown.values() for question in drawn):
        assert question.example and question.example in question.text, question.text
        assert value(pack, question, question.example) == 0.0, question.text
    example = DATASETS["prime_factorization"].example
    for question in (candidate("p", pack["prime_factorization"], "rl", i, 1, 0) for i in range(300)):
        assert value(pack, question, example) == 0.0, question.text  # "for 12 the answer would be": 12 is not asked


def test_number_sequences_do_not_hang_and_are_the_librarys(pack):
    for level in (None, *range(4)):
        drawn = [candidate("p", pack["number_sequence"], "rl", i, 9, level) for i in range(500)]
        assert len({question.text for question in drawn}) > 200
    code = """
from reasoning_gym import create_dataset
from r1ci_tasks_reasoning_gym import worker
seeds = range(60)
plain = {s: create_dataset("number_sequence", seed=s, size=1, max_complexity=1)[0]["question"] for s in seeds}
worker.bound_number_sequences()
assert plain == {s: create_dataset("number_sequence", seed=s, size=1, max_complexity=1)[0]["question"] for s in seeds}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tower_of_hanoi_mixes_levels_and_asks_for_no_endless_answer(pack):
    drawn = [candidate("p", pack["tower_of_hanoi"], "rl", i, 1, None) for i in range(600)]
    assert len({question.text for question in drawn}) >= 200
    assert max(question.metadata["solution_length"] for question in drawn) <= 255


@EVERY_DATA_SET
@pytest.mark.timeout(60)
def test_junk_neither_raises_nor_scores(pack, questions, name):
    for question in questions[name][:2]:
        for junk in JUNK:
            if junk.split() != question.answer.split():
                assert value(pack, question, junk) == 0.0, junk[:50]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(NAMES), answer=st.text(max_size=200), cut=st.floats(0, 1))
def test_no_text_makes_a_check_raise(pack, questions, name, answer, cut):
    question = questions[name][0]
    assert value(pack, question, answer) in (0.0, 1.0)
    place = int(cut * len(question.answer))
    assert value(pack, question, question.answer[:place] + answer + question.answer[place:]) in (0.0, 1.0)


def test_questions_do_not_depend_on_the_hash_seed_or_on_what_was_asked_before(questions):
    code = """
import json, sys
from r1ci_plugins.questions.splits import candidate
from r1ci_tasks_reasoning_gym import r1ci_task_packs
(pack,) = r1ci_task_packs()
print(json.dumps({t.name: candidate("reasoning_gym", t, "rl", 1, 11, None).to_json() for t in reversed(pack.tasks)}))
"""
    for hash_seed in ("1", "4242"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(run.stdout) == {name: drawn[1].to_json() for name, drawn in questions.items()}


def test_reused_data_sets_give_what_fresh_ones_give():
    code = """
import random
from r1ci_tasks_reasoning_gym import worker
from r1ci_tasks_reasoning_gym.catalog import DATASETS
for name in sorted(worker.REUSED):
    for level in (None, DATASETS[name].levels[-1]):
        for seed in (5, 6, 5):
            assert worker.item(name, level, seed) == worker.item(name, level, seed, reuse=False), (name, level, seed)
"""
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": "0"}, check=True)


@pytest.mark.parametrize(
    ("premises", "conclusion", "traditional", "modern"),
    [
        (["All a are b", "All b are c"], "All a are c", True, True),
        (["All a are b", "All b are c"], "Some a are c", True, False),
        (["All a are b", "Some b are not c"], "Some a are not c", False, False),
        (["Some a are b", "No b are c"], "Some a are not c", True, True),
        (["No a are b", "No b are c"], "No a are c", False, False),
    ],
)
def test_syllogisms_are_judged_by_their_models(premises, conclusion, traditional, modern):
    assert follows(premises, conclusion, may_be_empty=False) is traditional
    assert follows(premises, conclusion, may_be_empty=True) is modern


def test_known_wrong_references_are_not_asked(pack):
    arithmetic = [candidate("p", pack["basic_arithmetic"], "rl", i, 1, 4) for i in range(200)]
    for question in arithmetic:
        expression = question.text.removeprefix("Calculate ").removesuffix(".")
        assert evaluate(expression, Fraction) == Fraction(question.answer), question.text
    for question in (candidate("p", pack["letter_counting"], "rl", i, 1, None) for i in range(100)):
        letter, text = re.findall(r'"([^"]*)"', question.text.replace("\n", " "))[:2]
        assert str(text.count(letter)) == str(text.lower().count(letter)) == question.answer, question.text
    for question in (candidate("p", pack["time_intervals"], "rl", i, 1, None) for i in range(200)):
        clocks = re.findall(r"\b\d\d:\d\d:\d\d\.\d{3}", question.text)
        if clocks:
            start, end = (datetime.strptime(clock, "%H:%M:%S.%f") for clock in clocks)
            assert question.answer == f"{datetime.min + (end - start):%H:%M:%S.%f}"[:-3], question.text
    for question in (candidate("p", pack["intermediate_integration"], "rl", i, 1, 5) for i in range(30)):
        assert "Integral" not in question.answer


def test_neighbouring_seeds_share_no_questions(pack):
    task = pack["chain_sum"]
    first, second = ({candidate("p", task, "rl", i, seed, 9).text for i in range(50)} for seed in (42, 43))
    assert not first & second


def test_the_offered_levels_exist_in_the_library():
    code = """
import json
from reasoning_gym.factory import create_curriculum, has_curriculum
from r1ci_tasks_reasoning_gym.catalog import DATASETS
for name, data_set in DATASETS.items():
    assert has_curriculum(name) == bool(data_set.levels), name
    if data_set.levels:
        known = max(len(a.levels) for a in create_curriculum(name).attributes.values())
        assert set(data_set.levels) <= set(range(known)), name
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dead_child_is_replaced(pack):
    before = candidate("p", pack["gcd"], "rl", 0, 1, None)
    generator()._worker._process.kill()
    generator()._worker._process.wait()
    assert candidate("p", pack["gcd"], "rl", 0, 1, None) == before


def test_a_forked_process_has_its_own_child(pack):
    candidate("p", pack["gcd"], "rl", 0, 1, None)
    parents = generator()
    child = os.fork()
    if child == 0:
        os._exit(0 if generator() is not parents else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_no_child_outlives_its_parent(tmp_path):
    code = """
import os, signal, sys
from r1ci_plugins.tasks.expressions import evaluate
from r1ci_tasks_reasoning_gym.generator import generator
generator().ask("gcd", None, 1, ())
print(generator()._worker._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL
    pid = int(run.stdout)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.1)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_data_set_that_the_library_lacks_is_a_readable_error():
    from r1ci_plugins.errors import TaskError

    asker = Generator()
    with pytest.raises(TaskError, match="no_such_data_set"):
        asker.ask("no_such_data_set", None, 1, ())
    asker.close()


# --- single checks: the library's faults that each must not have, and valid answers other than the reference ------


@pytest.mark.parametrize(
    ("name", "reference", "metadata", "right", "wrong"),
    [
        ("game_of_life_halting", "False", {}, ["false", "False."], ["True", "anything", "0"]),
        ("countdown", "1+3*4", {"numbers": [3, 1, 4], "target": 13}, ["4*3+1", "(3*4)+1"], ["13", "3*4+1+0", "1+12"]),
        ("countdown", "8/(3-8/3)", {"numbers": [8, 3, 8, 3], "target": 24}, ["8/(3 - 8/3)"], ["8*3", "8/3-8/3"]),
        ("polynomial_multiplication", "x**2 - 1", {}, ["-1+x^2", "x*x - 1"], ["(x+1)*(x-1)", "x**2", "y**2 - 1"]),
        (
            "simple_integration",
            "x**2 + C",
            {"integrand": "2*x", "variable": "x"},
            ["x**2", "x*x + 3 + C", "(2*x**2)/2"],
            ["Integral(2*x, x)", "x**2 + x*C", "2*x", "X**2"],
        ),
        (
            "intermediate_integration",
            "sin(x)**2/2 + C",
            {"integrand": "sin(x)*cos(x)", "variable": "x"},
            ["-cos(x)**2/2 + C", "-cos(2*x)/4"],
            ["Integral(sin(x)*cos(x), x)", "sin(x)**2", "sin(x)**2/2 + C*x"],
        ),
        ("number_sorting", "['1.5', '20.0']", {}, ["[1.5, 20]", "1.5, 20.0"], ["['1.0', '20.0']", "['20.0', '1.5']"]),
        ("number_filtering", "[]", {}, ["[ ]"], ["0", "['']x"]),
        ("power_function", "8.05544726166417e-06", {}, ["8.06e-6", "8.055e-06"], ["8.05e-6", "8.06e-5", "8.1e-6"]),
        ("prime_factorization", "3 × 3 × 37", {}, ["37×3×3", "3 x 3 x 37"], ["9 × 37", "333", "1 × 3 × 3 × 37"]),
        ("fraction_simplification", "$\\dfrac{332}{971}$", {}, ["332/971", "\\frac{332}{971}"], ["664/1942", "332"]),
        ("time_intervals", "58 days, 08:00", {}, ["58 days, 8:00"], ["58 days", "08:00", "58 days, 08:01"]),
        ("time_intervals", "01:45:29.840", {}, ["1:45:29.840"], ["01:45:29", "01:45:29.839", "01:45:29.84"]),
        ("complex_arithmetic", "4.0 - 7.0i", {}, ["4-7i", "(4 - 7i)", "4.0-7j"], ["4+7i", "-7i", "4", "11i"]),
        ("complex_arithmetic", "0.0 + 1.0i", {}, ["i", "1i", "0+i"], ["-i", "1", "0"]),
        ("bitwise_arithmetic", "-0x3", {}, ["-0X03"], ["-3", "0x3", "3"]),
        ("base_conversion", "1e3", {}, ["1E3"], ["1000", "1000.0"]),
        ("word_sorting", "B, a", {}, ["[B, a]", "B,a", "'B', 'a'", "B a"], ["a, B", "b, a", "B, a, a"]),
        (
            "knights_knaves",
            "Zoe is a knave, and Al is a knight.",
            {},
            ["Al is a knight and Zoe is a knave"],
            [
                "Zoe is a knave",
                "Zoe is a knight, and Al is a knight.",
                "Zoe is a knave, Zoe is a knight, Al is a knight",
            ],
        ),
        (
            "polynomial_equations",
            "-0.5, 1.0",
            {},
            ["1, -0.5", "-0.50004, 1.0000"],
            ["1.0", "-0.5, 1.0, 2", "-0.5, 1.1"],
        ),
        ("palindrome_generation", "abba", {"letters": list("aabb")}, ["baab", "ABBA"], ["aabb", "aba", "abbaabba"]),
        (
            "cryptarithm",
            "A=1,B=2",
            {"words_letters": ["A", "A"], "result_letters": "B", "allow_leading_zero": False},
            ["B=4, A=2", "A = 3, B = 6"],
            ["A=0,B=0", "A=1,B=2,C=3", "A=1", "A=1,A=1,B=2", "A=1,B=3"],
        ),
        (
            "jugs",
            '["fill A"]',
            {"puzzle": {"jug_capacities": [3, 5], "target": 3}},
            ['["fill B", "fill A"]', '["fill B", "pour B->A"]'],
            ['["fill B"]', '["fill C"]', "[]", '["pour A"]'],
        ),
        (
            "mini_sudoku",
            "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1",
            {"puzzle": [[1, 0, 0, 0], [0] * 4, [0] * 4, [0] * 4]},
            ["[[1,2,3,4],\n[3,4,1,2],\n[4,3,2,1],\n[2,1,4,3]]"],
            ["2 1 3 4\n3 4 1 2\n1 2 4 3\n4 3 2 1", "1 2 3 4", "1 2 3 4\n2 1 4 3\n3 4 1 2\n4 3 2 1"],
        ),
        (
            "futoshiki",
            "1 < 2\n\n2   1",
            {"puzzle": [[0, 0], [0, 0]], "constraints": [[0, 0, 0, 1, "<"]]},
            ["1 2\n2 1"],
            ["2 1\n1 2", "1 2\n1 2", "1 2"],
        ),
        (
            "quantum_lock",
            "A → A",
            {
                "initial_value": 0,
                "initial_state": "red",
                "target_value": 4,
                "buttons": [
                    {"name": "A", "type": "add", "value": 2, "active_state": "any"},
                    {"name": "B", "type": "multiply", "value": 2, "active_state": "green"},
                ],
            },
            ["A, B", "a -> a"],
            ["A → A → A", "A", "A → C", "B → A → B", "A banana B"],
        ),
        (
            "shortest_path",
            "right down",
            {"matrix": [["*", "O"], ["O", "#"]]},
            ["down right", "Down, Right"],
            ["right left right down", "right", "infeasible", "up right", "right right"],
        ),
        ("shortest_path", "infeasible", {"matrix": [["*", "X", "#"]]}, ["Infeasible"], ["right right", ""]),
        (
            "sokoban",
            "R",
            {"gamestr": "+ + + + +\n+ * @ X +\n+ - - - +\n+ + + + +\n"},
            ["R", "DUR"],
            ["L", "r", "RX", "D"],
        ),
        (
            "tower_of_hanoi",
            "Move disk 1 from Peg 1 to Peg 3",
            {"num_disks": 1, "num_pegs": 3, "start_peg": 1, "target_peg": 3, "solution_length": 1},
            ["move disk 1 from peg 1 to peg 3"],
            ["Move disk 1 from Peg 1 to Peg 2", "Move disk 1 from Peg 1 to Peg 2\nMove disk 1 from Peg 2 to Peg 3"],
        ),
        (
            "tsumego",
            "B3",
            {"board": [["O", ".", "."], ["X", "X", "."], [".", ".", "."]]},
            ["b3"],
            ["C1", "A3", "Z9", "B3 or C1"],
        ),
        (
            "word_ladder",
            "COLD,CORD,CARD",
            {"start_word": "COLD", "end_word": "CARD"},
            ["cold, cord, card", "COLD,CORD,WORD,WARD,CARD"],
            ["COLD,CARD", "COLD,CXLD,CARD", "CORD,CARD", "COLD"],
        ),
        (
            "group_anagrams",
            '[["ab", "ba"], ["c"]]',
            {},
            ['[["c"], ["ba", "ab"]]'],
            ['[["ab"], ["ba"], ["c"]]', "[]", "[1]"],
        ),
        ("palindrome_partitioning", '[["a", "a"], ["aa"]]', {}, ["[['aa'],['a','a']]"], ['[["aa"]]', '[["a", "a"]]']),
        (
            "rotate_matrix",
            "1 2\n3 4",
            {},
            ["[[1, 2], [3, 4]]", "1  2 \n 3 4"],
            ["1 2 3 4", "[1, 2, 3, 4]", "1 2\n3 5"],
        ),
        ("spiral_matrix", "1 2 3", {}, ["[1, 2, 3]", "1, 2, 3"], ["1 2", "3 2 1"]),
        ("simple_equations", "13", {"variable": "k"}, ["k = 13", "13.0"], ["x = 13", "k = 14"]),
        (
            "number_format",
            "1000.1689999",
            {"candidates": [1000.1689999, 1000.168], "solution": 1000.1689999},
            ["1,000.169", "1.000169e3"],
            ["1000.168", "1000.17"],
        ),
        (
            "advanced_geometry",
            "54.32°",
            {"task_type": "angle_measure", "angle_ABC_degrees": 54.3217},
            ["54.322", "54.32 degrees", "54.322°"],
            ["54.3", "54.33", "125.68°"],
        ),
        (
            "advanced_geometry",
            "(1.333, -2.000)",
            {"task_type": "orthocenter", "orthocenter_approx": [1.3333333, -2.0]},
            ["1.333, -2", "(1.3333, -2)"],
            ["(-2, 1.333)", "(1.33, -2)", "1.333"],
        ),
    ],
)
def test_check(pack, name, reference, metadata, right, wrong):
    question = Question("?", reference, metadata, task=f"reasoning_gym/{name}")
    for answer in [reference, *right]:
        assert value(pack, question, answer) == 1.0, answer
    for answer in wrong:
        assert value(pack, question, answer) == 0.0, answer


def test_the_module_hook_is_what_the_entry_point_loads(pack):
    assert [task.name for task in r1ci_task_packs()[0].tasks] == [task.name for task in pack.tasks]


def test_generate_uses_no_randomness_but_its_own(pack):
    task = pack["aiw"]
    made = []
    for noise in (1, 2):
        random.seed(noise)
        made.append(task.generate(random.Random(3), None))
    assert made[0] == made[1]
