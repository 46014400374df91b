"""The task ``string_deletion_and_modification``: rewrite a string by rules until none applies."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from r1ci_plugins import Program, Question, Task
from r1ci_plugins.tasks.answers import word
from r1ci_tasks_symbench.wording import in_upstream_words

LEVELS = ((10, 12, 1), (11, 15, 3), (13, 18, 5), (15, 20, 7))
"""Least and greatest length of the string, and how many steps it takes at least, by level."""

Rule = tuple[str, str, str, int, str, str]
"""Where the rule looks, what for, the replacement, how many last characters go, what is put before and after.

The rule looks at ``prefix``, ``suffix``, ``inside`` (the first occurrence), ``after 1`` (the first past
the first character), ``even`` (an even number of occurrences, at least two; nothing is replaced) or ``long`` (more
characters than the number; the middle one is removed).
"""

RULES: tuple[tuple[str, Rule], ...] = (
    ("suffix is 'ac'.*replace it with 'cb'", ("suffix", "ac", "cb", 0, "", "")),
    ("suffix is 'bb'.*delete the last two", ("suffix", "bb", "", 0, "", "")),
    ("suffix is 'cc'.*with 'b' and prepend 'a'", ("suffix", "cc", "b", 0, "a", "")),
    ("ends with 'aa'.*replace it with 'cc'", ("suffix", "aa", "cc", 0, "", "")),
    ("ends with 'ba'.*replace it with 'ab'", ("suffix", "ba", "ab", 0, "", "")),
    ("ends with 'ca'.*remove the last character", ("suffix", "ca", "c", 0, "", "")),
    ("prefix is 'aa'.*remove the first character", ("prefix", "aa", "a", 0, "", "")),
    ("prefix is 'ab'.*replace it with 'ca'", ("prefix", "ab", "ca", 0, "", "")),
    ("prefix is 'bc'.*first two characters and append 'aa'", ("prefix", "bc", "", 0, "", "aa")),
    ("prefix is 'ca'.*with 'bb' and append 'c'", ("prefix", "ca", "bb", 0, "", "c")),
    ("prefix is 'cb'.*with 'aa' and delete the last", ("prefix", "cb", "aa", 1, "", "")),
    ("starts with 'ac'.*first two characters with 'zz'", ("prefix", "ac", "zz", 0, "", "")),
    ("starts with 'bb'.*remove the second character", ("prefix", "bb", "b", 0, "", "")),
    ("starts with 'cc'.*remove the first two", ("prefix", "cc", "", 0, "", "")),
    ("contains 'abc'.*first occurrence with 'cab'", ("inside", "abc", "cab", 0, "", "")),
    ("contains 'acb'.*with its reverse", ("inside", "acb", "bca", 0, "", "")),
    ("contains 'bca'.*delete the first occurrence", ("inside", "bca", "", 0, "", "")),
    (r"contains 'ca' \(not at the start\).*remove the first", ("after 1", "ca", "", 0, "", "")),
    ("even number of 'b's.*append 'ab'", ("even", "b", "", 0, "", "ab")),
    ("length is greater than 15.*remove the middle", ("long", "15", "", 0, "", "")),
)
"""How upstream's sentence for a rule is recognised, and the rule."""

_MOST_STEPS = 100
_EXAMPLE = "xyz"

_TEXT = """\
These six rules rewrite a string:

{rules}

At each step, apply the first rule of the list that can be applied, once; then start again from rule 1 with the new \
string. Stop when no rule can be applied.

What becomes of this string in the end?

{string}

Put the final string between <<< and >>>, in the form <<<{example}>>>"""


class StringDeletionAndModification(Task):
    """Rewrite a string by the first applicable one of six rules until none applies.

    Source: ``string_deletion_and_modification`` of SymBench (CodeSteer-v1.0). The answer is unique.
    """

    name = "string_deletion_and_modification"
    description = "A string rewritten by the first applicable one of six rules until none applies."
    levels = len(LEVELS)
    capability = "execution"

    def generate(self, rng: random.Random, difficulty: int | None) -> Question:
        shortest, longest, steps = LEVELS[self.level(rng, difficulty)]
        while True:
            string = "".join(rng.choices("abc", k=rng.randint(shortest, longest)))
            rules = [rule for _, rule in rng.sample(RULES, 6)]
            states = _states(string, rules)
            if states and len(states) > steps and len(states[-1]) > 2:
                return _question(string, rules, states[-1])

    def check(self, question: Question, answer: str) -> bool:
        states = _states(question.metadata["string"], question.metadata["rules"])
        return states is not None and word(answer) == (states[-1] or "empty")

    def solve(self, question: Question) -> str:
        string, rewriters = question.metadata["string"], [_rewriter(rule) for rule in question.metadata["rules"]]
        while True:
            changed = (rewrite(string) for rewrite in rewriters)
            following = next((new for new in changed if new is not None), None)
            if following is None:
                return str(string)
            string = following

    def programs(self, question: Question) -> Sequence[Program]:
        steps = [_expressions(rule) for rule in question.metadata["rules"]]
        chain = "\n".join(f"    {'el' * (k > 0)}if {test}:\n        s = {new}" for k, (test, new) in enumerate(steps))
        functions = ",\n".join(f"    (lambda s: {test}, lambda s: {new})" for test, new in steps)
        returns = "\n".join(f"    if {test}:\n        return step({new})" for test, new in steps)
        start = f"s = {question.metadata['string']!r}\n"
        return [
            Program("direct", f"{start}while True:\n{chain}\n    else:\n        break\nprint(s)\n"),
            Program(
                "table",
                f"{start}rules = [\n{functions},\n]\nwhile True:\n"
                "    new = next((f(s) for test, f in rules if test(s)), None)\n"
                "    if new is None:\n        break\n    s = new\nprint(s)\n",
            ),
            Program("function", f"def step(s):\n{returns}\n    return s\n\n\n{start}print(step(s))\n"),
        ]


def published(record: Mapping[str, Any]) -> Question:
    """The question of one published record."""
    params = record["params"]
    rules = [_read(sentence) for sentence in params["selected_rules"]]
    return in_upstream_words(_question(params["initial_string"], rules, record["solution"]), record["question"])


def _read(sentence: str) -> Rule:
    for pattern, rule in RULES:
        if re.search(pattern, sentence):
            return rule
    raise ValueError(f"not a known rule: {sentence[:120]!r}")


def _question(string: str, rules: Sequence[Rule], answer: str) -> Question:
    stated = "\n".join(f"{k}. {_sentence(*rule)}" for k, rule in enumerate(rules, 1))
    return Question(
        text=_TEXT.format(rules=stated, string=string, example=_EXAMPLE),
        answer=answer,
        metadata={"string": string, "rules": [list(rule) for rule in rules]},
        example=_EXAMPLE,
    )


def _sentence(where: str, what: str, new: str, dropped: int, before: str, after: str) -> str:
    condition = {
        "prefix": f"it begins with '{what}'",
        "suffix": f"it ends with '{what}'",
        "inside": f"'{what}' occurs in it",
        "after 1": f"'{what}' occurs in it somewhere after the first character",
        "even": f"the number of '{what}' in it is even and not 0",
        "long": f"it has more than {what} characters",
    }[where]
    place = {"inside": "the first occurrence", "after 1": "the first such occurrence"}.get(where, "these characters")
    if where == "long":
        actions = ["remove its middle character (the one just right of the middle if their number is even)"]
    elif where == "even":
        actions = []
    else:
        actions = [f"replace {place} by '{new}'" if new else f"remove {place}"]
    actions += ["remove the last character of the string"] * dropped
    if before:
        actions.append(f"put '{before}' in front of the string")
    if after:
        actions.append(f"put '{after}' behind the string")
    return f"If {condition}, {' and '.join(actions)}."


def _states(string: str, rules: Sequence[Sequence[Any]]) -> list[str] | None:
    """The string, then the result of each step; None if the steps never end."""
    states = [string]
    while len(states) <= _MOST_STEPS:
        following = next((new for rule in rules if (new := _rewritten(states[-1], *rule)) is not None), None)
        if following is None:
            return states
        states.append(following)
    return None


def _rewritten(string: str, where: str, what: str, new: str, dropped: int, before: str, after: str) -> str | None:
    if where == "even":
        changed = string if string.count(what) and string.count(what) % 2 == 0 else None
    elif where == "long":
        middle = len(string) // 2
        changed = string[:middle] + string[middle + 1 :] if len(string) > int(what) else None
    else:
        at = {
            "prefix": 0 if string.startswith(what) else -1,
            "suffix": len(string) - len(what) if string.endswith(what) else -1,
            "inside": string.find(what),
            "after 1": string.find(what, 1),
        }[where]
        changed = string[:at] + new + string[at + len(what) :] if at >= 0 else None
    return None if changed is None else before + changed[: len(changed) - dropped] + after


def _rewriter(rule: Sequence[Any]) -> Callable[[str], str | None]:
    """The same with regular expressions."""
    where, what, new, dropped, before, after = rule
    pattern = {
        "prefix": rf"()({what})(.*)",
        "suffix": rf"(.*)({what})()",
        "inside": rf"(.*?)({what})(.*)",
        "after 1": rf"(.+?)({what})(.*)",
        "even": rf"((?:[^{what}]*{what}[^{what}]*{what})+[^{what}]*)()()",
    }.get(where)

    def rewrite(string: str) -> str | None:
        if pattern is None:
            half = len(string) // 2
            return string[:half] + string[half:][1:] if string[int(what) :] else None
        match = re.fullmatch(pattern, string)
        if not match:
            return None
        changed = match[1] + new + match[3]
        return f"{before}{changed[:-1] if dropped else changed}{after}"

    return rewrite


def _expressions(rule: Sequence[Any]) -> tuple[str, str]:
    """A rule as Python: when it applies to ``s``, and what it makes of it."""
    where, what, new, dropped, before, after = rule
    size = len(what)
    test, changed = {
        "prefix": (f"s.startswith({what!r})", f"{new!r} + s[{size}:]"),
        "suffix": (f"s.endswith({what!r})", f"s[:-{size}] + {new!r}"),
        "inside": (f"{what!r} in s", f"s.replace({what!r}, {new!r}, 1)"),
        "after 1": (f"{what!r} in s[1:]", f"s[0] + s[1:].replace({what!r}, {new!r}, 1)"),
        "even": (f"{what!r} in s and s.count({what!r}) % 2 == 0", "s"),
        "long": (f"len(s) > {what}", "s[:len(s) // 2] + s[len(s) // 2 + 1:]"),
    }[where]
    if dropped:
        changed = f"({changed})[:-{dropped}]"
    return test, (f"{before!r} + " if before else "") + changed + (f" + {after!r}" if after else "")
