from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.plugins.registry import load_plugins
from r1ci_plugins.protocol.answer_format import ActionKind, BoxedFormat, NaturalFormat, TagsFormat

CODE, ANSWER, VOID = ActionKind.CODE, ActionKind.ANSWER, ActionKind.VOID
parse = NaturalFormat().parse
FORMATS = [kind(code_in_thinking=runs) for kind in (NaturalFormat, TagsFormat, BoxedFormat) for runs in (True, False)]
each_format = pytest.mark.parametrize(
    "answer_format", FORMATS, ids=[f"{type(one).__name__}-{one.code_in_thinking}" for one in FORMATS]
)


@pytest.mark.parametrize(
    ("text", "kind", "content"),
    [
        ("I run it.\n```python\nprint(1)\n```", CODE, "print(1)"),
        ("```py\nprint(1)\n```\nand more", CODE, "print(1)"),
        ("```Python  \nprint(1)\n```   \n", CODE, "print(1)"),
        ("````python\nprint('```')\n````", CODE, "print('```')"),
        ("```text\nhello\n```\n```python\nprint(2)\n```", CODE, "print(2)"),
        ("<<<7>>>\n```python\nprint(7)\n```", CODE, "print(7)"),  # code to be run comes first
        ("```python\n\n```", CODE, ""),
        ("The answer is <<<42>>>.", ANSWER, "42"),
        ("<<<1>>> no, <<< 2 >>>", ANSWER, "2"),  # the last counts
        ("<<<a <<<b>>>", ANSWER, "b"),
        ("<<<a>b>>>>", ANSWER, "a>b>"),
        ("<<<[1,\n2]>>>", ANSWER, "[1,\n2]"),
        ("```python\nprint('<<<7>>>')", VOID, ""),  # unclosed block: neither code nor answer
        ("```text\n<<<7>>>\n```", VOID, ""),  # an answer inside a block does not count
        ("```python\nprint(1)\n``` and then", VOID, ""),  # that is no closing fence
        ("use `<<<` and >>>", ANSWER, "` and"),
        ("", VOID, ""),
        ("no marker", VOID, ""),
    ],
)
def test_turns(text, kind, content):
    action = parse(text)
    assert (action.kind, action.content) == (kind, content)


@pytest.mark.parametrize(
    ("text", "kind", "content"),
    [
        ("I run it. <code>print(1)</code>", CODE, "print(1)"),
        ("<code>\nif x:\n    print(1)\n</code>", CODE, "if x:\n    print(1)"),
        ("<code>\n```python\nprint(1)\n```\n</code>", CODE, "print(1)"),  # a fence around it is not the program
        ("<code>print('<think>')</code>", CODE, "print('<think>')"),
        ("<answer>7</answer> <code>print(7)</code>", CODE, "print(7)"),
        ("<think>so</think><answer> 42 </answer>", ANSWER, "42"),
        ("<answer>1</answer> no, <answer>2</answer>", ANSWER, "2"),
        ("<answer>a<answer>b</answer>", ANSWER, "b"),
        ("<answer><<<42>>></answer>", ANSWER, "42"),  # tasks ask for <<<...>>>
        ("<answer>[1,\n2]</answer>", ANSWER, "[1,\n2]"),
        ("<code>print('<answer>7</answer>')", VOID, ""),  # unclosed: neither code nor answer
        ("<think><answer>7</answer></think>", VOID, ""),
        ("<<<7>>>", VOID, ""),
        ("```python\nprint(1)\n```", VOID, ""),
        ("<answer>7", VOID, ""),
        ("", VOID, ""),
    ],
)
def test_turns_with_tags(text, kind, content):
    action = TagsFormat().parse(text)
    assert (action.kind, action.content) == (kind, content)


@pytest.mark.parametrize(
    ("text", "kind", "content"),
    [
        (r"So \boxed{42}.", ANSWER, "42"),
        (r"\boxed{1} or rather \boxed{2}", ANSWER, "2"),
        (r"\boxed {\frac{1}{2}}", ANSWER, r"\frac{1}{2}"),
        (r"\boxed{\boxed{7}}", ANSWER, "7"),
        (r"\boxed{\{1, 2\}}", ANSWER, r"\{1, 2\}"),
        (r"\boxed{\text{yes}}", ANSWER, "yes"),
        ("\\boxed{<<<yes>>>}", ANSWER, "yes"),
        ("\\boxed{[1,\n2]}", ANSWER, "[1,\n2]"),
        ("\\boxed{1}\n```python\nprint(7)\n```", CODE, "print(7)"),
        ("```python\nprint('\\\\boxed{7}')", VOID, ""),
        ("```text\n\\boxed{7}\n```", VOID, ""),
        (r"<think>\boxed{7}</think>", VOID, ""),
        (r"\boxed{1", VOID, ""),
        (r"\boxed{1\}", VOID, ""),
        ("} {boxed{7} <<<7>>>", VOID, ""),
        ("", VOID, ""),
    ],
)
def test_turns_with_a_box(text, kind, content):
    action = BoxedFormat().parse(text)
    assert (action.kind, action.content) == (kind, content)


BLOCK = "```python\nprint(1)\n```\n"


@pytest.mark.parametrize(
    ("text", "runs", "kind", "content"),
    [
        (f"<think>\n{BLOCK}", True, CODE, "print(1)"),
        (f"<think>\n{BLOCK}", False, VOID, ""),
        (f"<think>\n{BLOCK}</think>\n<<<1>>>", True, CODE, "print(1)"),
        (f"<think>\n{BLOCK}</think>\n<<<1>>>", False, ANSWER, "1"),
        (f"<think>Hm.</think>\n{BLOCK}", False, CODE, "print(1)"),
        (f"<think>a</think> <think>\n{BLOCK}</think>\n", False, VOID, ""),
        ("<think>```python\n</think>\n<<<1>>>", True, ANSWER, "1"),  # it is never closed
        ("<think>\n```python\nx</think>\n<<<1>>>", True, VOID, ""),  # an open block reaches as far as it likes
        ("<think>\n```python\nx</think>\n<<<1>>>", False, ANSWER, "1"),
        ("```python\nprint('<think>')\n```\n", False, CODE, "print('<think>')"),
        ("<think>maybe <<<1>>>", True, VOID, ""),
        ("<think>maybe <<<1>>></think> <<<2>>>", True, ANSWER, "2"),
        ("<<<2>>> <think>or <<<1>>></think>", True, ANSWER, "2"),
        ("so </think> <<<2>>>", True, ANSWER, "2"),
    ],
)
def test_thinking(text, runs, kind, content):
    action = NaturalFormat(code_in_thinking=runs).parse(text)
    assert (action.kind, action.content) == (kind, content)


def test_a_recipe_chooses_the_format_and_its_option():
    plugins = load_plugins(["r1ci"])
    for one in FORMATS:
        name = type(one).__name__.removesuffix("Format").lower()
        assert plugins.make("answer_formats", name, {"code_in_thinking": one.code_in_thinking}) == one


PIECES = ["```", "```python\n", "\n", "\n```\n", "<<<", ">>>", "x", " ", "<", ">", "print(1)", "`", "\r\n"]
PIECES += ["<think>", "</think>", "<code>", "</code>", "<answer>", "</answer>", "\\boxed{", "{", "}", "\\", "\\text{"]
TURNS = st.text() | st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@each_format
@given(TURNS)
def test_parse_is_total_and_consistent(answer_format, text):
    action = answer_format.parse(text)
    assert 0 <= action.end <= len(text)
    assert action.content in text
    if action.kind is CODE:
        # The verdict depends only on the text up to the program's end: later tokens cannot change it.
        assert answer_format.parse(text[: action.end]) == action
        assert answer_format.parse(text[: action.end] + "\n<<<9>>> <answer>9</answer> \\boxed{9}") == action
    else:
        assert action.end == len(text)


@each_format
@given(TURNS, TURNS)
def test_closed_thinking_does_not_change_what_follows_it(answer_format, thinking, text):
    if answer_format.code_in_thinking:
        thinking = thinking.replace("`", "").replace("<code>", "")
    section = f"<think>{thinking.replace('</think>', '')}</think>"
    alone, after = answer_format.parse("\n" + text), answer_format.parse(section + "\n" + text)
    assert (after.kind, after.content, after.end) == (alone.kind, alone.content, alone.end + len(section))


PROGRAMS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="`\r"), max_size=200)


@pytest.mark.parametrize("kind", [NaturalFormat, BoxedFormat])
@given(PROGRAMS)
def test_a_written_block_is_read_back(kind, code):
    action = kind().parse(f"Reasoning.\n```python\n{code}\n```\n")
    assert action.kind is CODE
    assert action.content == code


@given(PROGRAMS.filter(lambda code: "</code>" not in code))
def test_a_written_program_is_read_back(code):
    action = TagsFormat().parse(f"Reasoning.\n<code>\n{code}\n</code>\n")
    assert action.kind is CODE
    assert action.content == code


@each_format
@given(st.text(alphabet=st.characters(exclude_characters="<>{}\\`"), min_size=1).filter(str.strip))
def test_a_written_answer_is_read_back(answer_format, answer):
    written = {"NaturalFormat": "<<<{}>>>", "TagsFormat": "<answer>{}</answer>", "BoxedFormat": "\\boxed{{{}}}"}
    text = written[type(answer_format).__name__].format(answer)
    action = answer_format.parse(f"First {text.replace(answer, 'x')}. <think>Hm {text}</think>\nSo {text}.")
    assert (action.kind, action.content) == (ANSWER, answer.strip())


@each_format
@pytest.mark.parametrize(
    "text",
    [
        "<" * 200_000,
        "<<<" * 70_000,
        ">>>" * 70_000,
        "```\n" * 50_000,
        "<<<a" * 50_000 + ">>>",
        "```" + " " * 200_000 + "`",
        "`" * 200_000 + "x`",
        "<think>" * 50_000,
        "<think></think>" * 20_000,
        "<code>" * 50_000,
        "<code>```\n" * 50_000 + "</code>",
        "<answer>" * 50_000 + "</answer>" * 50_000,
        "\\boxed{" * 50_000 + "}" * 50_000,
        "\\boxed{" * 50_000,
        "\\boxed" + " " * 200_000,
        "\\text{" * 50_000,
        "\\" * 200_000,
    ],
    ids=range(17),
)
def test_pathological_text_is_read(answer_format, text):
    assert answer_format.parse(text).kind in ActionKind
