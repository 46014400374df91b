"""Reference programs run, print what the task's check accepts, and compute it."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from r1ci_tasks_reasoning_gym import r1ci_task_packs
from r1ci_tasks_reasoning_gym.programs import PROGRAMS

from r1ci_plugins import Program, Question
from r1ci_plugins.rewards.verifier import ask_task
from r1ci_plugins.synthesis.wording import how

(PACK,) = r1ci_task_packs()
SOMETIMES = {"calendar_arithmetic", "complex_arithmetic"}
"""Data sets with questions that leave something open, which have no programs."""
ONE_STYLE = {"bf", "jugs"}

EVERY_DATA_SET = pytest.mark.parametrize("name", PROGRAMS)


def drawn(name: str, count: int) -> list[tuple[Question, list[Program]]]:
    """Questions of the default and of every level (of six among many), with their programs."""
    task = PACK[name]
    levels = [None, *range(0, task.levels, 1 + task.levels // 6), task.levels - 1]
    questions = [task.generate(random.Random(seed), level) for level in levels for seed in range(count)]
    return [(question, list(task.programs(question))) for question in questions]


@EVERY_DATA_SET
def test_programs_print_a_correct_answer(name):
    runs = [(question, program) for question, programs in drawn(name, 1) for program in programs]
    with ThreadPoolExecutor(2) as pool:
        outputs = pool.map(lambda run: _output(run[1].code), runs)
        for (question, program), output in zip(runs, outputs, strict=True):
            assert ask_task(PACK[name], question, output).correct, (program, output, question.answer)


def _output(code: str) -> str:
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"{code}\n{run.stderr}"
    return run.stdout.strip()


@EVERY_DATA_SET
def test_questions_have_programs_in_several_styles(name):
    found = drawn(name, 3)
    assert all(programs for _, programs in found) or name in SOMETIMES
    styles = {program.style for _, programs in found for program in programs}
    assert len(styles) >= (1 if name in ONE_STYLE else 2)
    assert not [style for style in styles if "another style" in how(style)]


@EVERY_DATA_SET
def test_programs_do_not_contain_the_answer(name):
    for question, programs in drawn(name, 3):
        for program in programs:
            constants = {node.value for node in ast.walk(ast.parse(program.code)) if isinstance(node, ast.Constant)}
            texts = {str(constant).casefold().strip() for constant in constants if len(str(constant)) > 3}
            answer = question.answer.casefold().strip()
            assert answer not in texts or answer in question.text.casefold(), program


def test_a_text_in_another_form_has_no_programs():
    for name in PROGRAMS:
        assert list(PACK[name].programs(Question("?", "1"))) == [], name


def test_a_question_that_leaves_something_open_has_no_programs():
    open_questions = {
        "calendar_arithmetic": [
            # There may be a February 29.
            "Given that January 1 fell on a Friday, which weekday occurs on June 14? Reply with the weekday name.",
            # The library names the year of the start for the end, which is in the next one.
            "Count the weekdays (excluding weekends) from Wednesday, October 5 to Tuesday, March 14, 2022 (including "
            "both start and end dates). Express your answer as a number.",
        ],
        # The library multiplies in floating point.
        "complex_arithmetic": ["Multiply the complex numbers: (95380905.0 + 96861059.0i) × (-96047543.0 + 1.0i)"],
    }
    for name, texts in open_questions.items():
        for text in texts:
            assert list(PACK[name].programs(Question(text, "1"))) == [], text
