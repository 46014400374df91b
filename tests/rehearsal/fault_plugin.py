"""A plugin for rehearsals: a random model's babble becomes programs and answers, and a share of what runs fails.

A checksum decides what fails, so the same thing fails in every process and whenever it is tried again, and whoever
reads the trajectories afterwards knows what had to fail.
"""

import os
import zlib

from r1ci_plugins import hookimpl
from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.plugins.registry import load_plugins
from r1ci_plugins.protocol.answer_format import Action, ActionKind
from r1ci_plugins.rewards.verifier import ask_task

PROGRAMS = ("print(6 * 7)", "print(1 / 0)", "import math\nprint(math.factorial(20))", "print('x' * 300)")
REHEARSED = "a rehearsed fault"


def fails(kind, text, rate):
    """Whether something of a kind fails; ``rate`` is the share that does."""
    return zlib.crc32(f"{kind} {text}".encode("utf-8", "surrogatepass")) < rate * 2**32


class Babble:
    """Any text is a program or, by its checksum, an answer."""

    instructions = "Say something."
    stop = ()

    def parse(self, text):
        checksum = zlib.crc32(text.encode("utf-8", "surrogatepass"))
        if checksum % 5 < 3:
            return Action(ActionKind.CODE, f"{PROGRAMS[checksum // 5 % 4]}  # {checksum}", len(text))
        return Action(ActionKind.ANSWER, text, len(text))


class FaultySandbox:
    """A real sandbox that loses some programs."""

    def __init__(self, *, rate, inside, concurrency, python, **options):
        place = {"concurrency": concurrency, "python": python}
        self.rate, self.sandbox = rate, load_plugins(["r1ci"]).make("sandboxes", inside, options | place)
        self.isolation = self.sandbox.isolation

    async def start(self):
        await self.sandbox.start()

    async def close(self):
        await self.sandbox.close()

    async def run(self, code, limits):
        if fails("sandbox", code, self.rate):
            raise InfrastructureFault(f"{REHEARSED} of the sandbox")
        return await self.sandbox.run(code, limits)


def faulty_verifier(*, rate):
    """Each task's own checker; of what fails, half raises and half kills its process."""

    def check(task, question, answer):
        if fails("checker", question.key + answer, rate / 2):
            os._exit(3)
        if fails("checker", question.key + answer, rate):
            raise RuntimeError(f"{REHEARSED} of the checker")
        return ask_task(task, question, answer)

    return check


def checksum(trajectory):
    """A reward that a random model can earn."""
    return zlib.crc32(repr(trajectory.token_ids).encode()) % 100 / 100


def faulty_term(*, rate):
    """A reward of 0; of what fails, half raises and half is not a number."""

    def term(trajectory):
        if fails("reward", trajectory.fingerprint, rate / 2):
            return float("nan")
        if fails("reward", trajectory.fingerprint, rate):
            raise ValueError(f"{REHEARSED} of the reward")
        return 0.0

    return term


@hookimpl
def r1ci_answer_formats():
    return {"babble": Babble}


@hookimpl
def r1ci_sandboxes():
    return {"faulty": FaultySandbox}


@hookimpl
def r1ci_verifiers():
    return {"faulty": faulty_verifier}


@hookimpl
def r1ci_reward_terms():
    return {"checksum": lambda: checksum, "faulty": faulty_term}
