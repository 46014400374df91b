"""Reference programs run and print correct answers."""

import random
import subprocess
import sys

import pytest
from r1ci_tasks_symbench import r1ci_task_packs

from r1ci_plugins.rewards.verifier import ask_task

(PACK,) = r1ci_task_packs()
WITH_PROGRAMS = [task.name for task in PACK.tasks if task.programs(task.generate(random.Random(0), 0))]


def test_most_tasks_have_programs_in_three_styles():
    assert len(WITH_PROGRAMS) >= 20
    for name in WITH_PROGRAMS:
        question = PACK[name].generate(random.Random(1), 0)
        assert len({program.style for program in PACK[name].programs(question)}) >= 3, name


@pytest.mark.parametrize("name", WITH_PROGRAMS)
def test_programs_print_a_correct_answer(name):
    task = PACK[name]
    for level in {0, task.levels - 1}:
        question = task.generate(random.Random(2), level)
        for program in task.programs(question):
            run = subprocess.run(
                [sys.executable, "-I", "-c", program.code], capture_output=True, text=True, timeout=60
            )
            assert run.returncode == 0, f"{program.style}: {run.stderr}"
            assert ask_task(task, question, run.stdout.strip()).correct, (program.style, run.stdout)
