"""What every task promises, as rules that are checked one by one on questions of the task.

``RULES`` names them. A rule is a function of an ``Examination`` that yields a ``Failure`` for each breach. Four more
promises hold for every call to the checker, whichever rule makes it: ``answers in time``, ``never raises``,
``never evaluates`` and ``scores in [0, 1]``. Two processes that generate the same questions (``same in every
process``) are compared by ``pack_checks.validation``, which also runs the rules where a hang can be killed.
"""

from __future__ import annotations

import pickle
import random
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from r1ci_plugins.errors import TaskError
from r1ci_plugins.questions.splits import SHARES, candidate, normalised, split_of
from r1ci_plugins.rewards.verifier import ask_task
from r1ci_plugins.tasks import answers
from r1ci_plugins.tasks.task import Program, Question, Task

DISTINCT = 200
"""Different questions that a task must have at its default difficulty."""

CHECK_S = 1.0
"""CPU seconds that one answer may cost, a megabyte of nonsense included."""

_SAMPLE = 20
_LEAST = 5
_ODD_QUESTIONS = 2
_LEAK_CHARS = 6
_ENOUGH = 8  # trials after which "never" is a finding where a single one is not
_MEGABYTE = 1_000_000
_PATIENCE = 3


@dataclass(frozen=True)
class Failure:
    """One breach of a rule.

    Attributes:
        rule: Name of the rule.
        question: Key of the question, empty if it is not about one.
        text: The question's text, shortened.
        what: What was seen.
        fix: What the pack's author can do about it.
    """

    rule: str
    question: str
    text: str
    what: str
    fix: str

    def __str__(self) -> str:
        about = f"\n  question: {self.question}: {self.text}" if self.question else ""
        return f"{self.rule}: {self.what}{about}\n  fix: {self.fix}"


@dataclass
class Examination:
    """One task, questions of it, and its checker under watch.

    Attributes:
        pack: Name of the pack.
        task: The task.
        seconds: About how long to spend on making questions; a slow task is examined on fewer.
        run_program: Runs a Python program in the sandbox and returns what it printed; None if there is no sandbox.
        doing: Told what is about to happen, so that a hang can be named.
        failures: Breaches of the four promises of every call to the checker, found so far.
        notes: What could not be examined, by rule, for people.
    """

    pack: str
    task: Task
    seconds: float = 2.0
    run_program: Callable[[str], str] | None = None
    doing: Callable[[str], None] = lambda what: None
    failures: list[Failure] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"conformance/{self.pack}/{self.task.name}")
        self.candidates: list[Question] = []
        self.distinct: dict[str, Question] = {}
        self._draw()
        self.questions = list(self.distinct.values())[:_SAMPLE]
        _watch_interpreter()
        if self.questions:  # what the checker imports or reads only once does not count as evaluation
            for answer in (self.questions[0].answer, "?"):
                self.score("never raises", self.questions[0], answer, watched=False)

    def draw(self, index: int, difficulty: int | None = None) -> Question:
        """A question of the task's stream; it may be equal to another."""
        self.doing(f"generating question {index} at difficulty {difficulty}")
        return candidate(self.pack, self.task, "rl", index, 0, difficulty)

    def score(self, rule: str, question: Question, answer: str, *, watched: bool = True) -> float:
        """The checker's verdict. A breach of what holds for every call is recorded, and counts as NaN.

        A checker that is too slow three times is not asked again, lest an examination take hours.
        """
        if sum(failure.rule == "answers in time" for failure in self.failures) >= _PATIENCE:
            return float("nan")
        self.doing(f"{rule}: checking {excerpt(answer)!r} for {question.key}")
        started = time.process_time()
        try:
            with _Watch(watched) as watch:
                value = ask_task(self.task, question, answer).value
        except _Evaluated:
            value = float("nan")
        except (TypeError, ValueError) as error:
            return self._breach(_rule_of(error), question, answer, f"{type(error).__name__}: {error}")
        except Exception as error:
            return self._breach("never raises", question, answer, f"{type(error).__name__}: {error}")
        if watch.events:
            return self._breach("never evaluates", question, answer, f"the interpreter saw {', '.join(watch.events)}")
        if (spent := time.process_time() - started) > CHECK_S:
            return self._breach("answers in time", question, answer, f"{spent:.1f} s of CPU")
        return value

    def failure(self, rule: str, question: Question | None, what: str, fix: str) -> Failure:
        """A failure about a question of this task."""
        return Failure(rule, question.key if question else "", excerpt(question.text) if question else "", what, fix)

    def _breach(self, rule: str, question: Question, answer: str, what: str) -> float:
        self.failures.append(self.failure(rule, question, f"{what}, for the answer {excerpt(answer)!r}", _FIXES[rule]))
        return float("nan")

    def _draw(self) -> None:
        """Candidates until there are enough different ones, or time or patience is over."""
        wanted = DISTINCT if self.task.size is None else min(DISTINCT, self.task.size)
        deadline, barren = float("inf"), 0
        while len(self.distinct) < wanted and barren < 2 * DISTINCT:
            if time.monotonic() > deadline and len(self.candidates) >= _LEAST:
                self.notes["200 distinct questions"] = f"only {len(self.candidates)} examined, being slow to generate"
                return
            question = self.draw(len(self.candidates))
            if not self.candidates:  # the first one may have started or read whatever is behind the task
                deadline = time.monotonic() + self.seconds
            self.candidates.append(question)
            text = normalised(question.text)
            barren = barren + 1 if text in self.distinct else 0
            self.distinct.setdefault(text, question)


def excerpt(text: str, length: int = 100) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else f"{line[:length]}..."


# --- the task itself ----------------------------------------------------------------------------------------------


def described(exam: Examination) -> Iterator[Failure]:
    """It has a sentence of description, at least one level, and a known capability class or none."""
    task = exam.task
    if not task.description.strip():
        yield exam.failure("described", None, "no description", "set Task.description to one sentence")
    if not isinstance(task.levels, int) or task.levels < 1:
        yield exam.failure("described", None, f"levels is {task.levels!r}", "set Task.levels to an int from 1")
    if task.capability not in ("", "execution", "planning", "reasoning"):
        fix = "set Task.capability to execution, planning, reasoning or an empty text"
        yield exam.failure("described", None, f"capability is {task.capability!r}", fix)


def every_level(exam: Examination) -> Iterator[Failure]:
    """Every level makes questions, whose reference answers are right."""
    for level in range(exam.task.levels):
        question = exam.draw(0, level)
        yield from _expect(exam, "every level", 1.0, lambda q: [q.answer], _FIX_REFERENCE, [question])


def distinct_questions(exam: Examination) -> Iterator[Failure]:
    """There are at least 200 different questions at the default difficulty, or as many as ``Task.size`` says."""
    found, drawn = len(exam.distinct), len(exam.candidates)
    repeated = drawn - found
    wanted = DISTINCT if exam.task.size is None else min(DISTINCT, exam.task.size)
    # Among n draws from N questions about n(n-1)/2N pairs are equal: what a slow task shows of N before it is full.
    likely = found if not exam.notes else drawn * (drawn - 1) // (2 * repeated) if repeated else wanted
    if max(found, likely) < wanted:
        seen = f"{found} different questions among {drawn}"
        fix = "widen the default difficulty; where the questions are a fixed set of data, set Task.size"
        yield exam.failure("200 distinct questions", None, f"{seen}, {wanted} wanted", fix)


def every_split(exam: Examination) -> Iterator[Failure]:
    """Each split gets questions, and no text is in two of them."""
    if len(exam.distinct) < DISTINCT:
        return  # too few to expect one in each; the framework splits by text, so they are disjoint
    texts = {split: {t for t, q in exam.distinct.items() if split_of(q.text) == split} for split in SHARES}
    for split, mine in texts.items():
        if not mine:
            fix = "make questions differ in more than white space and case"
            yield exam.failure("every split", None, f"no question falls into the split {split}", fix)
        if any(mine & others for other, others in texts.items() if other != split):
            yield exam.failure("every split", None, f"{split} shares texts with another split", "report this: a bug")


def same_state_same_question(exam: Examination) -> Iterator[Failure]:
    """The same random state gives the same question again, whatever was asked before."""
    for first in exam.candidates[:3]:
        random.seed(first.index + 1)
        if exam.draw(first.index) != first:
            yield exam.failure("same in every process", first, "another question the second time", FIX_DETERMINISM)


def survives_json_and_pickle(exam: Examination) -> Iterator[Failure]:
    """A question comes back from JSON and pickle, and its checker works on what came back."""
    rule = "survives JSON and pickle"
    for question in exam.questions:
        try:
            again = Question.from_json(question.to_json())
            whole = pickle.loads(pickle.dumps(question)) == question
        except (TaskError, pickle.PicklingError, TypeError, AttributeError) as error:
            yield exam.failure(rule, question, str(error).splitlines()[0], _FIX_JSON)
            continue
        if not whole or again.to_json() != question.to_json() or again.metadata != question.metadata:
            yield exam.failure(rule, question, "the question that comes back is another", _FIX_JSON)
        else:
            yield from _expect(exam, rule, 1.0, lambda q: [q.answer], _FIX_JSON, [again])


def no_leak(exam: Examination) -> Iterator[Failure]:
    """Texts do not contain their answers, but for a few; plain words and names, such as options, may occur."""
    leaking = [q for q in exam.questions if len(tidied(q.answer)) >= _LEAK_CHARS and not _plain_words(q.answer)]
    leaking = [q for q in leaking if normalised(tidied(q.answer)) in normalised(q.text)]
    if 2 * len(leaking) > len(exam.questions):
        seen = (
            f"{len(leaking)} of {len(exam.questions)} texts contain the answer, such as {excerpt(leaking[0].answer)!r}"
        )
        yield exam.failure("no leak", leaking[0], seen, "take the answer out of the text, or ask for something else")


# --- answers that are right ---------------------------------------------------------------------------------------


def reference_is_right(exam: Examination) -> Iterator[Failure]:
    """The reference answer scores 1.0."""
    yield from _expect(exam, "reference is right", 1.0, lambda q: [q.answer], _FIX_REFERENCE)


def solver_agrees(exam: Examination) -> Iterator[Failure]:
    """The independent solution, where there is one, scores 1.0."""

    def solutions(question: Question) -> list[str]:
        exam.doing(f"solving {question.key}")
        solution = exam.task.solve(question)
        return [] if solution is None else [solution]

    fix = "find which of generate, solve and check reads the rules differently"
    yield from _expect(exam, "solver agrees", 1.0, solutions, fix)


def programs_are_right(exam: Examination) -> Iterator[Failure]:
    """What each reference program prints scores 1.0."""
    rule = "programs are right"
    question = next(iter(exam.questions), None)
    programs: Sequence[Program] = exam.task.programs(question) if question else ()
    if not programs or question is None:
        return
    if exam.run_program is None:
        exam.notes[rule] = "not run without a sandbox"
        return
    for program in programs:
        exam.doing(f"running the {program.style} program for {question.key}")
        printed = exam.run_program(program.code).strip()
        if exam.score(rule, question, printed) < 1.0:
            what = f"the {program.style} program printed {excerpt(printed)!r}, which is no correct answer"
            yield exam.failure(rule, question, what, f"correct Task.programs, style {program.style!r}")


def harmless_variation(exam: Examination) -> Iterator[Failure]:
    """Spaces, quotes, backticks, a code fence, a period, other brackets, full-width digits change nothing."""
    fix = "read the answer with r1ci_plugins.tasks.answers, and compare what was read"

    def written(question: Question) -> Iterable[str]:
        yield from variations(question.answer)
        yield from exam.task.variations(question)

    yield from _expect(exam, "harmless variation", 1.0, written, fix)


def variations(answer: str) -> Iterator[str]:
    """Ways to write an answer that mean the same in every task."""
    yield from (f" {answer}\n", f"```\n{answer}\n```")
    if not answer.endswith("."):
        yield f"{answer}."
    yield from (f"{mark}{answer}{mark}" for mark in ('"', "'", "`", "**") if mark not in answer)
    if re.search(r"\d", answer, re.ASCII):
        yield answer.translate({ord(str(digit)): chr(ord("０") + digit) for digit in range(10)})
    inside = answer.strip()
    if flat := re.fullmatch(r"\[([^\[\](){}\"']*,[^\[\](){}\"']*)\]", inside):
        inside = flat[1]
    elif not re.fullmatch(r"-?\d+(?:\.\d+)?(?:,\s*-?\d+(?:\.\d+)?)+", inside, re.ASCII) or _grouped(inside):
        return
    tight = re.sub(r"\s*,\s*", ",", inside)
    yield from (f"[{inside}]", f"({inside})", inside, tight, tight.replace(",", ",\n"), f"[ {inside} ]")


# --- answers that are wrong ---------------------------------------------------------------------------------------

EMPTY = ("", " ", "\n\t\n", "[]", "{}", "()", '""', ".", "``````")


def nothing_is_wrong(exam: Examination) -> Iterator[Failure]:
    """Empty text, white space and empty brackets score 0."""
    fix = "let check return False for an empty answer"
    yield from _expect(exam, "empty scores 0", 0.0, lambda q: [e for e in EMPTY if not same(e, q.answer)], fix)


def echo_is_wrong(exam: Examination) -> Iterator[Failure]:
    """The question's own text scores 0, also with the answer after it."""
    fix = "let check read the whole answer; never search in it"

    def echoes(question: Question) -> list[str]:
        return [question.text, question.text[-400:], f"{question.text}\n{question.answer}"]

    yield from _expect(exam, "echo scores 0", 0.0, echoes, fix)


def example_is_wrong(exam: Examination) -> Iterator[Failure]:
    """The example that the text shows for the format is named in ``Question.example`` and scores 0."""
    rule = "example scores 0"

    def examples(question: Question) -> set[str]:
        shown = {found.strip() for found in re.findall(r"<<<(.+?)>>>", question.text, re.DOTALL)}
        return (shown | {question.example}) - {"", "answer"}

    for question in exam.questions:
        if question.example and question.example not in question.text:
            fix = "set Question.example to exactly what the text shows, or to nothing"
            yield exam.failure(rule, question, f"the text does not show {question.example!r}", fix)
    yield from _expect(exam, rule, 0.0, examples, "show an example that can never be right")


def other_answers_are_wrong(exam: Examination) -> Iterator[Failure]:
    """The answer to another question scores 0, and so do two answers at once; for valid ones the checker decides."""
    rule, fix = (
        "another question's answer scores 0",
        "compare with this question; set Task.unique = False if it is valid",
    )

    def others(question: Question) -> list[str]:
        different = [q.answer for q in exam.questions if not alike(q.answer, question.answer)]
        return list(dict.fromkeys(different))[:6]

    yield from _wrong(exam, rule, others, fix)
    if exam.task.unique:

        def both(question: Question) -> list[str]:
            return [t for o in others(question)[:2] for t in (f"{question.answer} or {o}", f"{o}\n{question.answer}")]

        yield from _expect(exam, rule, 0.0, both, "accept one answer only, not a text that contains it")


def corruption_is_wrong(exam: Examination) -> Iterator[Failure]:
    """A digit changed, two items swapped, an item dropped or repeated: 0; for valid ones the checker decides."""
    fix = "compare the whole answer; set Task.unique = False if several answers are right"
    for kind, corrupt in CORRUPTIONS.items():
        if corrupt is items_swapped and not exam.task.unique:
            continue  # where the order of items is free, any swap is right

        def corrupted(question: Question, corrupt: Corruption = corrupt) -> list[str]:
            made = {corrupt(question.answer, exam.rng) for _ in range(3)} - {None}
            return sorted(text for text in made if text is not None and not same(text, question.answer))

        yield from _wrong(exam, "corruption scores 0", corrupted, f"{kind}: {fix}")


Corruption = Callable[[str, random.Random], str | None]


def digit_changed(answer: str, rng: random.Random) -> str | None:
    """Another leading digit in one of the numbers, so that no tolerance covers it."""
    leading = [m for m in re.finditer(r"(?<![\d.])\d", answer, re.ASCII)]
    if not leading:
        return None
    place = rng.choice(leading)
    digit = rng.choice([d for d in "123456789" if d != place[0]])
    return answer[: place.start()] + digit + answer[place.end() :]


def letter_changed(answer: str, rng: random.Random) -> str | None:
    """Another first letter, in an answer of one word."""
    word = re.fullmatch(r"(\W*)([A-Za-z])([A-Za-z]*\W*)", answer)
    if not word:
        return None
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if word[2].isupper() else "abcdefghijklmnopqrstuvwxyz"
    return word[1] + rng.choice([letter for letter in alphabet if letter != word[2]]) + word[3]


def items_swapped(answer: str, rng: random.Random) -> str | None:
    """Two different items in each other's place."""
    found = _items(answer)
    pairs = [(a, b) for i, a in enumerate(found) for b in found[i + 1 :] if a[0].casefold() != b[0].casefold()]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    return answer[: a.start()] + b[0] + answer[a.end() : b.start()] + a[0] + answer[b.end() :]


def item_dropped(answer: str, rng: random.Random) -> str | None:
    """One item less, and the separator beside it."""
    found = _items(answer)
    if len(found) < 2:
        return None
    number = rng.randrange(len(found))
    if number == len(found) - 1:
        separator = re.compile(r"[\s,;]*\Z").search(answer, 0, found[number].start())
        start = separator.start() if separator else found[number].start()
        return answer[:start] + answer[found[number].end() :]
    rest = re.sub(r"\A\s*[,;]?\s*", "", answer[found[number].end() :])
    return answer[: found[number].start()] + rest


def item_repeated(answer: str, rng: random.Random) -> str | None:
    """One item twice, separated as the others are."""
    found = _items(answer)
    if not found:
        return None
    item = rng.choice(found)
    separator = re.search(r"[,;] ?|\s", answer)
    return answer[: item.end()] + (separator[0] if separator else " ") + answer[item.start() :]


CORRUPTIONS: Mapping[str, Corruption] = {
    "digit changed": digit_changed,
    "letter changed": letter_changed,
    "items swapped": items_swapped,
    "item dropped": item_dropped,
    "item repeated": item_repeated,
}


def odd_text_is_wrong(exam: Examination) -> Iterator[Failure]:
    """A megabyte of text, deep brackets, huge numbers, powers, NaN, HTML, half an answer, code: each scores 0."""
    fix = "read the answer with r1ci_plugins.tasks.answers, which has a rule for each kind of odd text"

    def odd(question: Question) -> Iterator[str]:
        yield from (text for text in ODD_TEXTS if not same(text, question.answer))
        answer = question.answer
        yield from (
            f"<b>{answer}</b>",
            f"<p>{answer}</p>\n<p>{answer}</p>",
            f"{answer}\x00",
            f"{answer} {'x' * _MEGABYTE}",
        )
        yield (answer + "\n") * (_MEGABYTE // (len(answer) + 1))
        if len(answer) > 3 and answer[0] in "[{(" and answer[-1] in "]})":
            yield from (answer[: len(answer) // 2], answer[:-1])

    yield from _expect(exam, "odd text scores 0", 0.0, odd, fix, exam.questions[:_ODD_QUESTIONS])


ODD_TEXTS = (
    *("x" * _MEGABYTE, "1," * (_MEGABYTE // 2), "\n" * _MEGABYTE + "x", "'" * _MEGABYTE, "\\" * _MEGABYTE),
    *(" " * _MEGABYTE + "x", "1 " * 40_000, "(" * 40_000, "a b\n" * 20_000, '{"a": ' * 15_000, "-" * 90_000),
    *("[" * 10_000, "[" * 10_000 + "]" * 10_000, "[" * 10_000 + "1" + "]" * 10_000, "(" * 10_000 + "1" + ")" * 10_000),
    *("9" * 10_000, "-" + "9" * 10_000, "0." + "9" * 10_000, "[" + "9" * 10_000 + "]", "1/" + "9" * 10_000),
    *("9**9**9", "9^9^9", "9**9**9**9**9**9", "(9**9)**9999999", "1e999999999", "-1e-999999999", "10**10**10"),
    *("nan", "NaN", "inf", "-inf", "Infinity", "[NaN]", "[nan, inf]", "1/0", "0/0", "[1/0]", "0x", "1e", "--", "+-1"),
    *("<html><body></body></html>", "<br>", "&lt;&gt;", "<script>alert(1)</script>"),
    *('{"a": [1, 2', '[{"a": 1}, {"b"', "[1, 2", "[[1, 2], [3", '"', "'", "{'a': {", "]", "[1, 2]]", "{[}]", "(]"),
    *("\x00", "\ud800", "\udcff\udcfe", "🙂", "²", "½", "①", "٣٤", "\u202e1", "\ufeff", "\u200b"),
    *("__import__('os').getpid()", "().__class__.__bases__[0].__subclasses__()", "print(1)", "lambda: 0", "open('x')"),
    *("[x for x in range(10**10)]", "exec('1')", "f'{1}'", "%s%s%s%n", "{0.__class__}", "${7*7}", "`id`", "; ls"),
    *("I do not know.", "The answer is above.", "<<<>>>", ">>>", "<<<", "final answer", "None of these", "\\boxed{}"),
)

RULES: Mapping[str, Callable[[Examination], Iterator[Failure]]] = {
    "described": described,
    "same in every process": same_state_same_question,
    "every level": every_level,
    "200 distinct questions": distinct_questions,
    "every split": every_split,
    "survives JSON and pickle": survives_json_and_pickle,
    "no leak": no_leak,
    "reference is right": reference_is_right,
    "solver agrees": solver_agrees,
    "programs are right": programs_are_right,
    "harmless variation": harmless_variation,
    "empty scores 0": nothing_is_wrong,
    "echo scores 0": echo_is_wrong,
    "example scores 0": example_is_wrong,
    "another question's answer scores 0": other_answers_are_wrong,
    "corruption scores 0": corruption_is_wrong,
    "odd text scores 0": odd_text_is_wrong,
}
"""Rules that yield their own failures, in the order in which they are checked."""

PROMISES = ("generates", "answers in time", "never raises", "never evaluates", "scores in [0, 1]")
"""Rules that hold throughout; whatever is being checked may find them broken."""

FIX_DETERMINISM = "use no randomness, order of a set, clock or state but rng; sort what comes out of a set"
_FIX_REFERENCE = "find which of generate and check is wrong about this question"
_FIX_JSON = "put only text keys, lists (not tuples), numbers, texts, booleans and None into Question.metadata"
_FIXES = {
    "answers in time": "bound the work by the length of the answer; read it with r1ci_plugins.tasks.answers",
    "never raises": "let check return False, or let answers.Unreadable through, for text that it cannot read",
    "never evaluates": "parse the answer (r1ci_plugins.tasks.answers); no eval, exec, compile, ast, process or file",
    "scores in [0, 1]": "return True, False, or a Score of a number from 0 to 1",
}


# --- how answers are compared and expected ------------------------------------------------------------------------


def tidied(answer: str) -> str:
    """``answers.tidy``, or the text itself where that refuses it."""
    try:
        return answers.tidy(answer)
    except answers.Unreadable:
        return answer


def same(one: str, other: str) -> bool:
    """Whether two answers are the same up to white space, case, quotes, brackets and commas."""
    if max(len(one), len(other)) > answers.MAX_CHARS:
        return one == other
    left, right = (re.sub(r"[\s\"'`\[\](){},;.]", "", tidied(text)).casefold() for text in (one, other))
    return left == right


def alike(one: str, other: str) -> bool:
    """Whether two answers are the same, or numbers so near that a tolerance may cover both."""
    if same(one, other):
        return True
    try:
        a, b = answers.number(one), answers.number(other)
    except answers.Unreadable:
        return False
    return abs(a - b) <= abs(a) / 20


def _expect(
    exam: Examination,
    rule: str,
    value: float,
    texts: Callable[[Question], Iterable[str]],
    fix: str,
    questions: Sequence[Question] | None = None,
) -> Iterator[Failure]:
    """Every one of the texts has this score, for each question."""
    for question in exam.questions if questions is None else questions:
        for text in texts(question):
            score = exam.score(rule, question, text)
            if score != value and score == score:  # NaN: recorded already
                yield exam.failure(rule, question, _scored(text, f"{score}, not {value}", question), fix)


def _wrong(exam: Examination, rule: str, texts: Callable[[Question], Iterable[str]], fix: str) -> Iterator[Failure]:
    """Each text scores 0 where answers are unique; elsewhere one may be right by chance, but not all of them."""
    accepted, tried = [], 0
    for question in exam.questions:
        for text in texts(question):
            tried += 1
            score = exam.score(rule, question, text)
            if score > 0.0:
                accepted.append(exam.failure(rule, question, _scored(text, f"{score}, not 0.0", question), fix))
    if exam.task.unique:
        yield from accepted
    elif len(accepted) == tried >= _ENOUGH:
        yield from accepted[:1]


def _scored(answer: str, score: str, question: Question) -> str:
    reference = "" if answer == question.answer else f"; the reference is {excerpt(question.answer)!r}"
    return f"the answer {excerpt(answer)!r} scores {score}{reference}"


def _items(answer: str) -> list[re.Match[str]]:
    """The items of an answer, in whatever form; only those with digits where there are any (the rest are labels)."""
    found = [m for m in re.finditer(r"\"[^\"]*\"|'[^']*'|[^\s,;\[\](){}\"']+", answer) if re.search(r"\w", m[0])]
    return [m for m in found if re.search(r"\d", m[0], re.ASCII)] or found


def _grouped(text: str) -> bool:
    """Whether it may be one number with commas between thousands."""
    return re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text, re.ASCII) is not None


def _plain_words(answer: str) -> bool:
    return re.fullmatch(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*", tidied(answer)) is not None


def _rule_of(error: Exception) -> str:
    """A verdict that is no score raises in ``ask_task``, anything else in the checker."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    outside = frame is not None and frame.tb_frame.f_code.co_name in ("ask_task", "__post_init__")
    return "scores in [0, 1]" if outside else "never raises"


# --- watching the interpreter -------------------------------------------------------------------------------------

_EVENTS = ("compile", "exec", "open", "pickle.find_class", "socket.", "subprocess.", "os.system", "os.exec", "os.fork",
           "os.posix_spawn", "os.spawn", "os.remove", "os.rename", "ctypes.dlopen")  # fmt: skip
_watching: list[_Watch] = []
_hooked = False


class _Evaluated(BaseException):
    """Stops a checker before it evaluates; no ``except Exception`` of its own catches it."""


class _Watch:
    """While it is entered, notes and stops what a checker must not do."""

    def __init__(self, active: bool) -> None:
        self.active = active
        self.events: list[str] = []

    def __enter__(self) -> _Watch:
        _watching.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _watching.pop()


def _watch_interpreter() -> None:
    """Add the audit hook, once in a process: it cannot be removed again."""
    global _hooked
    if not _hooked:
        _hooked = True
        sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or not event.startswith(_EVENTS) or not (watch := _watching[-1]).active or _importing():
        return
    if event not in watch.events:
        watch.events.append(event)
    raise _Evaluated(event)


def _importing() -> bool:
    """Whether the event is part of an import: that reads, compiles and executes files, not the answer."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        if frame.f_code.co_name == "ask_task":
            return False
        frame = frame.f_back
    return False
