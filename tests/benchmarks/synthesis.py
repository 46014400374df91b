"""How fast teacher-free synthesis makes verified trajectories: ``python tests/benchmarks/synthesis.py [PER_TASK]``.

Wall-clock rate with a warm sandbox, and CPU time per trajectory of this process (tokens, records, choosing); programs
and checkers run in others.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from r1ci_plugins.engines.tokenizer import load_template
from r1ci_plugins.plugins.packs import load_packs
from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.rollout.loop import Budget, CodeRunner
from r1ci_plugins.sandbox.backends.firejail import FirejailSandbox
from r1ci_plugins.sandbox.contract import Limits
from r1ci_plugins.synthesis.part import Part
from r1ci_plugins.synthesis.production import Choice, Maker, produce
from r1ci_plugins.synthesis.program_teacher import ProgramTeacher
from r1ci_plugins.workers.checkers import VerifierPool

PACKS = ("bbh", "symbench")
MODEL = Path(__file__).parents[2] / "models" / "smollm2-135m-instruct"


async def main(per_task: int) -> None:
    packs = load_packs(PACKS)
    template = load_template(str(MODEL), NaturalFormat().instructions)
    questions = {}
    for pack in packs.values():
        for task in pack.tasks:
            name = f"{pack.name}/{task.name}"
            first = next(draw(pack.name, task, "sft", 1, 1))
            if task.programs(first):
                questions[name] = (task, list(draw(pack.name, task, "sft", 1, 2 * per_task)))
    sandbox = FirejailSandbox()
    verifier = VerifierPool(packs=PACKS)
    code_runner = CodeRunner(sandbox, Limits(wall_s=10))
    answer_format, budget = NaturalFormat(), Budget(max_total_tokens=4096)
    teacher = ProgramTeacher(answer_format, 0.1)
    maker = Maker(teacher, template, answer_format, code_runner, budget, verifier)
    with tempfile.TemporaryDirectory() as folder:
        await sandbox.start()
        try:
            some = dict(list(questions.items())[:2])
            warm = {name: Part(Path(folder) / "warm", name) for name in some}
            await produce(some, maker, Choice(per_task=10), warm, lambda *_: None)
            await asyncio.sleep(2)
            parts = {name: Part(Path(folder) / "parts", name) for name in questions}
            before, started = time.process_time(), time.monotonic()
            statistics = await produce(questions, maker, Choice(per_task=per_task), parts, lambda *_: None)
            wall, used = time.monotonic() - started, time.process_time() - before
        finally:
            await verifier.close()
            await sandbox.close()
    kept, tried = sum(one.kept for one in statistics), sum(one.orders for one in statistics)
    print(f"{kept} verified trajectories of {tried} tried, {len(questions)} tasks, {wall:.1f} s: {kept / wall:.1f}/s")
    print(f"CPU of this process per trajectory: {1000 * used / kept:.1f} ms; load average {os.getloadavg()[0]:.1f}")
    for one in sorted(statistics, key=lambda one: -one.seconds)[:8]:
        print(f"  {one.task}: {one.kept} in {one.seconds:.1f} s, {one.orders} tried, {dict(one.rejections)}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
