"""Rules about right answers: each of them scores 1.0, however it is written."""

import re
from collections.abc import Iterable, Iterator, Sequence

from r1ci_plugins.pack_checks.examination import Examination, Failure, excerpt, failure
from r1ci_plugins.pack_checks.rules.task import FIX_REFERENCE
from r1ci_plugins.tasks.task import Program, Question

_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?(?:,\s*-?\d+(?:\.\d+)?)+", re.ASCII)
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)  # one number, with commas between thousands


def reference_is_right(exam: Examination) -> Iterator[Failure]:
    """The reference answer scores 1.0."""
    yield from exam.expect("reference is right", 1.0, lambda q: [q.answer], fix=FIX_REFERENCE)


def solver_agrees(exam: Examination) -> Iterator[Failure]:
    """The independent solution, where there is one, scores 1.0."""

    def solutions(question: Question) -> list[str]:
        exam.doing(f"solving {question.key}")
        solution = exam.task.solve(question)
        return [] if solution is None else [solution]

    fix = "find which of generate, solve and check reads the rules differently"
    yield from exam.expect("solver agrees", 1.0, solutions, fix=fix)


def programs_are_right(exam: Examination) -> Iterator[Failure]:
    """What each reference program prints scores 1.0."""
    rule = "programs are right"
    if not exam.questions:
        return
    question = exam.questions[0]
    programs: Sequence[Program] = exam.task.programs(question)
    if not programs:
        return
    if exam.run_program is None:
        exam.notes[rule] = "not run without a sandbox"
        return
    for program in programs:
        exam.doing(f"running the {program.style} program for {question.key}")
        printed = exam.run_program(program.code).strip()
        if exam.score(rule, question, printed) < 1.0:
            what = f"the {program.style} program printed {excerpt(printed)!r}, which is not a correct answer"
            yield failure(rule, question, what=what, fix=f"correct Task.programs, style {program.style!r}")


def harmless_variation(exam: Examination) -> Iterator[Failure]:
    """White space, quotes, marks of Markdown and LaTeX, a fence, a period, brackets, full-width digits do nothing."""
    fix = "read the answer with r1ci_plugins.tasks.answers, and compare what was read"

    def written(question: Question) -> Iterable[str]:
        yield from variations(question.answer)
        yield from exam.task.variations(question)

    yield from exam.expect("harmless variation", 1.0, written, fix=fix)


def _balanced(text: str) -> bool:
    """Whether every brace closes."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def variations(answer: str) -> Iterator[str]:
    """Ways to write an answer that mean the same in every task."""
    yield from (f" {answer}\n", f"```\n{answer}\n```")
    if not answer.endswith("."):
        yield f"{answer}."
    yield from (f"{mark}{answer}{mark}" for mark in ('"', "'", "`", "**", "__", "$", "$$") if mark not in answer)
    if "\\" not in answer and not {answer[:1], answer[-1:]} & set("$_"):
        yield from (f"\\({answer}\\)", f"\\[{answer}\\]", f"```text\n{answer}\n```")
        if _balanced(answer):
            yield from (f"\\{macro}{{{answer}}}" for macro in ("boxed", "text", "textbf"))
            yield f"$\\boxed{{{answer}}}$."
    if re.search(r"\d", answer, re.ASCII):
        yield answer.translate({ord(str(digit)): chr(ord("０") + digit) for digit in range(10)})
    inside = answer.strip()
    if flat := re.fullmatch(r"\[([^\[\](){}\"']*,[^\[\](){}\"']*)\]", inside):
        inside = flat[1]
    elif not _NUMBERS.fullmatch(inside) or _THOUSANDS.fullmatch(inside):
        return
    tight = re.sub(r"\s*,\s*", ",", inside)
    yield from (f"[{inside}]", f"({inside})", inside, tight, tight.replace(",", ",\n"), f"[ {inside} ]")
