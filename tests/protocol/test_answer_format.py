from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.protocol.answer_format import ActionKind, NaturalFormat

parse = NaturalFormat().parse


@pytest.mark.parametrize(
    ("text", "kind", "content"),
    [
        ("I run it.\n```python\nprint(1)\n```", ActionKind.CODE, "print(1)"),
        ("```py\nprint(1)\n```\nand more", ActionKind.CODE, "print(1)"),
        ("```Python  \nprint(1)\n```   \n", ActionKind.CODE, "print(1)"),
        ("````python\nprint('```')\n````", ActionKind.CODE, "print('```')"),
        ("```text\nhello\n```\n```python\nprint(2)\n```", ActionKind.CODE, "print(2)"),
        ("<<<7>>>\n```python\nprint(7)\n```", ActionKind.CODE, "print(7)"),  # code to be run comes first
        ("```python\n\n```", ActionKind.CODE, ""),
        ("The answer is <<<42>>>.", ActionKind.ANSWER, "42"),
        ("<<<1>>> no, <<< 2 >>>", ActionKind.ANSWER, "2"),  # the last counts
        ("<<<a <<<b>>>", ActionKind.ANSWER, "b"),
        ("<<<a>b>>>>", ActionKind.ANSWER, "a>b>"),
        ("<<<[1,\n2]>>>", ActionKind.ANSWER, "[1,\n2]"),
        ("```python\nprint('<<<7>>>')", ActionKind.VOID, ""),  # unclosed block: neither code nor answer
        ("```text\n<<<7>>>\n```", ActionKind.VOID, ""),  # an answer inside a block does not count
        ("```python\nprint(1)\n``` and then", ActionKind.VOID, ""),  # that is no closing fence
        ("use `<<<` and >>>", ActionKind.ANSWER, "` and"),
        ("", ActionKind.VOID, ""),
        ("no marker", ActionKind.VOID, ""),
    ],
)
def test_turns(text, kind, content):
    action = parse(text)
    assert (action.kind, action.content) == (kind, content)


PIECES = ["```", "```python\n", "\n", "\n```\n", "<<<", ">>>", "x", " ", "<", ">", "print(1)", "`", "\r\n"]


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_parse_is_total_and_consistent(text):
    action = parse(text)
    assert 0 <= action.end <= len(text)
    assert action.content in text
    if action.kind is ActionKind.CODE:
        # The verdict depends only on the text up to the end of the fence's line: later tokens cannot change it.
        assert parse(text[: action.end]) == action
        assert parse(text[: action.end] + "\n<<<9>>>") == action
    if action.kind is ActionKind.ANSWER:
        assert 0 <= text.find("<<<") < text.rfind(">>>")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="`\r"), max_size=200))
def test_a_written_block_is_read_back(code):
    action = parse(f"Reasoning.\n```python\n{code}\n```\n")
    assert action.kind is ActionKind.CODE
    assert action.content == code


@pytest.mark.parametrize(
    "text", ["<" * 200_000, "<<<" * 70_000, ">>>" * 70_000, "```\n" * 50_000, "<<<a" * 50_000 + ">>>"]
)
def test_pathological_text_is_read(text):
    assert parse(text).kind in ActionKind
