"""Held-out questions put to a policy: several samples of each, many at a time, recorded as they end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

from r1ci_plugins.environment import Environment
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rollout.engine import Engine
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.tasks.task import Question

AT_A_TIME = 128
"""Episodes that run at the same time; the engine batches what they sample."""


async def ask(
    questions: Sequence[Question],
    samples: int,
    *,
    engine: Engine,
    template: ChatTemplate,
    environment: Environment,
    ended: Callable[[Trajectory], None],
    already: Iterable[Trajectory] = (),
) -> None:
    """Run every episode that is still missing.

    Args:
        questions: What is asked.
        samples: Episodes per question.
        engine: The policy, started.
        template: The chat template of its model.
        environment: Started.
        ended: Called with each trajectory, judged, as it ends.
        already: Trajectories of an evaluation that was interrupted; they count.

    Raises:
        Exception: The first that the engine or ``ended`` raises; episodes that have not ended are given up.
    """
    have = Counter(trajectory.question.key for trajectory in already)
    missing = [question for question in questions for _ in repeat(None, max(0, samples - have[question.key]))]
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(question: Question) -> None:
        async with room:
            ended(await environment.episode(question, engine, template))

    try:
        async with asyncio.TaskGroup() as group:
            for question in missing:
                group.create_task(one(question))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
