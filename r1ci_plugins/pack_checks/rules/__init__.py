"""What every task promises, as rules that are checked one by one on questions of the task.

A rule is a function of an ``Examination`` that yields a ``Failure`` for each breach; ``RULES`` has them by name. One
rule needs more: ``pack_checks.validation`` also compares what two processes generate (``same in every process``).
"""

from collections.abc import Callable, Iterator, Mapping

from r1ci_plugins.pack_checks.examination import Examination, Failure
from r1ci_plugins.pack_checks.rules import right, task, wrong

RULES: Mapping[str, Callable[[Examination], Iterator[Failure]]] = {
    "described": task.described,
    "same in every process": task.same_state_same_question,
    "every level": task.every_level,
    "200 distinct questions": task.distinct_questions,
    "every split": task.every_split,
    "survives JSON and pickle": task.survives_json_and_pickle,
    "no leak": task.no_leak,
    "reference is right": right.reference_is_right,
    "solver agrees": right.solver_agrees,
    "programs are right": right.programs_are_right,
    "harmless variation": right.harmless_variation,
    "empty scores 0": wrong.nothing_is_wrong,
    "echo scores 0": wrong.echo_is_wrong,
    "example scores 0": wrong.example_is_wrong,
    "another question's answer scores 0": wrong.other_answers_are_wrong,
    "corruption scores 0": wrong.corruption_is_wrong,
    "odd text scores 0": wrong.odd_text_is_wrong,
}
"""Rules that yield their own failures, in the order in which they are checked."""
