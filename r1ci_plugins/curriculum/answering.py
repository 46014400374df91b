"""Who answers while a profile is made: the policy itself, as it is trained, or an agent by its name."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from r1ci_plugins.environment import Environment
from r1ci_plugins.errors import RecipeError, suggest
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.rollout.engine import Engine
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.tasks.task import Question

Answer = Callable[[Question, Engine], Awaitable[Trajectory]]
"""A way of answering: a question and a model in, a judged trajectory out."""

POLICY = "policy"


def answers_of(agents: Sequence[str], environment: Environment, template: ChatTemplate) -> Mapping[str, Answer]:
    """The ways of answering that a recipe names.

    Args:
        agents: Names, ``curriculum.profile.agents``.
        environment: Runs and judges episodes.
        template: The chat template of the model.

    Raises:
        RecipeError: There is no agent of that name, or one is named twice.
    """

    async def policy(question: Question, engine: Engine) -> Trajectory:
        return await environment.episode(question, engine, template)

    known: dict[str, Answer] = {POLICY: policy}
    for number, name in enumerate(agents):
        if name not in known or name in agents[:number]:
            what = f"there is no agent {name!r}" if name not in known else f"the agent {name!r} is named twice"
            raise RecipeError(what, where="recipe key curriculum.profile.agents", fix=suggest(name, known))
    return {name: known[name] for name in agents}
