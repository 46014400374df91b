"""The process that checks rules and generates questions for ``validation``.

Its replies to an order: what it is ``doing``, each ``failure`` and ``question``, its ``notes``, at the end ``done``.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
import time
from dataclasses import asdict
from typing import Any

from r1ci_plugins.errors import InfrastructureFault, MissingData, R1CIError, SandboxUnavailable, plugin_line
from r1ci_plugins.pack_checks.examination import Examination, Failure, failure
from r1ci_plugins.pack_checks.rules import RULES
from r1ci_plugins.plugins.packs import load_pack
from r1ci_plugins.questions.splits import candidate
from r1ci_plugins.tasks.task import TaskPack
from r1ci_plugins.workers.json_lines import Channel, die_with_parent

_GENERATE_S = 0.5
"""Seconds per task for the comparison of processes."""

_PROGRAM_S = 20.0
_MEMORY = 8 << 30


def main() -> None:
    """Load the pack of the first order, then follow orders until standard input ends."""
    die_with_parent()
    channel = Channel()
    orders = iter(channel)
    first = next(orders)
    sys.path[:] = first["path"]
    try:
        pack = load_pack(first["pack"])
    except R1CIError as error:
        channel.reply(error=str(error))
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard), hard))
    channel.reply(done=True)
    programs = _Programs()
    for order in orders:
        if "generate" in order:
            for name in order["generate"]:
                _send_questions(pack, name, channel)
        else:
            _send_examination(pack, order, programs, channel)
        channel.reply(done=True)


def _send_questions(pack: TaskPack, name: str, channel: Channel) -> None:
    """Send the task's first questions, at each level in turn, until the time is up."""
    task = pack[name]
    deadline = time.monotonic() + _GENERATE_S
    for index in range(4):
        for difficulty in (None, *range(task.levels)):
            if index and time.monotonic() > deadline:
                return
            channel.reply(doing=("", f"generating a question of {name}"))
            random.seed(os.getpid())  # a task that uses the global state makes another question in the other process
            try:
                channel.reply(question=candidate(pack.name, task, "rl", index, 0, difficulty).to_json())
            except R1CIError:
                return  # the examination reports it


def _send_examination(pack: TaskPack, order: dict[str, Any], programs: _Programs, channel: Channel) -> None:
    """Check the ordered rules and send what is found."""
    rule = ""

    def doing(what: str) -> None:
        channel.reply(doing=(rule, what))

    def fail(found: Failure) -> None:
        channel.reply(failure=asdict(found))

    try:
        exam = Examination(pack.name, pack[order["examine"]], order["seconds"], programs.run, doing)
    except MissingData as error:
        channel.reply(missing=str(error))
        return
    except R1CIError as error:
        place = plugin_line(error.__cause__) if error.__cause__ else None
        what = error.what + (f", at {place}" if place else "")
        fail(failure("generates", what=what, fix="let generate return a Question at every level"))
        return
    for rule in order["rules"]:
        try:
            for found in RULES[rule](exam):
                fail(found)
        except (SandboxUnavailable, InfrastructureFault) as error:
            exam.notes[rule] = f"not run: {error.what}"
        except Exception as error:
            what = getattr(error, "what", f"{type(error).__name__}: {error}")
            place = plugin_line(error)
            what = f"the task raised: {what}" + (f", at {place}" if place else "")
            fail(failure(rule, what=what, fix="see the traceback with the pack's own tests"))
    for found in exam.failures:
        fail(found)
    channel.reply(notes=exam.notes)


class _Programs:
    """Runs reference programs in the default sandbox, which is started for the first one."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._sandbox: Any = None
        self._unavailable: SandboxUnavailable | None = None

    def run(self, code: str) -> str:
        """What a program prints; InfrastructureFault if the sandbox fails, SandboxUnavailable if there is none."""
        from r1ci_plugins.environment import make_sandbox  # only packs with programs need all this
        from r1ci_plugins.plugins.registry import load_plugins
        from r1ci_plugins.recipe.schema import SandboxConfig
        from r1ci_plugins.sandbox.contract import Limits

        if self._unavailable:
            raise self._unavailable
        if self._sandbox is None:
            sandbox = make_sandbox(SandboxConfig(concurrency=1), load_plugins(["r1ci"]))
            try:
                self._runner.run(sandbox.start())
            except SandboxUnavailable as error:
                self._unavailable = error
                raise
            self._sandbox = sandbox
        result = self._runner.run(self._sandbox.run(code, Limits(wall_s=_PROGRAM_S)))
        printed: str = result.stdout
        return printed


if __name__ == "__main__":
    main()
