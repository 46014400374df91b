"""From a recipe to what a run needs. ``prepare`` resolves a recipe once; an ``Environment`` runs and judges episodes.

The trainers' launcher and every command start from ``prepare``, so that all of them see the same plugins, packs,
flags, context and chat template. This is the only place where a recipe becomes parts.
"""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from r1ci_plugins.engines.tokenizer import load_template
from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.plugins.discovery import Origin
from r1ci_plugins.plugins.packs import load_packs, pack_versions
from r1ci_plugins.plugins.registry import Plugins, load_plugins
from r1ci_plugins.protocol.answer_format import AnswerFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.questions.cache import pack_source
from r1ci_plugins.questions.card import Provenance
from r1ci_plugins.questions.fitting import FittingQuestions, check_calls, check_thinking, fitting_questions
from r1ci_plugins.questions.selection import PURPOSES, Purpose, pack_names, resolve_draws
from r1ci_plugins.questions.splits import Draw
from r1ci_plugins.recipe import cpu_flags, openrlhf_flags
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.recipe.schema import MaskConfig, ProtocolConfig, Recipe, SandboxConfig
from r1ci_plugins.recipe.secrets import redacted_arguments
from r1ci_plugins.rewards.judge import judge
from r1ci_plugins.rewards.terms import RewardTerm
from r1ci_plugins.rollout.engine import Engine
from r1ci_plugins.rollout.loop import Budget, CodeRunner, run_episode
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.sandbox.contract import Sandbox
from r1ci_plugins.tasks.task import Question, TaskPack
from r1ci_plugins.training.loss_mask import LossMask, as_loss_mask
from r1ci_plugins.workers.checkers import VerifierPool

Command = Literal["train_ppo", "train_sft"]


@dataclass(frozen=True)
class Environment:
    """Runs and judges episodes: those of training, of evaluation, and single ones to look at.

    Attributes:
        answer_format: How the model marks code and its final answer.
        instructions: The head prompt.
        code_runner: Where programs run.
        verifier: Checks answers, in processes that can be killed.
        reward_terms: The terms of the reward, by name.
        budget: Caps of an episode.
    """

    answer_format: AnswerFormat
    instructions: str
    code_runner: CodeRunner
    verifier: VerifierPool
    reward_terms: Mapping[str, RewardTerm]
    budget: Budget

    async def start(self) -> None:
        """Start the sandbox; the verifier's processes start when they are first needed.

        Raises:
            SandboxUnavailable: It cannot start safely.
        """
        await self.code_runner.sandbox.start()

    async def close(self) -> None:
        """Stop the sandbox and the verifier's processes."""
        await self.verifier.close()
        await self.code_runner.sandbox.close()

    async def episode(
        self, question: Question, engine: Engine, template: ChatTemplate, max_total_tokens: int | None = None
    ) -> Trajectory:
        """Run one episode and judge it.

        Args:
            question: What is asked.
            engine: The policy.
            template: The chat template of the policy's model.
            max_total_tokens: A lower cap than the budget's on the whole sequence, in tokens.

        Returns:
            The trajectory, rewarded; one that met an infrastructure fault is excluded instead.
        """
        cap = min(self.budget.max_total_tokens, max_total_tokens or self.budget.max_total_tokens)
        trajectory = await run_episode(
            question,
            engine=engine,
            template=template,
            answer_format=self.answer_format,
            code_runner=self.code_runner,
            budget=replace(self.budget, max_total_tokens=cap),
        )
        return await judge(trajectory, self.verifier, self.reward_terms)


@dataclass(frozen=True)
class Prepared:
    """A recipe with everything that it names found, loaded and checked. Nothing is started.

    Attributes:
        recipe: With overrides applied.
        command: The OpenRLHF command whose flags the recipe has; None where only records are looked at.
        plugin_names: As given by ``--plugin``; worker processes load the same.
        plugins: Loaded.
        packs: The task packs that the recipe names, by name; empty without a command.
        flags: OpenRLHF flags that plugins, the recipe or the user set, by dotted name; empty without a command.
        cpu: Whether the run's machine has no CUDA device.
        unchecked: Why the flags were not checked, such as that OpenRLHF is not installed; empty when they were.
    """

    recipe: Recipe
    command: Command | None
    plugin_names: tuple[str, ...]
    plugins: Plugins
    packs: Mapping[str, TaskPack]
    flags: Mapping[str, Any]
    cpu: bool
    unchecked: str

    def flag(self, name: str) -> Any:
        """A flag's value: the one that is set, else OpenRLHF's default.

        Raises:
            MachineProblem: It is not set, and OpenRLHF is not installed.
        """
        value = self.flags.get(name)
        if value is None and self.command is not None:
            return openrlhf_flags.flags(self.command)[name].default
        return value

    @property
    def context(self) -> int:
        """Tokens that a whole trajectory may have: ``data.max_len``, or the recipe's own cap where it is lower."""
        length = self.flags.get("data.max_len")
        if length is None:
            length = openrlhf_flags.MAX_LEN if self.unchecked else self.flag("data.max_len")
        return min(self.recipe.protocol.max_total_tokens or int(length), int(length))

    @property
    def model(self) -> str:
        """The policy's folder or hub name."""
        owner = "model" if self.command == "train_sft" else "actor"
        return str(self.flags.get(f"{owner}.model_name_or_path") or self.recipe.model)

    @property
    def origins(self) -> list[Origin]:
        """Where the loaded plugins and packs come from."""
        return [*self.plugins.versions, *pack_versions(self.packs)]

    def answer_format(self) -> AnswerFormat:
        """The answer format that the recipe names.

        Raises:
            RecipeError: As ``Plugins.make``; so do the other methods that build what a recipe names.
        """
        protocol = self.recipe.protocol
        made: AnswerFormat = self.plugins.build(
            "answer_formats", protocol.answer_format, protocol.answer_format_options
        )
        return made

    def template(self, model: str | None = None) -> ChatTemplate:
        """The chat template of the policy's model, or of another one, with the recipe's head prompt.

        Raises:
            MachineProblem: The tokenizer cannot be loaded.
            TemplateError: The template cannot carry the protocol, or not what the recipe wants of thinking.
        """
        protocol, answer_format = self.recipe.protocol, self.answer_format()
        template = load_template(
            model or self.model,
            protocol.instructions or answer_format.instructions,
            tools=getattr(answer_format, "tools", ()),
            file=protocol.chat_template,
            options=protocol.chat_template_options,
        )
        check_calls(answer_format, template)
        if self.command is not None:
            check_thinking(self.recipe, template)
        return template

    def loss_mask(self, name: str | None = None) -> LossMask:
        """The loss mask that the recipe names, or the one of another name."""
        mask = self.recipe.mask if name in (None, self.recipe.mask.name) else MaskConfig(code_outputs=name)
        return as_loss_mask(self.plugins.build("loss_masks", mask.name, mask.options))

    def sandbox(self) -> Sandbox:
        """The sandbox that the recipe names, not started."""
        return make_sandbox(self.recipe.sandbox, self.plugins)

    def environment(
        self, *, packs: Sequence[str] | None = None, context: int | None = None, budget: Budget | None = None
    ) -> Environment:
        """Everything that an episode needs, built and not started.

        Args:
            packs: The packs that the verifier's processes load; None means the recipe's.
            context: Tokens that the model can hold; None means ``context`` of this recipe.
            budget: Other caps than the recipe's.
        """
        recipe, verifier = self.recipe, self.recipe.verifier
        self.plugins.build("verifiers", verifier.name, verifier.options)  # checked here, built in each worker
        answer_format = self.answer_format()
        return Environment(
            answer_format=answer_format,
            instructions=recipe.protocol.instructions or answer_format.instructions,
            code_runner=CodeRunner(
                sandbox=self.sandbox(), limits=recipe.sandbox.contract_limits(), retries=recipe.sandbox.retries
            ),
            verifier=VerifierPool(
                name=verifier.name,
                options=verifier.options,
                plugins=self.plugin_names,
                packs=sorted(self.packs if packs is None else packs),
                workers=verifier.workers,
                deadline_s=verifier.deadline_s,
                memory_mb=verifier.memory_mb,
            ),
            reward_terms={
                name: self.plugins.build("reward_terms", name, options) for name, options in recipe.rewards.items()
            },
            budget=budget
            or episode_budget(recipe.protocol, context or self.context, self.flags.get("rollout.max_new_tokens")),
        )

    def draws(self, purpose: Purpose) -> list[Draw]:
        """The questions to train on, or those held out.

        Raises:
            RecipeError: A pattern matches no task, or a task does not have the difficulty.
        """
        return resolve_draws(self.recipe, purpose, self.packs)

    def questions(
        self, purpose: Purpose, template: ChatTemplate, progress: Callable[[int], None], jobs: int | None = None
    ) -> FittingQuestions:
        """Draw the questions to train on, or those held out, and keep those that fit the context.

        Args:
            purpose: Which.
            template: Renders the prompts.
            progress: Called with the number of questions drawn so far.
            jobs: Processes; None means one per core.

        Raises:
            TaskError: A task fails, or every question of a task is too long.
        """
        return fitting_questions(
            self.draws(purpose),
            purpose,
            packs=self.packs,
            plugins=self.plugin_names,
            template=template,
            room=self.context,
            seed=self.recipe.seed,
            progress=progress,
            jobs=jobs,
        )

    def findings(self) -> list[str]:
        """Build all that the recipe names, resolve its tasks, and say in lines what was found.

        Raises:
            R1CIError: At the first thing that is wrong.
        """
        self.environment()
        self.loss_mask()
        lines = [f"using {origin}" for origin in self.origins]
        for purpose in PURPOSES:
            draws = self.draws(purpose)
            lines.append(f"{purpose}: {len(draws)} tasks, {sum(draw.count for draw in draws)} questions")
        lines.append(
            f"trainer flags not checked: {self.unchecked}" if self.unchecked else "trainer flags are OpenRLHF's"
        )
        return lines

    def provenance(self, recipe_text: str) -> Provenance:
        """What a data set of this recipe is made from.

        Args:
            recipe_text: The resolved recipe, YAML, or as much of it as decides the content.
        """
        versions = [f"python {platform.python_version()}", f"r1ci-plugins {version('r1ci-plugins')}"]
        return Provenance(
            recipe=recipe_text,
            command=shlex.join(["r1ci", *redacted_arguments(sys.argv[1:])]),
            versions=[*versions, *map(str, self.origins)],
            sources={name: pack_source(pack) for name, pack in self.packs.items()},
        )


def prepare(
    recipe: Recipe | str | Path,
    *,
    plugins: Sequence[str],
    command: Command | None,
    overrides: Sequence[str] = (),
    arguments: Sequence[str] = (),
    check_flags: bool = True,
    cpu: bool | None = None,
) -> Prepared:
    """Resolve a recipe: load what it names and check what can be checked; start nothing.

    Args:
        recipe: A recipe file, or a recipe that is loaded already (a stage's).
        plugins: Values of ``--plugin``.
        command: The OpenRLHF command whose flags the recipe has. None where only records are looked at: then neither
            packs nor flags are loaded, which may no longer be installed.
        overrides: Values of ``--set``.
        arguments: OpenRLHF flags as the user typed them; they win over the recipe.
        check_flags: False where no trainer starts, so that the recipe may have the flags of another command.
        cpu: Whether the run has no CUDA device; None means as this machine has it.

    Raises:
        RecipeError: The recipe, an override or a flag is wrong.
        PluginError: A plugin or pack is missing or broken.
        MachineProblem: ``arguments`` are given, and OpenRLHF is not installed.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    loaded, cpu = load_plugins(plugins), not cpu_flags.cuda_available() if cpu is None else cpu
    packs: Mapping[str, TaskPack] = {}
    flags: dict[str, Any] = {}
    unchecked = "" if check_flags else "no trainer starts"
    if command is not None:
        packs = load_packs(pack_names(recipe), own=loaded.packs)
        typed = openrlhf_flags.read(arguments, command) if arguments else {}
        of_recipe = recipe.flags()
        sources = [loaded.trainer_arguments(recipe, command, decided={*of_recipe, *typed}), of_recipe]
        if cpu:
            sources.insert(0, cpu_flags.trainer_flags(command))
        for source in sources:
            if check_flags:
                try:
                    openrlhf_flags.check(source, command)
                except MachineProblem as problem:
                    unchecked = problem.what
            flags |= source
        flags |= typed
        if cpu:
            flags = {name: value for name, value in flags.items() if name not in cpu_flags.WITHOUT_EFFECT}
    return Prepared(
        recipe=recipe,
        command=command,
        plugin_names=tuple(plugins),
        plugins=loaded,
        packs=packs,
        flags=flags,
        cpu=cpu,
        unchecked=unchecked,
    )


def make_sandbox(config: SandboxConfig, plugins: Plugins) -> Sandbox:
    """Build the sandbox of a recipe's ``sandbox`` section; it is not started.

    Raises:
        RecipeError: As ``Plugins.make``.
    """
    place = {"concurrency": config.concurrency, "python": config.python}
    sandbox: Sandbox = plugins.build("sandboxes", config.backend, config.options | place)
    return sandbox


def episode_budget(protocol: ProtocolConfig, context: int, max_new_tokens: int | None = None) -> Budget:
    """The caps of an episode.

    Args:
        protocol: The recipe's section.
        context: Tokens that the model can hold; the recipe may ask for fewer.
        max_new_tokens: OpenRLHF's ``--rollout.max_new_tokens``: what the policy may sample in an episode.
    """
    return Budget(
        max_code_calls=protocol.max_code_calls,
        max_turn_tokens=protocol.max_turn_tokens,
        max_action_tokens=max_new_tokens or context,
        max_total_tokens=min(protocol.max_total_tokens or context, context),
        max_output_chars=protocol.max_output_chars,
        deadline_s=protocol.deadline_s,
    )
