"""The task pack ``bbh``: the 27 tasks of BIG-Bench-Hard, one module each or one for each family."""

from __future__ import annotations

from collections.abc import Sequence

from r1ci_plugins import TaskPack, hookimpl
from r1ci_tasks_bbh.boolean_expressions import BooleanExpressions
from r1ci_tasks_bbh.causal_judgement import CausalJudgement
from r1ci_tasks_bbh.date_understanding import DateUnderstanding
from r1ci_tasks_bbh.disambiguation_qa import DisambiguationQa
from r1ci_tasks_bbh.dyck_languages import DyckLanguages
from r1ci_tasks_bbh.formal_fallacies import FormalFallacies
from r1ci_tasks_bbh.geometric_shapes import GeometricShapes
from r1ci_tasks_bbh.hyperbaton import Hyperbaton
from r1ci_tasks_bbh.logical_deduction import LogicalDeduction
from r1ci_tasks_bbh.movie_recommendation import MovieRecommendation
from r1ci_tasks_bbh.multistep_arithmetic_two import MultistepArithmeticTwo
from r1ci_tasks_bbh.navigate import Navigate
from r1ci_tasks_bbh.object_counting import ObjectCounting
from r1ci_tasks_bbh.penguins_in_a_table import PenguinsInATable
from r1ci_tasks_bbh.reasoning_about_colored_objects import ReasoningAboutColoredObjects
from r1ci_tasks_bbh.ruin_names import RuinNames
from r1ci_tasks_bbh.salient_translation_error_detection import SalientTranslationErrorDetection
from r1ci_tasks_bbh.snarks import Snarks
from r1ci_tasks_bbh.sports_understanding import SportsUnderstanding
from r1ci_tasks_bbh.temporal_sequences import TemporalSequences
from r1ci_tasks_bbh.tracking_shuffled_objects import TrackingShuffledObjects
from r1ci_tasks_bbh.web_of_lies import WebOfLies
from r1ci_tasks_bbh.word_sorting import WordSorting

_COUNTS = ("three", "five", "seven")


@hookimpl
def r1ci_task_packs() -> Sequence[TaskPack]:
    """The one pack of this distribution."""
    tasks = [
        BooleanExpressions(),
        CausalJudgement(),
        DateUnderstanding(),
        DisambiguationQa(),
        DyckLanguages(),
        FormalFallacies(),
        GeometricShapes(),
        Hyperbaton(),
        *map(LogicalDeduction, _COUNTS),
        MovieRecommendation(),
        MultistepArithmeticTwo(),
        Navigate(),
        ObjectCounting(),
        PenguinsInATable(),
        ReasoningAboutColoredObjects(),
        RuinNames(),
        SalientTranslationErrorDetection(),
        Snarks(),
        SportsUnderstanding(),
        TemporalSequences(),
        *map(TrackingShuffledObjects, _COUNTS),
        WebOfLies(),
        WordSorting(),
    ]
    return [TaskPack("bbh", tasks)]
