"""Reads the arguments of formal_fallacies, in our wording or in that of the published data, and decides them.

With k predicates there are 2**k types of things: bit i says whether predicate i holds. A model is a choice of types
that exist. An argument is invalid if a small model refutes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import combinations

Formula = Callable[[int], bool]
"""Whether things of a type satisfy it."""

Claim = tuple[str, Formula]
"""``all``, ``some`` or ``it`` (one thing that has a name), and of which types they are."""

_CONCLUSION = re.compile(
    r"(?<=[.;] )(?:conclusion: |therefore, |in consequence, |we may conclude(?: that|:) |hence, |it follows that |"
    r"all this entails that |from this follows: |so, necessarily, |consequently, |thus, |it follows: )"
)
_OPENING = re.compile(
    r"^(?:(?:first|second|third|fourth)(?: of all| premise)?[,:]|to (?:start|begin) with,|next,|plus,|moreover,|now,|"
    r"finally,|furthermore,) ?"
)
# "Someone who is x is y" is said of everyone upstream.
_EVERY = r"(?:whoever|whatever|(?:every|any|some)(?:one|body|thing) (?:who|which)) is|every|each|any"
_ONE = r"somebody|someone|something"
_WORDINGS = (
    (r"\.(?=(?:second|third|fourth|finally|moreover|therefore|hence|next|plus|so,|it follows|we may))", ". "),
    (r"\bmrs\. ", "mrs "),
    (r"it is false that", "it is not the case that"),
    (r"there exists (an? .+?) (?:who|that) is", r"there is somebody who is \1 and, in addition,"),
    (r"there is no (.+?) who is", r"nobody is \1 and"),
    (r" (?:yet|while) not ", " and not "),
    (r" that is ", " who is "),
    (r" is however ", " is "),
    (r",? and,? (?:in addition|in the same time),", " and,"),
    (r", (?:or both|either)\b", ""),
    (r"\beither an? ", ""),
)
"""Wordings of the published arguments, and plainer ones."""


def verdict(text: str) -> str | None:
    """``valid`` or ``invalid`` for the argument in quotes; None if it cannot be read."""
    quoted = re.search(r'"([^"]*)"(?! includes)(?=\n| A group)', text)
    if quoted is None:
        return None
    # Upstream introduces its argument in up to three sentences, the last with a colon.
    argument = quoted[1].lower().rstrip(".")
    for pattern, plain in _WORDINGS:
        argument = re.sub(pattern, plain, argument)
    argument = re.sub(r"^.*?(?:argument|relations|question)\b[^.:]*: ", "", argument, count=1)
    premises, conclusion = _CONCLUSION.split(argument, maxsplit=1) if _CONCLUSION.search(argument) else ("", "")
    names: dict[str, int] = {}
    claims = [_claim(_OPENING.sub("", s.strip()), names) for s in re.split(r"\. (?=\w)", premises.strip().rstrip("."))]
    goal = _claim(conclusion, names)
    if goal is None or len(names) > 5 or any(claim is None for claim in claims):
        return None
    return "invalid" if _refuted([claim for claim in claims if claim], goal, len(names)) else "valid"


def _refuted(premises: Sequence[Claim], conclusion: Claim, size: int) -> bool:
    """Whether a smallest possible model satisfies the premises but not the conclusion."""
    things = 1 + sum(quantifier != "all" for quantifier, _ in [*premises, conclusion])
    for count in range(1, things + 1):
        for model in combinations(range(1 << size), count):
            for it in model:
                if all(_true(claim, model, it) for claim in premises) and not _true(conclusion, model, it):
                    return True
    return False


def _true(claim: Claim, model: Sequence[int], it: int) -> bool:
    quantifier, formula = claim
    if quantifier == "it":
        return formula(it)
    return all(map(formula, model)) if quantifier == "all" else any(map(formula, model))


def _claim(sentence: str, names: dict[str, int]) -> Claim | None:
    """Read a sentence; ``names`` collects the predicates."""

    def read(words: str) -> Formula:
        return _formula(words, names)

    sentence = re.sub(r", too$", "", sentence.strip())
    if found := re.fullmatch(r"it is not the case that (.+)", sentence):
        claim = _claim(found[1], names)
        if claim is None:
            return None
        return {"all": "some", "some": "all", "it": "it"}[claim[0]], _no(claim[1])
    if found := re.fullmatch(rf"there is (?:{_ONE}) (?:who|that|which) is (.+)", sentence):
        return "some", read(found[1])
    if found := re.fullmatch(rf"not (?:{_EVERY}) (.+),? is (.+)", sentence):
        return "some", _both(read(found[1]), _no(read(found[2])))
    if found := re.fullmatch(r"(?:nobody|nothing|no one) is (.+)", sentence):
        return "all", _no(read(found[1]))
    if found := re.fullmatch(r"(?:everybody|everyone|everything) is (.+)", sentence):
        return "all", read(found[1])
    if found := re.fullmatch(r"(.+) is sufficient for (.+)", sentence):
        return "all", _implies(read(found[1]), read(found[2]))
    if found := re.fullmatch(r"(.+) is necessary for (.+)", sentence):
        return "all", _implies(read(found[2]), read(found[1]))
    if found := re.fullmatch(r"to be (.+), one has to be (.+)", sentence):
        return "all", _implies(read(found[1]), read(found[2]))
    if found := re.fullmatch(r"(?:nobody who is|no one who is|no) (.+),? is (.+)", sentence):
        return "all", _no(_both(read(found[1]), read(found[2])))
    if found := re.fullmatch(r"some (.+) is (.+)", sentence):
        return "some", _both(read(found[1]), read(found[2]))
    if found := re.fullmatch(r"if (?:someone|something) is (.+), then that (?:person|thing) is (.+)", sentence):
        return "all", _implies(read(found[1]), read(found[2]))
    if found := re.fullmatch(r"every (.+) and every (.+) is (.+)", sentence):
        return "all", _implies(read(f"{found[1]} or {found[2]}"), read(found[3]))
    if found := re.fullmatch(rf"(?:{_ONE}) is (.+)", sentence):
        return "some", read(found[1])
    if found := re.fullmatch(rf"(?:{_EVERY}) (.+?),? is (.+)", sentence):
        # "every x who is y is z": the last "is" leads to the consequent.
        before, _, after = f"{found[1]} is {found[2]}".rpartition(" is ")
        return "all", _implies(read(before.rstrip(",")), read(after))
    if found := re.fullmatch(r".+? is (.+)", sentence):
        return "it", read(found[1])
    return None


def _formula(words: str, names: dict[str, int]) -> Formula:
    """Read a predicate, or several joined by who, neither, or, and."""
    words = words.strip()
    if " who is " in words:
        head, _, tail = words.partition(" who is ")
        return _both(_formula(head, names), _formula(tail, names))
    # What binds weakest comes first; "and," stands for "and, in addition,".
    if " or, otherwise, " in words:
        head, _, tail = words.partition(" or, otherwise, ")
        return _either(_formula(head, names), _formula(tail, names))
    if found := re.fullmatch(r"(.+?) and, (.+)", words):
        return _both(_formula(found[1], names), _formula(found[2], names))
    if found := re.fullmatch(r"(?:(.+) and )?not both:? (.+) and (.+)", words):
        denied = _no(_both(_formula(found[2], names), _formula(found[3], names)))
        return _both(_formula(found[1], names), denied) if found[1] else denied
    if found := re.fullmatch(r"at least one of these: (.+), (.+) or (.+)", words):
        return _either(_formula(found[1], names), _either(_formula(found[2], names), _formula(found[3], names)))
    if found := re.fullmatch(r"(?:being )?neither (.+) nor (.+)", words):
        return _both(_no(_formula(found[1], names)), _no(_formula(found[2], names)))
    if found := re.fullmatch(r"none of this: (.+) or (.+?),?", words):
        return _both(_no(_formula(found[1], names)), _no(_formula(found[2], names)))
    if " or " in words:
        parts = [_formula(part, names) for part in words.split(" or ")]
        return lambda kind: any(part(kind) for part in parts)
    if " and " in words:
        parts = [_formula(part, names) for part in words.split(" and ")]
        return lambda kind: all(part(kind) for part in parts)
    positive = True
    while found := re.match(r"(not|being|to be|also|both|either|an?|,) +", words):
        positive ^= found[1] == "not"
        words = words[found.end() :]
    bit = 1 << names.setdefault(words, len(names))
    return lambda kind: (kind & bit != 0) is positive


def _no(formula: Formula) -> Formula:
    return lambda kind: not formula(kind)


def _both(first: Formula, second: Formula) -> Formula:
    return lambda kind: first(kind) and second(kind)


def _either(first: Formula, second: Formula) -> Formula:
    return lambda kind: first(kind) or second(kind)


def _implies(first: Formula, second: Formula) -> Formula:
    return lambda kind: not first(kind) or second(kind)
