"""The paper's prompt variants: how a teacher is asked to divide its work between text and code.

Only the teacher reads them. A trajectory's own prompt is the one that the model is trained and evaluated with.
"""

from collections.abc import Mapping
from enum import StrEnum


class Variant(StrEnum):
    """How the teacher is asked to go about a question."""

    FREE = "free"
    CODE_FIRST = "code_first"
    TEXT_FIRST = "text_first"
    FORCED_SWITCH = "forced_switch"


HINTS: Mapping[Variant, str] = {
    Variant.FREE: "",
    Variant.CODE_FIRST: "Begin with a program, at once; explain only what its output leaves open.",
    Variant.TEXT_FIRST: (
        "First think the problem through in words: what is given, what is asked, which way you will take. Write a "
        "program only after that, and only where computing beats thinking."
    ),
    Variant.FORCED_SWITCH: (
        "Change your means at least once before you answer: what you found by a program, confirm by reasoning or by a "
        "second program of another kind; what you found by reasoning, confirm by a program."
    ),
}
"""Sentences that follow the head prompt when a model is the teacher."""


def head_prompt(instructions: str, variant: Variant) -> str:
    """What the teacher is told before the question."""
    return "\n\n".join(filter(None, (instructions, HINTS[variant])))
