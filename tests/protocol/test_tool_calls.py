from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.protocol.actions import ActionKind
from r1ci_plugins.protocol.tool_calls import ToolCallsFormat

CODE, ANSWER, VOID, REFUSED = ActionKind.CODE, ActionKind.ANSWER, ActionKind.VOID, ActionKind.REFUSED
DIALECTS = ["hermes", "qwen_xml", "gpt_oss", "mistral", "llama"]
parse = ToolCallsFormat().parse
CALL = '{"name": "python", "arguments": {"code": "print(1)"}}'


@pytest.mark.parametrize(
    ("text", "kind", "content"),
    [
        (f"I run it.\n<tool_call>\n{CALL}\n</tool_call>", CODE, "print(1)"),
        (f"<tool_call>{CALL}</tool_call>\n<tool_call>{{}}</tool_call>", CODE, "print(1)"),  # the first counts
        ('<tool_call>{"name": "python", "arguments": {"code": "a\nb"}}</tool_call>', CODE, "a\nb"),  # a raw line end
        ("<tool_call>" + CALL.replace('{"code": "print(1)"}', '"{\\"code\\": 1}"') + "</tool_call>", REFUSED, None),
        ('<tool_call>{"name": "search", "arguments": {}}</tool_call>', REFUSED, None),
        ('<tool_call>{"name": "python", "arguments": {}}</tool_call>', REFUSED, None),
        ('<tool_call>{"name": "python",</tool_call>', REFUSED, None),
        ("<tool_call>" + "[" * 100_000 + "</tool_call>", REFUSED, None),
        ("<tool_call></tool_call>", REFUSED, None),
        ('<tool_call>{"name": "python", "argum', VOID, ""),  # half a call
        ("<tool_call>\n<function=python>\n<parameter=code>\nif 1:\n  x\n</parameter>\n</function>\n</tool_call>", CODE,
         "if 1:\n  x"),
        ("<tool_call>\n<function=python>\n</function>\n</tool_call>", REFUSED, None),
        ('[TOOL_CALLS][{"name": "python", "arguments": {"code": "x"}, "id": "123456789"}]', CODE, "x"),
        ('[TOOL_CALLS]python[ARGS]{"code": "x"}', CODE, "x"),
        ('[TOOL_CALLS]python[CALL_ID]123456789[ARGS]{"code": "x"}', CODE, "x"),
        ('[TOOL_CALLS][{"name": "python", "argu', VOID, ""),
        ('{"name": "python", "parameters": {"code": "x"}}', CODE, "x"),
        ('<|python_tag|>{"name": "python", "parameters": {"code": "x"}}', CODE, "x"),
        (' to=functions.python<|channel|>commentary json<|message|>{"code": "x"}', CODE, "x"),
        ("<|channel|>analysis<|message|>Hm <<<1>>>.<|end|><|start|>assistant<|channel|>commentary to=functions.python "
         '<|constrain|>json<|message|>{"code": "x"}', CODE, "x"),
        ("<|channel|>analysis<|message|><<<1>>><|end|><|start|>assistant<|channel|>final<|message|><<<2>>>", ANSWER,
         "2"),
        (' to=functions.search<|channel|>commentary json<|message|>{"code": "x"}', REFUSED, None),
        ("```python\nprint(1)\n```\n<<<3>>>", ANSWER, "3"),  # a fence is no call
        (f"<think><tool_call>{CALL}</tool_call></think>So <<<3>>>.", ANSWER, "3"),
        ("<<<answer>>>", VOID, ""),
    ],
)  # fmt: skip
def test_reading(text, kind, content):
    action = parse(text)
    assert action.kind is kind
    assert action.content == content if content is not None else action.content.startswith("Error: ")


PROGRAMS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.sampled_from(["", "I count it.", "é\n"]), PROGRAMS)
def test_a_written_call_is_read_back(dialect, text, code):
    if any(mark in code for mark in ("</tool_call>", "</parameter>", "<tool_call>")):
        return
    action = parse(ToolCallsFormat(dialect=dialect).code_turn(text, code))
    assert (action.kind, action.content) == (CODE, code)


PIECES = ["<tool_call>", "</tool_call>", CALL, "{", "}", '"', "[TOOL_CALLS]", "[ARGS]", "<think>", "</think>", "\n"]
PIECES += ["<function=python>", "<parameter=code>", "</parameter>", "<<<1>>>", "```", "to=functions.python<|message|>"]


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_any_text_is_read(text):
    action = parse(text)
    assert 0 <= action.end <= len(text)
    if action.kind is CODE:
        assert parse(text[: action.end]) == action


def test_the_schema_is_json():
    assert json.loads(json.dumps([dict(tool) for tool in ToolCallsFormat().tools]))[0]["function"]["name"] == "python"
