from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from r1ci_plugins.curriculum.answering import answers_of
from r1ci_plugins.curriculum.profile import Profile, answer_all, open_profile
from r1ci_plugins.curriculum.table import Origin
from r1ci_plugins.environment import prepare
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe.schema import ProfileConfig, Recipe, TasksConfig
from r1ci_plugins.rollout.run_folder import read_lines
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question

QUESTIONS = [Question(f"{n}?", "1", task="demo/a", split="rl", index=n) for n in range(10_000)]
ORIGIN = Origin("m", {}, "", ["policy"], 1, [1.0])


def profile_in(folder, samples=1):
    made = Profile(Path(folder), ORIGIN, ProfileConfig(samples=samples))
    for line in read_lines(made.folder / "answers.jsonl"):
        made.answers[line["question"], line["agent"], line["number"]] = line["correct"]
    return made


def profile_all(folder):
    """Draw all that is missing, each answer at its engine's pace."""

    async def answer(question, engine):
        await asyncio.sleep(0)
        return Trajectory(question, (), (), StopReason.ANSWERED, score=float(question.index % 3 == 0))

    made = profile_in(folder)
    missing = made.missing(QUESTIONS)
    asyncio.run(answer_all(missing, {"policy": answer}, [None], made.keep))
    return made, len(missing)


def test_a_profile_of_ten_thousand_questions_goes_on_after_kill_9(tmp_path):
    file = tmp_path / "answers.jsonl"
    run = f"import test_profile; test_profile.profile_all({str(tmp_path)!r})"
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); {run}"
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    while not file.exists() or file.stat().st_size < 100_000:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    paid = len(list(read_lines(file)))
    assert 1000 < paid < 10_000
    made, drawn = profile_all(tmp_path)
    assert drawn == 10_000 - paid
    places = Counter((line["question"], line["number"]) for line in read_lines(file))
    assert len(places) == 10_000 and set(places.values()) == {1}
    rows = made.rows(QUESTIONS)
    assert [(row.correct, row.samples) for row in rows[:4]] == [(1, 1), (0, 1), (0, 1), (1, 1)]


def test_a_fault_is_an_answer_that_does_not_count(tmp_path):
    made = profile_in(tmp_path, samples=2)
    one = Trajectory(QUESTIONS[0], (), (), StopReason.ANSWERED, score=1.0)
    made.keep((QUESTIONS[0].key, "policy", 0), one)
    made.keep(
        (QUESTIONS[0].key, "policy", 1), Trajectory(QUESTIONS[0], (), (), StopReason.INFRASTRUCTURE_FAULT, fault="x")
    )
    assert profile_in(tmp_path, samples=2).answers == made.answers and not made.missing(QUESTIONS[:1])
    row = made.rows(QUESTIONS[:1])[0]
    assert (row.correct, row.samples, row.excluded) == (1, 1, 1)


def test_answers_take_the_temperatures_in_turn():
    used = Counter()

    async def answer(question, engine):
        used[engine] += 1
        return Trajectory(question, (), (), StopReason.ANSWERED)

    missing = [(QUESTIONS[n], "policy", number) for n in range(3) for number in range(4)]
    asyncio.run(answer_all(missing, {"policy": answer}, ["cool", "hot"], lambda place, one: None))
    assert used == {"cool": 6, "hot": 6}


def test_unknown_agents_are_refused():
    with pytest.raises(RecipeError, match="no agent 'polcy'"):
        answers_of(["polcy"], None, None)
    with pytest.raises(RecipeError, match="named twice"):
        answers_of(["policy", "policy"], None, None)


def test_a_folder_with_another_profile_is_refused(tmp_path):
    def opened(**changes):
        tasks = TasksConfig(train=[{"tasks": ["reasoning_gym/gcd"], "count": 2}])
        recipe = Recipe(output_dir=str(tmp_path / "run"), model="hub/a", tasks=tasks)
        return open_profile(
            prepare(recipe.model_copy(update=changes), plugins=["r1ci"], command="train_ppo", check_flags=False)
        )

    opened()
    opened()
    with pytest.raises(RecipeError, match="model was 'hub/a', is now 'hub/b'"):
        opened(model="hub/b")
    with pytest.raises(RecipeError, match="no questions to train on"):
        opened(tasks=TasksConfig())
