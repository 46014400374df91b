"""A recipe's questions as prompts of its model: what fits the context, each text once."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from r1ci_plugins.errors import TaskError, TemplateError
from r1ci_plugins.protocol.actions import ActionKind
from r1ci_plugins.protocol.answer_format import AnswerFormat, WritableFormat
from r1ci_plugins.protocol.chat_template import SAMPLE, ChatTemplate
from r1ci_plugins.questions.drawing import draw_all
from r1ci_plugins.questions.selection import Purpose
from r1ci_plugins.questions.splits import Draw, normalised
from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.tasks.task import Question, TaskPack


@dataclass(frozen=True)
class FittingQuestions:
    """Drawn questions that fit, each text once.

    Attributes:
        questions: In the order they are asked: shuffled for training, task by task for evaluation.
        notes: What was left out or is missing, for people.
    """

    questions: Sequence[Question]
    notes: Sequence[str]


def check_thinking(recipe: Recipe, template: ChatTemplate) -> None:
    """Refuse what a recipe wants of ``<think>`` sections where the template cannot do it.

    Raises:
        TemplateError: ``earlier_thinking: template``, and the template drops them from earlier turns: a trajectory
            would then be several sequences, one per turn, each with another past.
    """
    if recipe.protocol.earlier_thinking == "template" and not template.keeps_thinking:
        raise TemplateError(
            "the chat template drops <think> sections of earlier turns: a later turn would be sampled after other "
            "tokens than those it is trained after, because a trajectory is one sequence of tokens",
            where="recipe key protocol.earlier_thinking",
            fix="use earlier_thinking: kept (the same tokens in SFT, RL and evaluation), or a model whose template "
            "keeps them",
        )


def check_calls(answer_format: AnswerFormat, template: ChatTemplate) -> None:
    """Refuse a chat template whose form of a tool call the answer format does not read.

    Raises:
        TemplateError: There are tools, and the format reads something else in a call that the template renders.
    """
    if not template.sample_call:
        return
    action = answer_format.parse(template.sample_call)
    if (action.kind, action.content) != (ActionKind.CODE, SAMPLE):
        raise TemplateError(
            "the answer format does not read tool calls in the form of this chat template",
            where=f"the template writes {template.sample_call[-200:]!r}",
            fix="use protocol.answer_format: natural, tags or boxed, or a plugin's format that reads such calls",
        )


def check_written_calls(answer_format: WritableFormat, template: ChatTemplate) -> None:
    """Refuse to write tool calls in another form than the chat template's.

    Raises:
        TemplateError: There are tools, and the template renders a call in another way than the format writes it.
    """
    written = answer_format.code_turn("", SAMPLE).partition(SAMPLE)[0]
    if template.sample_call and "".join(written.split()) not in "".join(template.sample_call.split()):
        raise TemplateError(
            "the answer format writes tool calls in another form than this chat template has",
            where=f"it writes {written!r}, the template {template.sample_call[-200:]!r}",
            fix="name the template's form in protocol.answer_format_options.dialect",
        )


def fitting_questions(
    draws: Sequence[Draw],
    purpose: Purpose,
    *,
    packs: Mapping[str, TaskPack],
    plugins: Sequence[str],
    template: ChatTemplate,
    room: int,
    seed: int,
    progress: Callable[[int], None],
    jobs: int | None = None,
) -> FittingQuestions:
    """Draw questions and keep those whose prompts stay below ``room`` tokens, each text once.

    Questions to train on are shuffled, those held out stay task by task. ``progress`` is called with the number of
    questions drawn so far; ``jobs`` is the number of processes, None for one per core.

    Raises TaskError as ``draw_all`` does, or if every question of a task is too long.
    """
    drawn = draw_all(draws, packs, plugins, jobs=jobs, progress=progress)
    notes: list[str] = []
    kept: list[Question] = []
    seen: set[str] = set()
    left_out = Counter[str]()
    for draw, questions in zip(draws, drawn, strict=True):
        task = f"{draw.pack}/{draw.task}"
        fitting = [question for question in questions if len(template.prompt(question.text).token_ids) < room]
        if not fitting and draw.count:
            raise TaskError(
                f"every question of {task} is longer than the context of {room} tokens",
                where=f"recipe key tasks.{purpose}",
                fix="raise trainer.data.max_len (and protocol.max_total_tokens), lower difficulty, or drop the task",
            )
        if len(questions) < draw.count:
            notes.append(f"{task} has {len(questions)} questions of split {draw.split}, {draw.count} were asked for")
        left_out[f"do not fit {room} tokens"] += len(questions) - len(fitting)
        for question in fitting:
            text = normalised(question.text)
            if text in seen:
                left_out["repeat another one"] += 1
            else:
                kept.append(question)
                seen.add(text)
    total = sum(map(len, drawn))
    notes += [f"{n} of {total} {purpose} questions {why} and were left out" for why, n in left_out.items() if n]
    if purpose == "train":  # OpenRLHF shuffles too, but only within an episode's dataloader
        random.Random(seed).shuffle(kept)
    return FittingQuestions(kept, notes)
