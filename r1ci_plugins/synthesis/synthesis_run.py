"""One run of synthesis: a recipe's questions, its teacher, and the folder for the trajectories.

It can be stopped at any time: finished tasks are on the disk, and so is every reply of a paid teacher.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from r1ci_plugins.engines.tokenizer import load_template
from r1ci_plugins.engines.vllm import LocalVLLM
from r1ci_plugins.environment import Environment, Prepared
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.protocol.answer_format import WritableFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.questions.cache import cache_folder
from r1ci_plugins.questions.card import Provenance
from r1ci_plugins.questions.dataset import require_datasets
from r1ci_plugins.questions.drawing import draw_all
from r1ci_plugins.questions.fitting import check_written_calls
from r1ci_plugins.questions.splits import Draw
from r1ci_plugins.recipe.loading import dump
from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.synthesis import trajectory_dataset
from r1ci_plugins.synthesis.endpoint_teacher import EndpointTeacher
from r1ci_plugins.synthesis.model_teacher import ModelTeacher
from r1ci_plugins.synthesis.part import Statistics
from r1ci_plugins.synthesis.production import Maker, Progress, Questions, produce
from r1ci_plugins.synthesis.program_teacher import ProgramTeacher
from r1ci_plugins.synthesis.reply_cache import ReplyCache
from r1ci_plugins.synthesis.spending import Ledger, RateLimit
from r1ci_plugins.synthesis.teacher import Teacher
from r1ci_plugins.synthesis.variant import Variant, head_prompt
from r1ci_plugins.tasks.task import Question, Task


@dataclass(frozen=True)
class SynthesisRun:
    """A recipe's synthesis in its folder. Environment and teacher are not started yet.

    ``template`` is the chat template of the model that will learn.
    """

    prepared: Prepared
    folder: Path
    provenance: Provenance
    template: ChatTemplate
    environment: Environment
    teacher: Teacher

    @property
    def draws(self) -> list[Draw]:
        """The questions to work on: those of ``tasks.train``, but from the split ``sft``."""
        return [replace(draw, split="sft") for draw in self.prepared.draws("train")]

    def questions(self, progress: Callable[[int], None], jobs: int | None) -> Questions:
        """Draw the questions. Arguments and errors are those of ``draw_all``."""
        packs, draws = self.prepared.packs, self.draws
        drawn = draw_all(draws, packs, self.prepared.plugin_names, jobs=jobs, progress=progress)
        questions: dict[str, tuple[Task, list[Question]]] = {}
        for draw, some in zip(draws, drawn, strict=True):
            _, asked = questions.setdefault(f"{draw.pack}/{draw.task}", (packs[draw.pack][draw.task], []))
            asked += some
        return questions

    async def make(self, questions: Questions, progress: Progress) -> list[Statistics]:
        """Make the trajectories of every task that is not done yet. Arguments and errors are those of ``produce``."""
        try:
            await self.environment.start()
            await self.teacher.start()
            return await produce(
                questions,
                maker=Maker(teacher=self.teacher, template=self.template, environment=self.environment),
                config=self.prepared.recipe.synthesis,
                folder=self.folder / trajectory_dataset.PARTS,
                progress=progress,
            )
        finally:
            await self.teacher.close()
            await self.environment.close()

    def finish(self, statistics: Sequence[Statistics]) -> list[str]:
        """Write the data set; returns what a user should know before using it, one sentence each.

        Raises MachineProblem if it cannot be written.
        """
        notes = _notes(self.prepared.recipe, statistics)
        instructions, provenance = self.environment.instructions, self.provenance
        trajectory_dataset.write(
            self.folder, statistics, instructions=instructions, provenance=provenance, notes=notes
        )
        return notes


def open_synthesis(prepared: Prepared, folder: Path) -> SynthesisRun:
    """Create a recipe's folder, or take up the run that it holds.

    Raises:
        RecipeError: The recipe names something that cannot be used.
        MachineProblem: The folder holds something else or cannot be written, or a package or the tokenizer is missing.
        TemplateError: The chat template cannot carry the protocol.
    """
    environment = prepared.environment()
    require_datasets()
    template = prepared.template()
    provenance = prepared.provenance(deciding_recipe(prepared.recipe, prepared.context))
    trajectory_dataset.open_folder(folder, provenance)
    teacher = _teacher(prepared.recipe, environment)
    if isinstance(teacher, ProgramTeacher) and isinstance(teacher.answer_format, WritableFormat):
        check_written_calls(teacher.answer_format, template)
    return SynthesisRun(prepared, folder, provenance, template, environment, teacher)


def deciding_recipe(recipe: Recipe, context: int) -> str:
    """The resolved recipe, with defaults for keys that change no trajectory, so that a run goes on when they change.

    Such keys are the trainer's flags (apart from its context, in tokens), rewards, the budget and the rates.
    """
    deciding = ("model", "seed", "tasks", "protocol", "sandbox", "verifier", "synthesis")
    fields = type(recipe).model_fields
    others = {name: field.default for name, field in fields.items() if name not in (*deciding, "output_dir")}
    config, endpoint = recipe.synthesis, recipe.synthesis.endpoint
    if endpoint is not None:
        free = ("requests_per_minute", "tokens_per_minute", "timeout_s", "retries", "max_cost", "max_tokens")
        fields = type(endpoint).model_fields
        endpoint = endpoint.model_copy(update={name: fields[name].default for name in free})
    concurrency = type(config).model_fields["concurrency"].default
    changed = {
        "output_dir": "runs/synthesis",
        "tasks": recipe.tasks.model_copy(update={"eval": []}),
        "protocol": recipe.protocol.model_copy(update={"max_total_tokens": context}),
        "synthesis": config.model_copy(update={"endpoint": endpoint, "concurrency": concurrency}),
    }
    return dump(recipe.model_copy(update={**others, **changed}))


def _teacher(recipe: Recipe, environment: Environment) -> Teacher:
    config, budget = recipe.synthesis, environment.budget
    if config.teacher == "programs":
        # Only two of the four variants may be answered in text: half of the attempts when variants take turns.
        text_share = min(1.0, 2 * config.text_share) if config.prompt_diversity else config.text_share
        return ProgramTeacher(
            answer_format=environment.answer_format,
            text_share=text_share,
            emphasis=config.multi_turn_emphasis,
            explanations=config.explanations,
        )
    tools = getattr(environment.answer_format, "tools", ())
    if config.teacher == "endpoint":
        if tools:
            raise RecipeError(
                "a teacher behind an endpoint is asked in text, and cannot make this format's tool calls",
                where="recipe key protocol.answer_format",
                fix="use natural, tags or boxed, or another teacher",
            )
        endpoint = config.endpoint
        assert endpoint is not None  # as validated
        requests, tokens = endpoint.requests_per_minute, endpoint.tokens_per_minute
        return EndpointTeacher(
            endpoint=endpoint,
            instructions=environment.instructions,
            max_tokens=budget.max_turn_tokens,
            cache=ReplyCache(cache_folder() / "replies"),
            ledger=Ledger(
                prompt_price=endpoint.prompt_price,
                completion_price=endpoint.completion_price,
                max_cost=endpoint.max_cost,
                max_tokens=endpoint.max_tokens,
            ),
            rate=RateLimit(requests=requests, tokens=tokens, clock=time.monotonic),
        )
    local = config.local
    assert local is not None  # as validated
    return ModelTeacher(
        name=local.model,
        engine=LocalVLLM(
            model=local.model,
            max_total_tokens=budget.max_total_tokens,
            temperature=local.temperature,
            seed=recipe.seed,
            tensor_parallel_size=local.tensor_parallel_size,
            gpu_memory_utilization=local.gpu_memory_utilization,
        ),
        templates={
            one: load_template(local.model, head_prompt(environment.instructions, one), tools=tools) for one in Variant
        },
        answer_format=environment.answer_format,
        max_tokens=budget.max_turn_tokens,
    )


def _notes(recipe: Recipe, statistics: Sequence[Statistics]) -> list[str]:
    wanted = recipe.synthesis.per_task
    nothing = [one.task for one in statistics if not one.kept]
    few = [one.task for one in statistics if 0 < one.kept < wanted]
    stopped = [one.task for one in statistics if not one.complete]
    notes = []
    if nothing:
        why = " (no reference programs)" if recipe.synthesis.teacher == "programs" else ""
        notes.append(f"{len(nothing)} tasks gave nothing{why}: {', '.join(nothing)}")
    if few:
        notes.append(f"{len(few)} tasks gave fewer than {wanted}: {', '.join(few)}")
    if stopped:
        goes_on = "with a higher one the same command goes on"
        notes.append(f"the budget ended {len(stopped)} tasks early; {goes_on}: {', '.join(stopped)}")
    return notes
