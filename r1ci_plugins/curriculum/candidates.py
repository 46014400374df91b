"""From questions and a table to what the sampler takes; a table of something else is refused."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1ci_plugins.curriculum.groups import grouped, ranked
from r1ci_plugins.curriculum.potential import Evidence
from r1ci_plugins.curriculum.profile import curriculum_of, origin_of
from r1ci_plugins.curriculum.sampler import Candidate, CurriculumSampler
from r1ci_plugins.curriculum.table import Table, fingerprint, read_table
from r1ci_plugins.environment import Prepared
from r1ci_plugins.errors import RecipeError
from r1ci_plugins.tasks.task import Question

_WHERE = "recipe key curriculum.table"
_FIX = "make the profile again: r1ci curriculum profile --recipe FILE, with this recipe"


def recipe_table(prepared: Prepared) -> Table | None:
    """The table that a recipe's curriculum names; None if it needs none.

    Raises:
        RecipeError: It is missing, or of another model, pack version, head prompt or way of answering.
        TrajectoryFileError: It cannot be read.
    """
    config = curriculum_of(prepared)
    if config.order in ("level", "random"):
        return None
    if config.table is None:
        if config.order == "online":
            return None
        raise RecipeError(
            "a curriculum by potential needs a profile", where=_WHERE, fix=f"{_FIX}; or use order: online"
        )
    table = read_table(Path(config.table))
    if changed := table.origin.differences(origin_of(prepared)):
        raise RecipeError(
            f"the profile is of something else: {'; '.join(changed)}", where=f"{_WHERE}, {config.table}", fix=_FIX
        )
    return table


def candidates(questions: Sequence[Question], table: Table | None) -> list[Candidate]:
    """What the sampler takes.

    Raises:
        RecipeError: The table lacks questions, or has others of the same name.
    """
    if table is None:
        return [Candidate(question.key, question.difficulty) for question in questions]
    rows = {row.question: row for row in table.rows}
    missing = [question for question in questions if question.key not in rows]
    changed = [
        question
        for question in questions
        if question.key in rows and rows[question.key].fingerprint != fingerprint(question)
    ]
    if missing or changed:
        first = (missing or changed)[0].key
        what = f"{len(missing)} of {len(questions)} questions are not in the profile, {len(changed)} have changed"
        raise RecipeError(f"{what}; the first is {first}", where=_WHERE, fix=_FIX)
    return [Candidate(one.key, one.difficulty, rows[one.key].evidence) for one in questions]


def table_groups(table: Table, prepared: Prepared) -> tuple[list[list[int]], list[str]]:
    """A table's rows in the groups of a recipe, by number, and the groups in lines; one group if they are too few."""
    potentials = [row.potential for row in table.rows]
    order = ranked([row.question for row in table.rows], potentials, prepared.recipe.seed)
    config = curriculum_of(prepared)
    groups = [order] if len(order) < config.group_count else grouped(order, potentials, config)
    lines = [f"{sum(value > 0 for value in potentials)} of {len(order)} questions have a potential above 0"]
    for number, group in enumerate(groups, 1):
        values = [potentials[one] for one in group]
        span = f", potential {min(values):.2f} to {max(values):.2f}" if values else ""
        lines.append(f"group {number}: {len(group)} questions{span}")
    return groups, lines


def to_json(known: Sequence[Candidate]) -> str:
    """Candidates as a run keeps them."""
    lines = [[one.key, one.level, one.evidence.correct, one.evidence.count] for one in known]
    return json.dumps(lines) + "\n"


def from_json(text: str) -> dict[str, Candidate]:
    """Read back what ``to_json`` wrote, by question."""
    return {key: Candidate(key, level, Evidence(right, count)) for key, level, right, count in json.loads(text)}


def sampler_of(known: Sequence[Candidate], prepared: Prepared) -> CurriculumSampler:
    """The sampler of a run, at its start; raises RecipeError as it does."""
    batch = int(prepared.flag("rollout.batch_size"))
    return CurriculumSampler(known, curriculum_of(prepared), batch=batch, seed=prepared.recipe.seed)


def volumes(sampler: CurriculumSampler) -> list[str]:
    """What each stage trains on, in lines, as the questions are grouped now."""
    return [sampler.describe(number) for number in range(sampler.stages)]


def state_line(sampler: CurriculumSampler, step: int) -> Mapping[str, Any]:
    """A line of ``curriculum.jsonl``: where the sampler stands after a step."""
    finished = sampler.finished
    return {
        "step": step,
        "stage": sampler.stage + (not finished),
        "questions": 0 if finished else len(sampler.pool(sampler.stage)),
        "drawn": sampler.drawn,
    }
