"""Groups of questions, the most promising first: of equal size as in the paper, or cut at thresholds or quantiles."""

import hashlib
import math
from collections.abc import Sequence

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.recipe.schema import CurriculumConfig


def ranked(keys: Sequence[str], values: Sequence[float], seed: int) -> list[int]:
    """The questions' numbers, highest value first; ties in an order that depends on seed and keys alone.

    Args:
        keys: ``Question.key`` of each.
        values: One for each.
        seed: The run's.
    """

    def place(number: int) -> tuple[float, bytes]:
        return -values[number], hashlib.sha256(f"{seed} {keys[number]}".encode()).digest()

    return sorted(range(len(keys)), key=place)


def grouped(order: Sequence[int], values: Sequence[float], config: CurriculumConfig) -> list[list[int]]:
    """Cut ranked questions into groups.

    Args:
        order: From ``ranked``.
        values: Of each question, by its number.
        config: Groups, thresholds or quantiles.

    Returns:
        ``config.group_count`` lists, best first; with thresholds some may be empty.

    Raises:
        RecipeError: There are fewer questions than groups.
    """
    groups = config.group_count
    if len(order) < groups:
        raise RecipeError(
            f"{len(order)} questions cannot make {groups} groups",
            where="recipe key curriculum",
            fix=f"give at least {groups} questions in tasks.train, or fewer groups",
        )
    if config.thresholds is not None:
        bounds = [sum(values[number] >= limit for number in order) for limit in config.thresholds]
    elif config.quantiles is not None:
        bounds = [math.ceil(share * len(order)) for share in config.quantiles]
    else:
        bounds = [group * len(order) // groups for group in range(1, groups)]
    edges = [0, *bounds, len(order)]
    return [list(order[start:end]) for start, end in zip(edges, edges[1:], strict=False)]
