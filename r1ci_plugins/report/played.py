"""A fresh trajectory to look at: a task's reference program and right answer, through the real loop and sandbox."""

from __future__ import annotations

from r1ci_plugins.engines.scripted import ScriptedEngine
from r1ci_plugins.environment import Prepared, episode_budget
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.protocol.answer_format import WritableFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.recipe.schema import ProtocolConfig
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.tasks.task import Task

_ROOM = 1 << 20


async def play(*, pack: str, task: Task, seed: int, prepared: Prepared, template: ChatTemplate) -> Trajectory:
    """Play one question of a task.

    Args:
        pack: The task's pack.
        task: The task.
        seed: Decides the question.
        prepared: The recipe that names answer format, sandbox and verifier.
        template: Renders the conversation.

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
