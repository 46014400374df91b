"""Which tokens and words make a conversation's structure, and how text is kept from making any.

Structure is what the chat template makes of text, whatever the tokenizer calls special: some tokenizers have the
template's marks as ordinary added tokens, and some (Mistral's first) spell ``[INST]`` with ordinary pieces.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from r1ci_plugins.protocol import thinking

# The shapes of words that stand between turns and are no tokens: [INST], <start_of_turn>, ###, Assistant:
_WORD = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]|#{2,}|(?<![\w\"'])[A-Za-z]+:(?=\s|$)")
# Added tokens of this shape are marks of some protocol. Others (runs of blanks, HTML tags, words) are vocabulary.
_MARK = re.compile(r"<[|｜].*|.*[|｜]>|\[/?[A-Z_]+\]", re.DOTALL)
_PUNCTUATION = re.compile(r"[^\w\s]")

TURN_MARKS = (
    *(mark for mark in (*thinking.PAIRS, *thinking.CLOSINGS) if "|>" not in mark[:-2]),
    *("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>"),
    *("<parameter=code>", "</parameter>", "<function=python>", "</function>"),
    *("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "<tool_call|>", "<|tool_call>", '<|"|>'),
    *("<|channel|>", "<|message|>", "<|constrain|>", "<|start|>", "<|channel>", "<channel|>"),
)
"""Tokens that mean something inside a turn: thinking and tool calls. A turn's text shows them."""

# Whole sequences of marks with which a model structures its own turn; a written turn may have them as tokens.
_WITHIN_TURN = re.compile(
    r"</?think>|\[/?THINK\]|<\|(?:START|END)_THINKING\|>|<\|channel>thought|<channel\|>"
    r"|</?tool_call>|\[(?:TOOL_CALLS|ARGS|CALL_ID)\]|<\|python_tag\|>"
    r"|(?:<\|start\|>assistant)?(?:<\|channel\|>(?:analysis|commentary|final))?(?: to=functions\.\w+)?"
    r"(?:<\|channel\|>(?:analysis|commentary|final))?(?: ?(?:<\|constrain\|>)?json)?<\|message\|>"
    r"|<\|end\|>(?=<\|start\|>assistant)"
)


@dataclass(frozen=True)
class Structure:
    """The structure of one tokenizer with one chat template.

    Attributes:
        token_ids: Ids of tokens that are structure: no question and no program's output may have one.
        silent: Ids that a turn's text leaves out: structure other than thinking and tool calls.
    """

    token_ids: frozenset[int]
    silent: frozenset[int]
    _in_data: re.Pattern[str] | None
    _in_turns: re.Pattern[str] | None

    def break_up(self, text: str) -> str:
        """The text of a question or a program with every mark broken up: ``<|im_end|>`` becomes ``< |im_end|>``."""
        return _broken(text, self._in_data)

    def break_up_outside_turns(self, text: str) -> str:
        """The same for a written turn: marks of thinking and tool calls stay."""
        return _broken(text, self._in_turns)


def find_structure(
    added: Mapping[int, Any], template: str, between: Iterable[str], always: Iterable[int | None]
) -> Structure:
    """What is structure.

    Args:
        added: The tokenizer's added tokens by id.
        template: The chat template's source.
        between: What the template writes between turns.
        always: Ids that are never part of a turn's text: end of turn and end of sequence.
    """
    ends = {token for token in always if token is not None}
    words = {token: str(word) for token, word in added.items()}
    ids = frozenset(
        token
        for token, word in words.items()
        if token in ends
        or getattr(added[token], "special", True)
        or _MARK.fullmatch(word)
        or (word in template and _PUNCTUATION.search(word))
    )
    silent = frozenset(token for token in ids if token in ends or words[token].strip() not in TURN_MARKS)
    tokens = {words[token] for token in ids}
    rest = "\n".join(between)
    marks = {word for word in tokens | set(_WORD.findall(_without(rest, tokens))) if len(word) > 1 and word.strip()}
    in_data = _alternatives(marks)
    in_turns = re.compile(f"(?P<kept>{_WITHIN_TURN.pattern})|{in_data.pattern}") if in_data else None
    return Structure(ids, silent | (ends - ids), in_data, in_turns)


def _without(text: str, words: Iterable[str]) -> str:
    for word in sorted(words, key=len, reverse=True):
        if word.strip():
            text = text.replace(word, "\n")
    return text


def _alternatives(words: Iterable[str]) -> re.Pattern[str] | None:
    """Matches any of the words, the longest first. Looking at the first character alone spares most of the work."""
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    if not longest_first:
        return None
    heads = "".join(re.escape(head) for head in sorted({word[0] for word in longest_first}))
    return re.compile(f"(?=[{heads}])(?:{'|'.join(map(re.escape, longest_first))})")


def _broken(text: str, marks: re.Pattern[str] | None) -> str:
    """Put a blank behind the first character of every mark, until there is none: the rest of one may be another."""
    if marks is None:
        return text
    while True:
        broken = marks.sub(lambda match: match[0] if _kept(match) else f"{match[0][0]} {match[0][1:]}", text)
        if broken == text:
            return text
        text = broken


def _kept(match: re.Match[str]) -> bool:
    return match.re.groups > 0 and match["kept"] is not None
