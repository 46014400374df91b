"""A recipe's questions as prompts of its model: chat template, what fits the context. For runs and for data sets."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from r1ci_plugins.errors import MachineProblem, TaskError, TemplateError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.questions.drawing import draw_all
from r1ci_plugins.questions.splits import normalised
from r1ci_plugins.recipe.schema import Recipe, resolve_draws
from r1ci_plugins.tasks.task import Question, TaskPack

_SETUP_BUILDS_MODELS = "`make setup` builds the models of the CPU recipes"


@dataclass(frozen=True)
class FittingQuestions:
    """Drawn questions that fit, each text once.

    Attributes:
        questions: In the order they are asked: shuffled for training, task by task for evaluation.
        notes: What was left out or is missing, for people.
    """

    questions: Sequence[Question]
    notes: Sequence[str]


def load_template(model: str, instructions: str) -> ChatTemplate:
    """Load a model's tokenizer and verify turn boundaries against its chat template.

    Args:
        model: Folder or hub name.
        instructions: The head prompt.

    Raises:
        MachineProblem: The model folder or its tokenizer cannot be loaded.
        TemplateError: The chat template cannot carry the protocol.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MachineProblem(
            "prompts are rendered by the model's chat template, and transformers is not installed",
            fix="pip install 'r1ci-plugins[data]', or [gpu] for training too",
        ) from error
    exists = os.path.isdir(model)
    looks_local = exists or model.startswith((".", "/", "~")) or model.count("/") != 1
    looks_local = looks_local or os.path.isdir(os.path.dirname(model))
    if looks_local and not os.path.isfile(os.path.join(model, "config.json")):
        raise MachineProblem(
            f"the model folder {model!r} {'has no config.json' if exists else 'is missing'}",
            where="recipe key model",
            fix=f"give a Hugging Face model folder or hub name; {_SETUP_BUILDS_MODELS}",
        )
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model, trust_remote_code=True)
    except Exception as error:  # transformers and the hub raise many types
        place = "from this folder" if exists else "from the hub, and there is no such folder"
        cause = next(iter(str(error).splitlines()), "")
        raise MachineProblem(
            f"the tokenizer of {model!r} cannot be loaded {place}: {type(error).__name__}: {cause}",
            where="recipe key model",
            fix=f"check the folder or hub name, and that the hub can be reached from here; {_SETUP_BUILDS_MODELS}",
        ) from error
    return ChatTemplate(tokenizer, instructions)


def check_thinking(recipe: Recipe, template: ChatTemplate) -> None:
    """Refuse what a recipe wants of ``<think>`` sections where template or tokenizer cannot do it.

    Raises:
        TemplateError: ``earlier_thinking: template``, and the template drops them from earlier turns: a trajectory
            would then be several sequences, one per turn, each with another past. Or ``code_in_thinking: false``, and
            a turn's decoded text does not have the tags.
    """
    if not template.shows_thinking and recipe.protocol.answer_format_options.get("code_in_thinking") is False:
        raise TemplateError(
            "this tokenizer has <think> as a special token, so that a turn's text does not show where thinking ends",
            where="recipe key protocol.answer_format_options.code_in_thinking",
            fix="leave it at true, or use a tokenizer in which <think> is an ordinary added token (Qwen3)",
        )
    if recipe.protocol.earlier_thinking == "template" and not template.keeps_thinking:
        raise TemplateError(
            "the chat template drops <think> sections of earlier turns: a later turn would be sampled after other "
            "tokens than those it is trained after, because a trajectory is one sequence of tokens",
            where="recipe key protocol.earlier_thinking",
            fix="use earlier_thinking: kept (the same tokens in SFT, RL and evaluation), or a model whose template "
            "keeps them",
        )


def room_for_prompt(recipe: Recipe, flags: Mapping[str, Any]) -> int:
    """Tokens that a prompt must stay below: the context of a whole trajectory."""
    length = int(flags.get("data.max_len") or 2048)
    return min(recipe.protocol.max_total_tokens or length, length)


def fitting_questions(
    recipe: Recipe,
    name: Literal["train", "eval"],
    packs: Mapping[str, TaskPack],
    plugins: Sequence[str],
    template: ChatTemplate,
    room: int,
    jobs: int | None = None,
) -> FittingQuestions:
    """Draw a recipe's questions, with a progress bar, and keep those that fit.

    Args:
        recipe: Its ``tasks`` section and seed decide.
        name: Questions to train on, or those held out.
        packs: The recipe's packs.
        plugins: Names of the loaded plugins.
        template: Of the model that will be asked.
        room: Tokens that a prompt must stay below.
        jobs: Processes; None means one per core.

    Raises:
        TaskError: As ``draw_all``, or every question of a task is too long.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    draws = resolve_draws(recipe, name, packs)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task(f"generating {name} questions", total=sum(draw.count for draw in draws))
        drawn = draw_all(draws, packs, plugins, jobs=jobs, progress=lambda n: progress.update(bar, completed=n))
    notes, kept, seen = [], list[Question](), set[str]()
    left_out = defaultdict[str, int](int)
    for draw, questions in zip(draws, drawn, strict=True):
        task = f"{draw.pack}/{draw.task}"
        fitting = [question for question in questions if len(template.prompt(question.text).token_ids) < room]
        if not fitting and draw.count:
            raise TaskError(
                f"every question of {task} is longer than the context of {room} tokens",
                where=f"recipe key tasks.{name}",
                fix="raise trainer.data.max_len (and protocol.max_total_tokens), lower difficulty, or drop the task",
            )
        if len(questions) < draw.count:
            notes.append(f"{task} has {len(questions)} questions of split {draw.split}, {draw.count} were asked for")
        left_out[f"do not fit {room} tokens"] += len(questions) - len(fitting)
        for question in fitting:
            text = normalised(question.text)
            left_out["repeat another one"] += text in seen
            kept += [question] if text not in seen else []
            seen.add(text)
    total = sum(map(len, drawn))
    notes += [f"{n} of {total} {name} questions {why} and were left out" for why, n in left_out.items() if n]
    if name == "train":  # OpenRLHF shuffles too, but only within an episode's dataloader
        random.Random(recipe.seed).shuffle(kept)
    return FittingQuestions(kept, notes)
