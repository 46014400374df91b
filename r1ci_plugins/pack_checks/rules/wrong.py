"""Rules about wrong answers: each of them scores 0."""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from r1ci_plugins.pack_checks.examination import Examination, Failure, failure, scored
from r1ci_plugins.pack_checks.likeness import alike, same
from r1ci_plugins.tasks.task import Question

Corruption = Callable[[str, random.Random], str | None]
"""Changes an answer; None where it has nothing to change."""

_ODD_QUESTIONS = 2
_ENOUGH = 8  # accepted texts that show something; where several answers are valid a few may be right by chance
_MEGABYTE = 1_000_000

EMPTY = ("", " ", "\n\t\n", "[]", "{}", "()", '""', ".", "``````")


def nothing_is_wrong(exam: Examination) -> Iterator[Failure]:
    """Empty text, white space and empty brackets score 0."""
    fix = "let check return False for an empty answer"
    yield from exam.expect("empty scores 0", 0.0, lambda q: [e for e in EMPTY if not same(e, q.answer)], fix=fix)


def echo_is_wrong(exam: Examination) -> Iterator[Failure]:
    """The question's own text scores 0, also with the answer after it."""
    fix = "let check read the whole answer; never search in it"

    def echoes(question: Question) -> list[str]:
        return [question.text, question.text[-400:], f"{question.text}\n{question.answer}"]

    yield from exam.expect("echo scores 0", 0.0, echoes, fix=fix)


def example_is_wrong(exam: Examination) -> Iterator[Failure]:
    """The example that the text shows for the format is named in ``Question.example`` and scores 0."""
    rule = "example scores 0"

    def examples(question: Question) -> set[str]:
        shown = {found.strip() for found in re.findall(r"<<<(.+?)>>>", question.text, re.DOTALL)}
        return (shown | {question.example}) - {"", "answer"}

    for question in exam.questions:
        if question.example and question.example not in question.text:
            fix = "set Question.example to exactly what the text shows, or to nothing"
            yield failure(rule, question, what=f"the text does not show {question.example!r}", fix=fix)
    yield from exam.expect(rule, 0.0, examples, fix="show an example that can never be right")


def other_answers_are_wrong(exam: Examination) -> Iterator[Failure]:
    """The answer to another question scores 0 (where answers are unique), and so do two answers at once."""
    rule = "another question's answer scores 0"
    fix = "compare with this question; set Task.unique = False if it is valid"

    def others(question: Question) -> list[str]:
        different = [q.answer for q in exam.questions if not alike(q.answer, question.answer)]
        return list(dict.fromkeys(different))[:6]

    yield from _wrong(exam, rule, others, fix=fix)
    if exam.task.unique:

        def both(question: Question) -> list[str]:
            return [t for o in others(question)[:2] for t in (f"{question.answer} or {o}", f"{o}\n{question.answer}")]

        yield from exam.expect(rule, 0.0, both, fix="accept one answer only, not a text that contains it")


def corruption_is_wrong(exam: Examination) -> Iterator[Failure]:
    """A digit changed, two items swapped, an item dropped or repeated: 0 (where answers are unique)."""
    fix = "compare the whole answer; set Task.unique = False if several answers are right"
    for kind, corrupt in CORRUPTIONS.items():
        if corrupt is items_swapped and not exam.task.unique:
            continue  # where the order of items is free, any swap is right

        def corrupted(question: Question, corrupt: Corruption = corrupt) -> list[str]:
            made = {corrupt(question.answer, exam.rng) for _ in range(3)} - {None}
            return sorted(text for text in made if text is not None and not same(text, question.answer))

        yield from _wrong(exam, "corruption scores 0", corrupted, fix=f"{kind}: {fix}")


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
    """One item and its separator left out."""
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

    yield from exam.expect("odd text scores 0", 0.0, odd, fix=fix, questions=exam.questions[:_ODD_QUESTIONS])


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


def _wrong(exam: Examination, rule: str, texts: Callable[[Question], Iterable[str]], *, fix: str) -> Iterator[Failure]:
    """Each text scores 0 where answers are unique; elsewhere some may be right by chance, but not all of them."""
    accepted, tried = [], 0
    for question in exam.questions:
        for text in texts(question):
            tried += 1
            score = exam.score(rule, question, text)
            if score > 0.0:
                what = scored(question, text, f"{score}, not 0.0")
                accepted.append(failure(rule, question, what=what, fix=fix))
    if exam.task.unique:
        yield from accepted
    elif len(accepted) == tried >= _ENOUGH:
        yield from accepted[:1]


def _items(answer: str) -> list[re.Match[str]]:
    """The items of an answer in any form; where some have digits only those, since the rest are labels."""
    found = [m for m in re.finditer(r"\"[^\"]*\"|'[^']*'|[^\s,;\[\](){}\"']+", answer) if re.search(r"\w", m[0])]
    return [m for m in found if re.search(r"\d", m[0], re.ASCII)] or found
