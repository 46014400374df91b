"""The environment a policy acts in: protocol, code runner, verifier and rewards, as a recipe names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from r1ci_plugins.plugins.registry import Parts, Plugins, assemble
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.rewards.judge import judge
from r1ci_plugins.rollout.engine import Engine
from r1ci_plugins.rollout.loop import Budget, CodeRunner, run_episode
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.workers.checkers import VerifierPool


@dataclass(frozen=True)
class Environment:
    """Runs and judges episodes: those of training, of evaluation, and single ones to look at.

    Attributes:
        parts: What the recipe names, built.
        code_runner: Where programs run.
        verifier: What checks answers.
        budget: Caps of an episode; its ``max_total_tokens`` is the recipe's, or what the trainer's context leaves.
    """

    parts: Parts
    code_runner: CodeRunner
    verifier: VerifierPool
    budget: Budget

    async def start(self) -> None:
        """Start the sandbox; the verifier's processes start when they are first needed.

        Raises:
            SandboxUnavailable: It cannot start safely.
        """
        await self.code_runner.sandbox.start()

    async def close(self) -> None:
        """Stop both."""
        await self.verifier.close()
        await self.code_runner.sandbox.close()

    async def episode(
        self, question: Question, engine: Engine, template: ChatTemplate, max_total_tokens: int | None = None
    ) -> Trajectory:
        """Run one episode and judge it.

        Args:
            question: What is asked.
            engine: The policy.
            template: Of the policy's model.
            max_total_tokens: A lower cap than the budget's on the whole sequence, in tokens.

        Returns:
            The trajectory, rewarded; one that met an infrastructure fault is excluded instead.
        """
        cap = min(self.budget.max_total_tokens, max_total_tokens or self.budget.max_total_tokens)
        trajectory = await run_episode(
            question,
            engine=engine,
            template=template,
            answer_format=self.parts.answer_format,
            code_runner=self.code_runner,
            budget=replace(self.budget, max_total_tokens=cap),
        )
        return await judge(trajectory, self.verifier, self.parts.reward_terms)


def make_environment(
    recipe: Recipe, plugins: Plugins, plugin_names: Sequence[str], pack_names: Sequence[str], context: int
) -> Environment:
    """Build an environment; nothing is started.

    Args:
        recipe: Names everything in it.
        plugins: Loaded.
        plugin_names: The same, as the verifier's processes will load them.
        pack_names: The packs that they will load.
        context: Tokens that the model can hold; the recipe may ask for fewer.

    Raises:
        RecipeError: As ``assemble``.
    """
    parts, protocol, section = assemble(recipe, plugins), recipe.protocol, recipe.verifier
    return Environment(
        parts,
        CodeRunner(parts.sandbox, recipe.sandbox.contract_limits(), recipe.sandbox.retries),
        VerifierPool(
            section.name,
            section.options,
            plugin_names,
            pack_names,
            section.workers,
            section.deadline_s,
            section.memory_mb,
        ),
        Budget(
            protocol.max_code_calls,
            protocol.max_turn_tokens,
            min(protocol.max_total_tokens or context, context),
            protocol.max_output_chars,
            protocol.deadline_s,
        ),
    )
