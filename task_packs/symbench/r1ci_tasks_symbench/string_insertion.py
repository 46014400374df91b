"""The task ``string_insertion``: insert letters after certain substrings."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import word
from r1ci_tasks_symbench.wording import in_upstream_words

LENGTHS = ((10, 14), (14, 20), (20, 30), (30, 45))
"""Least and greatest length of the string, by level."""

_LETTERS = "ABCDE"
_TRIGGERS = tuple((_LETTERS * 2)[k : k + 4] for k in range(5))
_EXAMPLE = "XYZ"

_TEXT = """\
Read this string from left to right:

{string}

{rules}

What counts is the string as it stands above: letters that were inserted form no new substrings, and substrings may \
overlap. What is the string after all insertions? Put it between <<< and >>>, in the form <<<{example}>>>"""


class StringInsertion(Task):
    """Insert a letter after each occurrence of four-letter substrings, all found in the original string.

    Source: ``string_insertion`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "string_insertion"
    description = "A string after letters were inserted behind certain substrings."
    levels = len(LENGTHS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        length = rng.randint(*LENGTHS[self.level(rng, difficulty)])
        rules = {trigger: rng.choice(_LETTERS) for trigger in rng.sample(_TRIGGERS, rng.randint(3, 5))}
        string = rng.choice(list(rules))
        while len(string) < length:
            string += rng.choice(list(rules)) if rng.random() < 0.3 else rng.choice(_LETTERS)
        return _question(string[:length], rules, None)

    def check(self, question: Question, answer: str) -> bool:
        return word(answer) == _inserted(question.metadata["string"], question.metadata["rules"]).casefold()

    def solve(self, question: Question) -> str:
        string, rules = question.metadata["string"], question.metadata["rules"]
        ends = {m.start() + 4: rules[t] for t in rules for m in re.finditer(f"(?={t})", string)}
        for end in sorted(ends, reverse=True):
            string = string[:end] + ends[end] + string[end:]
        return string

    def programs(self, question: Question) -> Sequence[Program]:
        inputs = f"text = {question.metadata['string']!r}\nrules = {dict(question.metadata['rules'])!r}\n"
        return [Program(style, inputs + code) for style, code in _PROGRAMS.items()]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record; the rules stand only in its text."""
    rules = dict(re.findall(r"substring (\w{4}) in the string, insert the character (\w)", record["question"]))
    if not rules:
        raise ValueError("no rules in the text")
    ours = _question(record["params"]["original_string"], rules, record["solution"])
    return in_upstream_words(ours, record["question"])


def _question(string: str, rules: Mapping[str, str], answer: str | None) -> Question:
    stated = "\n".join(f"- After each substring {trigger}, insert {letter}." for trigger, letter in rules.items())
    return Question(
        text=_TEXT.format(string=string, rules=stated, example=_EXAMPLE),
        answer=answer or _inserted(string, rules),
        metadata={"string": string, "rules": dict(rules)},
        example=_EXAMPLE,
    )


def _inserted(string: str, rules: Mapping[str, str]) -> str:
    return "".join(letter + rules.get(string[max(0, k - 3) : k + 1], "") for k, letter in enumerate(string))


_PROGRAMS = {
    "direct": """\
result = ""
for i in range(len(text)):
    result += text[i]
    if i >= 3 and text[i - 3:i + 1] in rules:
        result += rules[text[i - 3:i + 1]]
print(result)
""",
    "function": """\
def insert_after(text, rules):
    pieces = []
    for end in range(1, len(text) + 1):
        pieces.append(text[end - 1])
        for substring, letter in rules.items():
            if text[:end].endswith(substring):
                pieces.append(letter)
    return "".join(pieces)


print(insert_after(text, rules))
""",
    "regular_expression": """\
import re

pattern = "|".join(f"(?<={substring})" for substring in rules)
print(re.sub(pattern, lambda match: rules[text[match.start() - 4:match.start()]], text))
""",
}
