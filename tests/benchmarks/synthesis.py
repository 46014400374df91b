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

from r1ci_plugins.environment import prepare
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.recipe.schema import Recipe, SynthesisConfig
from r1ci_plugins.synthesis.part import Statistics
from r1ci_plugins.synthesis.production import Maker, Questions, produce
from r1ci_plugins.synthesis.program_teacher import ProgramTeacher

MODEL = Path(__file__).parents[2] / "models" / "smollm2-135m-instruct"


async def make(questions: Questions, maker: Maker, per_task: int, folder: Path) -> list[Statistics]:
    config = SynthesisConfig(per_task=per_task)
    return await produce(questions, maker=maker, config=config, folder=folder, progress=lambda *_: None)


async def main(per_task: int) -> None:
    recipe = Recipe.model_validate(
        {
            "output_dir": "unused",
            "model": str(MODEL),
            "tasks": {"train": [{"tasks": ["bbh/*", "symbench/*"], "count": 1}]},
            "protocol": {"max_total_tokens": 4096},
            "sandbox": {"limits": {"wall_s": 10.0}},
            "trainer": {"data.max_len": 4096},
        }
    )
    prepared = prepare(recipe, plugins=["r1ci"], command="train_sft")
    packs, template = prepared.packs, prepared.template()
    questions = {}
    for pack in packs.values():
        for task in pack.tasks:
            name = f"{pack.name}/{task.name}"
            first = next(draw(pack.name, task, "sft", 1, 1))
            if task.programs(first):
                questions[name] = (task, list(draw(pack.name, task, "sft", 1, 2 * per_task)))
    environment = prepared.environment()
    teacher = ProgramTeacher(answer_format=environment.answer_format, text_share=0.1, emphasis=True, explanations=True)
    maker = Maker(teacher=teacher, template=template, environment=environment)
    with tempfile.TemporaryDirectory() as folder:
        await environment.start()
        try:
            some = dict(list(questions.items())[:2])
            await make(some, maker, 10, Path(folder) / "warm")
            await asyncio.sleep(2)
            before, started = time.process_time(), time.monotonic()
            statistics = await make(questions, maker, per_task, Path(folder) / "parts")
            wall, used = time.monotonic() - started, time.process_time() - before
        finally:
            await environment.close()
    kept, tried = sum(one.kept for one in statistics), sum(one.attempts for one in statistics)
    print(f"{kept} verified trajectories of {tried} tried, {len(questions)} tasks, {wall:.1f} s: {kept / wall:.1f}/s")
    print(f"CPU of this process per trajectory: {1000 * used / kept:.1f} ms; load average {os.getloadavg()[0]:.1f}")
    for one in sorted(statistics, key=lambda one: -one.seconds)[:8]:
        print(f"  {one.task}: {one.kept} in {one.seconds:.1f} s, {one.attempts} tried, {dict(one.rejections)}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
