"""What the reference programs have in common: reading a question and filling a template."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from textwrap import dedent
from typing import Any

Codes = Mapping[str, str]
"""Programs for one question, by style."""

Programs = Mapping[str, Callable[[str], Codes]]
"""By data set: from the text of a question to its programs."""


def found(pattern: str, text: str) -> re.Match[str]:
    """Where a pattern first matches.

    Raises:
        ValueError: If it does not, so that the question is not in the form of its data set.
    """
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise ValueError(f"nothing in the question matches {pattern}")
    return match


def literal(value: Any) -> str:
    """A string or a list of strings in Python, with double quotes as in most questions."""
    return json.dumps(value, ensure_ascii=False)


def filled(templates: Mapping[str, str], **values: Any) -> Codes:
    """Templates with their words in capitals replaced by the values of the same names."""

    def value(match: re.Match[str]) -> str:
        return str(values.get(match[0].lower(), match[0]))

    return {
        style: re.sub(r"\b[A-Z]{2,}", value, dedent(template).strip()) + "\n" for style, template in templates.items()
    }
