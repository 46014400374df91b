"""Published questions keep upstream's words, which their checkers do not depend on."""

from __future__ import annotations

from dataclasses import replace

from r1ci_plugins import Question


def in_upstream_words(question: Question, text: str | None) -> Question:
    """The question with upstream's text, where there is one, and without the example that our text shows."""
    return replace(question, text=text, example="") if text else question
