"""Marks of thinking sections in the text of a turn, for the model families that have them."""

import re

PAIRS: dict[str, str] = {
    "<think>": "</think>",  # Qwen, DeepSeek, GLM, Nemotron, SmolLM3
    "[THINK]": "[/THINK]",  # Magistral
    "<|START_THINKING|>": "<|END_THINKING|>",  # Cohere
    "<|channel|>analysis<|message|>": "<|end|>",  # gpt-oss
    "<|channel>thought": "<channel|>",  # Gemma 4
}
"""What opens a section, and what closes it."""

CLOSINGS = frozenset(PAIRS.values())
# A closing mark that is not the close of a section of its own kind is text: gpt-oss closes every message by <|end|>.
_MARK = re.compile("|".join(re.escape(mark) for pair in PAIRS.items() for mark in pair))


def left_open(text: str) -> str:
    """The mark whose section a text opens and does not close, or nothing."""
    opened = ""
    for mark in _MARK.finditer(text):
        if mark[0] in PAIRS:
            opened = mark[0]
        elif opened and mark[0] == PAIRS[opened]:
            opened = ""
    return opened


def closing(text: str) -> str:
    """What ends the section that a text leaves open, before a turn that was written without one."""
    opened = left_open(text)
    return f"{'' if text.endswith(chr(10)) else chr(10)}{PAIRS[opened]}\n\n" if opened else ""
