from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from r1ci_plugins.evaluation import held_out
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question


class Counting:
    """An environment whose episodes end at once, and that knows how many run at a time."""

    def __init__(self, fails_at=None):
        self.running = self.most = self.started = 0
        self.fails_at = fails_at

    async def episode(self, question, engine, template):
        self.started += 1
        if self.started == self.fails_at:
            raise ConnectionError("the engine died")
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        return made(question)


def made(question):
    return Trajectory(question, (), (), StopReason.ANSWERED)


QUESTIONS = [Question(f"{n}?", "1", task="demo/a", split="test", index=n) for n in range(5)]


def ask(environment, samples, already=()):
    ended = []
    asyncio.run(
        held_out.ask(
            QUESTIONS,
            samples,
            engine=None,
            template=None,
            environment=environment,
            ended=ended.append,
            already=already,
        )
    )
    return Counter(trajectory.question.index for trajectory in ended)


def test_every_question_gets_its_samples():
    assert ask(Counting(), 3) == dict.fromkeys(range(5), 3)


def test_an_interrupted_evaluation_asks_only_what_is_missing():
    already = [made(QUESTIONS[n]) for n in (0, 0, 1, 4, 4, 4)]  # the last one once too often
    assert ask(Counting(), 2, already) == {1: 1, 2: 2, 3: 2}


def test_no_more_run_at_a_time_than_allowed(monkeypatch):
    monkeypatch.setattr(held_out, "AT_A_TIME", 4)
    environment = Counting()
    ask(environment, 3)
    assert environment.most == 4


def test_what_the_engine_raises_ends_it_as_it_is():
    with pytest.raises(ConnectionError, match="the engine died"):
        ask(Counting(fails_at=7), 3)
