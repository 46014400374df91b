"""Choosing, resuming and stopping, with a scripted teacher and the real loop."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
from dataclasses import dataclass, field, replace

import pytest

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.recipe.schema import SynthesisConfig
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.synthesis.part import Part, Statistics, is_multi_turn
from r1ci_plugins.synthesis.production import Maker, attempts, produce
from r1ci_plugins.synthesis.teacher import BudgetSpent, Reply, TeacherFault, Usage
from r1ci_plugins.synthesis.variant import Variant

pytestmark = pytest.mark.stack
CAPS = {"max_code_calls": 3, "max_turn_tokens": 100, "max_total_tokens": 400, "deadline_s": 5.0}


def solve(attempt, turn):
    """A program, and its output as the answer; every third question with a check."""
    steps = 2 if attempt.question.index % 3 == 0 else 1
    if turn < steps:
        return f"Step {turn}: {random.random()}\n```python\nprint(sum({attempt.question.metadata['numbers']}))\n```"
    return f"<<<{attempt.question.answer}>>>"


class ScriptedTeacher:
    """Says what a function of attempt and turn says, after a random pause."""

    name = "scripted"

    def __init__(self, says=solve):
        self.says, self.asked = says, []

    async def start(self):
        pass

    async def close(self):
        pass

    def speaker(self, attempt):
        return ScriptedSpeaker(self, attempt)


@dataclass
class ScriptedSpeaker:
    teacher: ScriptedTeacher
    attempt: object
    style: str = "scripted"
    turn: int = field(default=0)

    async def reply(self, turns):
        self.teacher.asked.append(self.attempt.key)
        await asyncio.sleep(random.random() * 0.01)
        said = self.teacher.says(self.attempt, self.turn)
        self.turn += 1
        return said if isinstance(said, Reply) else Reply(said, True, Usage(1, 10, 5, 0.25))


@pytest.fixture
def work(tokenizers, environment, total, tmp_path):
    """Produce a task's trajectories; returns its statistics and what is in its file."""
    template = ChatTemplate(tokenizers["chatml"], "Solve it.")

    def run(teacher, questions=20, task=total, caps=CAPS, **options):
        drawn = [
            replace(task.generate(random.Random(index), None), task="demo/total", split="sft", index=index)
            for index in range(questions)
        ]
        [statistics] = asyncio.run(
            produce(
                {"demo/total": (task, drawn)},
                maker=Maker(
                    teacher=teacher, template=template, environment=environment(task, NaturalFormat(), **caps)
                ),
                config=SynthesisConfig(**{"per_task": 10, "attempts": 1, "near_duplicate": 1.1, **options}),
                folder=tmp_path / "parts",
                progress=lambda *_: None,
            )
        )
        return statistics, list(read_trajectories(Part(tmp_path / "parts", "demo/total").trajectories))

    return run


def test_attempts_ask_every_question_in_every_way(total):
    questions = [total.generate(random.Random(i), None) for i in range(4)]
    made = list(attempts(total, questions, SynthesisConfig(attempts=4)))
    assert len({(one.question.text, one.variant) for one in made}) == len(made) == 16
    plain = attempts(total, questions, SynthesisConfig(attempts=2, prompt_diversity=False))
    assert {one.variant for one in plain} == {Variant.FREE}


def test_the_same_is_kept_whatever_finishes_first(work, tmp_path):
    kept = []
    for _ in range(2):
        statistics, trajectories = work(ScriptedTeacher(), multi_turn_emphasis=False)
        assert statistics.kept == len(trajectories) == 10
        kept.append([t.question.index for t in trajectories])
        for file in (tmp_path / "parts").iterdir():
            file.unlink()
    assert kept == [list(range(10))] * 2


def test_half_is_multi_turn_if_possible(work):
    statistics, trajectories = work(ScriptedTeacher(), questions=30)
    assert sum(map(is_multi_turn, trajectories)) == statistics.multi_turn == 5
    assert statistics.attempts > 10 and statistics.kept == 10


def test_single_turns_fill_up_where_there_is_nothing_else(work):
    def single(attempt, turn):
        return solve(attempt, turn + 1)

    statistics, trajectories = work(ScriptedTeacher(single), questions=100)
    assert len(trajectories) == 10 and statistics.attempts == 15
    assert statistics.rejections["single_turn_surplus"] == statistics.attempts - 10


def wrong(attempt, turn):
    return "<<<0>>>"


@pytest.mark.parametrize(("keep_only_correct", "kept"), [(True, 0), (False, 10)])
def test_only_correct_ones_are_kept_unless_told_otherwise(work, keep_only_correct, kept):
    statistics, trajectories = work(ScriptedTeacher(wrong), keep_only_correct=keep_only_correct)
    assert len(trajectories) == kept
    assert statistics.rejections["incorrect"] == (20 if keep_only_correct else 0)
    assert all(t.score == 0.0 for t in trajectories)


MISBEHAVIOUR = {
    "code_call_cap": lambda attempt, turn: f"Again {turn}.\n```python\nprint(1)\n```",
    "token_budget": lambda attempt, turn: Reply("on and on " * 30, complete=False),
    "token_budget ": lambda attempt, turn: "on and on " * 300,
    "void_turn": lambda attempt, turn: "I do not know.",
    "void_turn ": lambda attempt, turn: "",
    "context_overflow": lambda attempt, turn: "```python\nprint('word ' * 500)\n```",
    "invented_output": lambda attempt, turn: f"Code Execution Results:\n1\n<<<{attempt.question.answer}>>>",
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_each_rejection_is_counted_by_its_reason(work, name):
    statistics, trajectories = work(ScriptedTeacher(MISBEHAVIOUR[name]), questions=5)
    assert not trajectories and statistics.rejections == {name.strip(): 5}


def test_a_teacher_that_never_comes_back_meets_the_deadline(work, monkeypatch):
    async def never(self, turns):
        await asyncio.sleep(60)

    monkeypatch.setattr(ScriptedSpeaker, "reply", never)
    statistics, _ = work(ScriptedTeacher(), questions=3, caps=CAPS | {"deadline_s": 0.1})
    assert statistics.rejections == {"deadline": 3}


def test_a_fault_costs_one_attempt(work):
    def faulty(attempt, turn):
        if attempt.question.index == 1:
            raise TeacherFault("rate_limited")
        return solve(attempt, turn)

    statistics, trajectories = work(ScriptedTeacher(faulty), questions=6)
    assert statistics.rejections == {"rate_limited": 1} and len(trajectories) == 5


def test_a_finished_task_is_not_made_again(work):
    first, trajectories = work(ScriptedTeacher())
    assert first.usage.cost > 0
    idle = ScriptedTeacher()
    again, same = work(idle)
    assert not idle.asked and again == first and same == trajectories


def test_a_spent_budget_keeps_what_there_is_and_a_higher_one_goes_on(work):
    asked = []

    def until_spent(attempt, turn):
        asked.append(attempt)
        if len(asked) > 8:
            raise BudgetSpent("the budget is spent")
        return solve(attempt, turn)

    statistics, trajectories = work(ScriptedTeacher(until_spent), concurrency=2)
    assert not statistics.complete and 0 < len(trajectories) < 10
    statistics, trajectories = work(ScriptedTeacher())
    assert statistics.complete and len(trajectories) == 10


def test_an_unusable_teacher_stops_everything(work):
    def refuse(attempt, turn):
        raise MachineProblem("no such model")

    with pytest.raises(MachineProblem, match="no such model"):
        work(ScriptedTeacher(refuse))


def test_a_full_disk_leaves_no_half_file_and_can_be_resumed(work, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MachineProblem, match="No space left"):
            work(ScriptedTeacher())
    assert not list((tmp_path / "parts").iterdir())
    assert len(work(ScriptedTeacher())[1]) == 10


def test_near_duplicates_are_counted(work, total):
    def same(attempt, turn):
        return f"<<<{attempt.question.answer}>>>"

    total.generate = lambda rng, difficulty: type(total).generate(total, random.Random(1), None)
    statistics, trajectories = work(ScriptedTeacher(same), near_duplicate=0.9)
    assert len(trajectories) == 1 and statistics.rejections["near_duplicate"] == 19


def test_the_record_says_where_it_comes_from(work):
    _, trajectories = work(ScriptedTeacher(), multi_turn_emphasis=False)
    assert trajectories[1].origin == {
        "teacher": "scripted", "variant": "code_first", "style": "scripted", "attempt": 0
    }  # fmt: skip


def test_statistics_come_back_from_the_disk_also_from_a_part_that_0_1_wrote(tmp_path):
    part = Part(tmp_path, "demo/total")
    statistics = Statistics("demo/total", attempts=3, kept=1, usage=Usage(1, 2, 3, 0.5, 4), seconds=1.5)
    statistics.rejections["incorrect"] += 2
    part.write([], statistics)
    assert part.read() == statistics
    assert json.loads(part.statistics.read_text())["orders"] == 3
