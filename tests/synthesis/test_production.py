"""Choosing, resuming and stopping, with a scripted teacher and the real loop."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from dataclasses import dataclass, field, replace

import pytest

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rollout.loop import Budget, CodeRunner
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.synthesis.part import Part, is_multi_turn
from r1ci_plugins.synthesis.production import Choice, Maker, orders, produce
from r1ci_plugins.synthesis.teacher import BudgetSpent, Reply, TeacherFault, Usage
from r1ci_plugins.synthesis.variant import Variant
from r1ci_plugins.tasks.task import Score

pytestmark = pytest.mark.stack
BUDGET = Budget(max_code_calls=3, max_turn_tokens=100, max_total_tokens=400, deadline_s=5.0)


def solve(order, turn):
    """A program, and its output as the answer; every third question with a check."""
    steps = 2 if order.question.index % 3 == 0 else 1
    if turn < steps:
        return f"Step {turn}: {random.random()}\n```python\nprint(sum({order.question.metadata['numbers']}))\n```"
    return f"<<<{order.question.answer}>>>"


class ScriptedTeacher:
    """Says what a function of order and turn says, after a random pause."""

    name = "scripted"

    def __init__(self, says=solve):
        self.says, self.asked = says, []

    async def start(self):
        pass

    async def close(self):
        pass

    def speaker(self, order):
        return ScriptedSpeaker(self, order)


@dataclass
class ScriptedSpeaker:
    teacher: ScriptedTeacher
    order: object
    style: str = "scripted"
    turn: int = field(default=0)

    async def reply(self, turns):
        self.teacher.asked.append(self.order.key)
        await asyncio.sleep(random.random() * 0.01)
        said = self.teacher.says(self.order, self.turn)
        self.turn += 1
        return said if isinstance(said, Reply) else Reply(said, True, Usage(1, 10, 5, 0.25))


class Checker:
    """The task's own check in this process; worker processes have tests of their own."""

    async def verify(self, question, answer):
        return Score(float(answer == question.answer))


@pytest.fixture
def work(tokenizers, sandbox, total, tmp_path):
    """Produce a task's trajectories; returns its statistics and what is in its file."""
    template = ChatTemplate(tokenizers["chatml"], "Solve it.")

    def run(teacher, questions=20, task=total, budget=BUDGET, **options):
        drawn = [
            replace(task.generate(random.Random(index), None), task="demo/total", split="sft", index=index)
            for index in range(questions)
        ]
        maker = Maker(teacher, template, NaturalFormat(), CodeRunner(sandbox), budget, Checker())
        part = Part(tmp_path / "parts", "demo/total")
        choice = Choice(**{"per_task": 10, "attempts": 1, "near_duplicate": 1.1, **options})
        [statistics] = asyncio.run(
            produce({"demo/total": (task, drawn)}, maker, choice, {"demo/total": part}, lambda *_: None)
        )
        return statistics, list(read_trajectories(part.trajectories))

    return run


def test_orders_ask_every_question_in_every_way(total):
    questions = [total.generate(random.Random(i), None) for i in range(4)]
    made = list(orders(total, questions, Choice(attempts=4)))
    assert len({(o.question.text, o.variant) for o in made}) == len(made) == 16
    plain = orders(total, questions, Choice(attempts=2, prompt_diversity=False))
    assert {o.variant for o in plain} == {Variant.FREE}


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
    assert statistics.orders > 10 and statistics.kept == 10


def test_single_turns_fill_up_where_there_is_nothing_else(work):
    def single(order, turn):
        return solve(order, turn + 1)

    statistics, trajectories = work(ScriptedTeacher(single), questions=100)
    assert len(trajectories) == 10 and statistics.orders == 15
    assert statistics.rejections["single_turn_surplus"] == statistics.orders - 10


def wrong(order, turn):
    return "<<<0>>>"


@pytest.mark.parametrize(("keep_only_correct", "kept"), [(True, 0), (False, 10)])
def test_only_correct_ones_are_kept_unless_told_otherwise(work, keep_only_correct, kept):
    statistics, trajectories = work(ScriptedTeacher(wrong), keep_only_correct=keep_only_correct)
    assert len(trajectories) == kept
    assert statistics.rejections["incorrect"] == (20 if keep_only_correct else 0)
    assert all(t.score == 0.0 for t in trajectories)


MISBEHAVIOUR = {
    "code_call_cap": lambda order, turn: f"Again {turn}.\n```python\nprint(1)\n```",
    "token_budget": lambda order, turn: Reply("on and on " * 30, complete=False),
    "token_budget ": lambda order, turn: "on and on " * 300,
    "void_turn": lambda order, turn: "I do not know.",
    "void_turn ": lambda order, turn: "",
    "context_overflow": lambda order, turn: "```python\nprint('word ' * 500)\n```",
    "invented_output": lambda order, turn: f"Code Execution Results:\n1\n<<<{order.question.answer}>>>",
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_each_rejection_is_counted_by_its_reason(work, name):
    statistics, trajectories = work(ScriptedTeacher(MISBEHAVIOUR[name]), questions=5)
    assert not trajectories and statistics.rejections == {name.strip(): 5}


def test_a_teacher_that_never_comes_back_meets_the_deadline(work, monkeypatch):
    async def never(self, turns):
        await asyncio.sleep(60)

    monkeypatch.setattr(ScriptedSpeaker, "reply", never)
    statistics, _ = work(ScriptedTeacher(), questions=3, budget=replace(BUDGET, deadline_s=0.1))
    assert statistics.rejections == {"deadline": 3}


def test_a_fault_costs_one_order(work):
    def faulty(order, turn):
        if order.question.index == 1:
            raise TeacherFault("rate_limited")
        return solve(order, turn)

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

    def until_spent(order, turn):
        asked.append(order)
        if len(asked) > 8:
            raise BudgetSpent("the budget is spent")
        return solve(order, turn)

    statistics, trajectories = work(ScriptedTeacher(until_spent), concurrency=2)
    assert not statistics.complete and 0 < len(trajectories) < 10
    statistics, trajectories = work(ScriptedTeacher())
    assert statistics.complete and len(trajectories) == 10


def test_an_unusable_teacher_stops_everything(work):
    def refuse(order, turn):
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
    def same(order, turn):
        return f"<<<{order.question.answer}>>>"

    total.generate = lambda rng, difficulty: type(total).generate(total, random.Random(1), None)
    statistics, trajectories = work(ScriptedTeacher(same), near_duplicate=0.9)
    assert len(trajectories) == 1 and statistics.rejections["near_duplicate"] == 19


def test_the_record_says_where_it_comes_from(work):
    _, trajectories = work(ScriptedTeacher(), multi_turn_emphasis=False)
    assert trajectories[1].origin == {
        "teacher": "scripted", "variant": "code_first", "style": "scripted", "attempt": 0
    }  # fmt: skip
