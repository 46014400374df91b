"""The trajectory to look at, recorded or played for the purpose, and what lies beside a recorded one."""

import json
from pathlib import Path

import yaml

from r1ci_plugins.engines.scripted import ScriptedEngine
from r1ci_plugins.environment import Prepared, episode_budget
from r1ci_plugins.errors import RecipeError, TrajectoryFileError
from r1ci_plugins.protocol.answer_format import WritableFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.recipe.schema import ProtocolConfig, Recipe
from r1ci_plugins.rollout.run_folder import RunFolder, read_lines
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.trajectory_file import read_records
from r1ci_plugins.tasks.task import Task

_ROOM = 1 << 20


def recorded_recipe(file: Path) -> Recipe | None:
    """The recipe of the run or the synthesis that wrote a file; None if it is no longer in its folder.

    Raises RecipeError if it cannot be read.
    """
    run, build = file.absolute().parent.parent / "recipe.yaml", file.absolute().parent / "build.json"
    if run.exists():
        return load_recipe(run)
    if not build.exists():
        return None
    try:
        return Recipe.model_validate(yaml.safe_load(json.loads(build.read_text(encoding="utf-8"))["recipe"]))
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise RecipeError(
            f"the recipe recorded with the file cannot be read: {error}",
            where=str(build),
            fix="name the recipe with --recipe",
        ) from error


def recorded_advantage(file: Path, trajectory: Trajectory) -> dict[str, float] | None:
    """What the trainer made of a trajectory's reward; None unless the run that recorded it has trained on it."""
    lines = read_lines(RunFolder(file.absolute().parent.parent).advantages)
    return next((line for line in lines if line.get("trajectory") == trajectory.fingerprint), None)


def find_trajectory(file: Path, number: int | None, key: str | None) -> Trajectory:
    """One trajectory of a file: that of a line, counted from 1, or the first whose question's key begins with ``key``.

    Raises TrajectoryFileError if there is none, or its line is broken.
    """
    wanted = (number or 1) if key is None else None
    line = 0
    for line, record in enumerate(read_records(file), 1):
        if isinstance(record, TrajectoryFileError):
            if line == wanted:
                raise record
        elif line == wanted or (key is not None and record.question.key.startswith(key)):
            return record
    missing = f"line {wanted}" if key is None else f"trajectory of a question {key!r}"
    raise TrajectoryFileError(f"there is no {missing} among {line} lines", where=str(file))


async def play(*, pack: str, task: Task, seed: int, prepared: Prepared, template: ChatTemplate) -> Trajectory:
    """A fresh trajectory: a task's reference program and right answer, through the real loop and sandbox.

    The seed decides the question; the recipe names answer format, sandbox and verifier.

    Raises:
        RecipeError: The answer format can be read, but not written.
        SandboxUnavailable: The sandbox cannot start safely.
    """
    # Only what programs print is cut: the other caps are for a model that learns.
    uncut = ProtocolConfig(max_turn_tokens=_ROOM, max_output_chars=prepared.recipe.protocol.max_output_chars)
    environment = prepared.environment(packs=[pack], budget=episode_budget(uncut, _ROOM))
    answer_format = environment.answer_format
    if not isinstance(answer_format, WritableFormat):
        raise RecipeError(
            f"the answer format {type(answer_format).__name__} can be read, but not written",
            where="recipe key protocol.answer_format",
            fix="use another one, or look at recorded trajectories",
        )
    (question,) = draw(pack, task, "sft", seed, 1)
    turns = [answer_format.code_turn("I compute it.", program.code) for program in task.programs(question)[:1]]
    thought = "That is the answer." if turns else "I know the answer."
    turns.append(answer_format.answer_turn(thought, question.answer))
    engine = ScriptedEngine(turns, lambda text: list(template.action(text).token_ids), log_prob=None)
    try:
        await environment.start()
        return await environment.episode(question, engine, template)
    finally:
        await environment.close()
