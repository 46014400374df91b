"""Rules about the task itself: its description, its levels and its stream of questions."""

import pickle
import random
import re
from collections.abc import Iterator

from r1ci_plugins.errors import TaskError
from r1ci_plugins.pack_checks.examination import DISTINCT, Examination, Failure, excerpt, failure
from r1ci_plugins.pack_checks.likeness import tidied
from r1ci_plugins.questions.splits import SHARES, normalised, split_of
from r1ci_plugins.tasks.task import Question

FIX_DETERMINISM = "use no randomness, order of a set, clock or state but rng; sort what comes out of a set"
FIX_REFERENCE = "find which of generate and check is wrong about this question"
_FIX_JSON = "put only text keys, lists (not tuples), numbers, texts, booleans and None into Question.metadata"
_LEAK_CHARS = 6


def described(exam: Examination) -> Iterator[Failure]:
    """The task has a usable name, a description, at least one level, and a known capability class or none."""
    task = exam.task
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", task.name):
        fix = "use lower-case letters, digits and underscores, such as add_two; recipes and metrics use the name"
        yield failure("described", what=f"the name is {task.name!r}", fix=fix)
    if not task.description.strip():
        yield failure("described", what="no description", fix="set Task.description to one sentence")
    if not isinstance(task.levels, int) or task.levels < 1:
        yield failure("described", what=f"levels is {task.levels!r}", fix="set Task.levels to an int from 1")
    if task.capability not in ("", "execution", "planning", "reasoning"):
        fix = "set Task.capability to execution, planning, reasoning or an empty text"
        yield failure("described", what=f"capability is {task.capability!r}", fix=fix)


def every_level(exam: Examination) -> Iterator[Failure]:
    """Every level makes questions, and their reference answers are right."""
    for level in range(exam.task.levels):
        question = exam.draw(0, level)
        yield from exam.expect("every level", 1.0, lambda q: [q.answer], fix=FIX_REFERENCE, questions=[question])


def distinct_questions(exam: Examination) -> Iterator[Failure]:
    """There are at least 200 different questions at the default difficulty, or as many as ``Task.size`` says."""
    found, drawn = len(exam.distinct), len(exam.candidates)
    repeated = drawn - found
    wanted = DISTINCT if exam.task.size is None else min(DISTINCT, exam.task.size)
    likely = found
    if exam.notes:  # slow: estimate N from the repetitions; among n draws about n(n-1)/2N pairs are equal
        likely = drawn * (drawn - 1) // (2 * repeated) if repeated else wanted
    if max(found, likely) < wanted:
        seen = f"{found} different questions among {drawn}"
        fix = "widen the default difficulty; where the questions are a fixed set of data, set Task.size"
        yield failure("200 distinct questions", what=f"{seen}, {wanted} wanted", fix=fix)


def every_split(exam: Examination) -> Iterator[Failure]:
    """Each split gets questions, and no text is in two of them."""
    if len(exam.distinct) < DISTINCT:
        return  # too few to expect one in each split
    texts = {split: {t for t, q in exam.distinct.items() if split_of(q.text) == split} for split in SHARES}
    for split, mine in texts.items():
        if not mine:
            fix = "make questions differ in more than white space and case"
            yield failure("every split", what=f"no question falls into the split {split}", fix=fix)
        if any(mine & others for other, others in texts.items() if other != split):
            yield failure("every split", what=f"{split} shares texts with another split", fix="report this: a bug")


def same_state_same_question(exam: Examination) -> Iterator[Failure]:
    """The same random state gives the same question again, whatever was drawn in between."""
    for first in exam.candidates[:3]:
        random.seed(first.index + 1)
        if exam.draw(first.index) != first:
            yield failure("same in every process", first, what="another question the second time", fix=FIX_DETERMINISM)


def survives_json_and_pickle(exam: Examination) -> Iterator[Failure]:
    """A question comes back from JSON and pickle, and its checker works on what came back."""
    rule = "survives JSON and pickle"
    for question in exam.questions:
        try:
            again = Question.from_json(question.to_json())
            whole = pickle.loads(pickle.dumps(question)) == question
        except (TaskError, pickle.PicklingError, TypeError, AttributeError) as error:
            yield failure(rule, question, what=str(error).splitlines()[0], fix=_FIX_JSON)
            continue
        if not whole or again.to_json() != question.to_json() or again.metadata != question.metadata:
            yield failure(rule, question, what="the question that comes back is another", fix=_FIX_JSON)
        else:
            yield from exam.expect(rule, 1.0, lambda q: [q.answer], fix=_FIX_JSON, questions=[again])


def no_leak(exam: Examination) -> Iterator[Failure]:
    """At most half of the texts contain their answer. Short answers, plain words and names may occur in them."""
    plain_words = re.compile(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*")
    long = [q for q in exam.questions if len(tidied(q.answer)) >= _LEAK_CHARS]
    leaking = [q for q in long if not plain_words.fullmatch(tidied(q.answer))]
    leaking = [q for q in leaking if normalised(tidied(q.answer)) in normalised(q.text)]
    leaking += [q for q in exam.questions if q not in leaking and _says_its_answer(q)]
    if 2 * len(leaking) > len(exam.questions):
        example = excerpt(leaking[0].answer)
        what = f"{len(leaking)} of {len(exam.questions)} texts contain the answer, such as {example!r}"
        fix = "take the answer out of the text, or ask for something else"
        yield failure("no leak", leaking[0], what=what, fix=fix)


def _says_its_answer(question: Question) -> bool:
    """Whether the text says "the answer is ..." with the answer, however short it is."""
    answer = re.escape(tidied(question.answer))
    said = rf"(?:answer|solution)\s*(?:is|:|=)\s*[\"'<(\[]*{answer}(?!\w)(?!\s*(?:or|,|/)\s)"
    return bool(answer and re.search(said, question.text, re.IGNORECASE))
