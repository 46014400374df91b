"""When two answers count as the same, whatever task they belong to."""

import re

from r1ci_plugins.tasks import answers


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
