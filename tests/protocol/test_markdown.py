"""Fences as CommonMark has them (markdown-it-py is the reference), and where models are read more kindly."""

from __future__ import annotations

import gc
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from r1ci_plugins.protocol.answer_format import ActionKind, BoxedFormat, NaturalFormat, TagsFormat
from r1ci_plugins.protocol.markdown import Fences

CASES = Path(__file__).parents[3] / "shared" / "cases" / "turns.jsonl"
PAGE = Path(__file__).parents[2] / "docs" / "reading-turns.md"
CODE, ANSWER, VOID = ActionKind.CODE, ActionKind.ANSWER, ActionKind.VOID
FORMATS = {"natural": NaturalFormat(), "boxed": BoxedFormat(), "tags": TagsFormat()}
P, Q = "print(1)", "```python\nprint(1)\n```\n"


@pytest.mark.skipif(not CASES.exists(), reason="needs shared/cases beside the repository")
def test_turns_from_bug_reports():
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        action = FORMATS[case["format"]].parse(case["text"])
        assert (action.kind.value, action.content) == (case["kind"], case["content"]), case["name"]


def test_the_page_of_rules_says_what_is_done():
    examples = re.findall(r"^\{.*\}$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(examples) > 25
    for line in examples:
        example = json.loads(line)
        text, name = example.pop("turn"), example.pop("format", "natural")
        action = FORMATS[name].parse(text)
        assert example == {action.kind.value: action.content}, line


@pytest.mark.parametrize(
    ("text", "kind", "content"),
    [
        # Indentation
        ("1. Do:\n\n    ```python\n    print(1)\n    ```\n", CODE, P),
        ("1. Do:\n\t```python\n\tif x:\n\t\tprint(1)\n\t```\n", CODE, "if x:\n\tprint(1)"),
        ("    ```python\n    print('<<<7>>>')\n    ```\n", CODE, "print('<<<7>>>')"),
        ("   ```python\n   for i in x:\n       print(i)\n   ```", CODE, "for i in x:\n    print(i)"),
        ("   ```python\nfor i in x:\n    print(i)\n   ```", CODE, "for i in x:\n    print(i)"),
        ("  ```python\n  s = '''\na\n  '''\n  ```", CODE, "s = '''\na\n'''"),
        ("```python\ndef f():\n    '''\n    ```\n    x\n    ```\n    '''\n```", CODE, None),
        # Where a fence may open
        ("- ```python\n  print(1)\n  ```\n", CODE, P),
        ("1. ```python\n   print(1)\n   ```\n", CODE, P),
        ("> ```python\n> print(1)\n> ```\n", CODE, P),
        ("> - ```python\n>   print(1)\n>   ```\n", CODE, None),
        ("> ```python\n> x = 1\n\nSo <<<3>>>", ANSWER, "3"),  # the block ends with its quote
        ("</think>```python\nprint(1)\n```\n", CODE, P),
        ("<think>Hm.</think> ```python\nprint(1)\n```\n", CODE, P),
        ("Run this: ```python\nprint(1)\n```\n", CODE, P),
        ("I use ```\nand then\n```python\nprint(1)\n```\n", CODE, P),
        ("I use ```\nThe answer is <<<3>>>.", ANSWER, "3"),
        ("I write a ```python block.\nThe answer is <<<3>>>.", ANSWER, "3"),
        ("<think>```python\n</think>\n<<<3>>>", ANSWER, "3"),
        ("See ```text\n<<<1>>>\n```\nSo <<<3>>>.", ANSWER, "3"),
        ("```print(1)```\n<<<3>>>", ANSWER, "3"),  # inline code
        ("So ```x``` and ```y```\n<<<3>>>", ANSWER, "3"),
        # Where it closes
        ("```python\nprint(1)```\n", CODE, P),
        ("```python\nprint(1) ```  \nmore", CODE, None),
        ("```python\nprint('```')\nprint(1)\n```", CODE, "print('```')\nprint(1)"),
        ("```python\nprint(1)\n````", CODE, P),
        ("~~~python\nprint('```')\n~~~~\n", CODE, "print('```')"),
        ("~~~python\nprint(1)\n```\n", VOID, ""),
        ("```\nabc```\nSo <<<3>>>.", ANSWER, "3"),
        ("```python\r\nprint(1)\r\n```\r\n", CODE, P),
        # Info strings
        ('```python title="a.py"\nprint(1)\n```', CODE, P),
        ("```{python}\nprint(1)\n```", CODE, P),
        ("```{.python .numberLines}\nprint(1)\n```", CODE, P),
        ("```{.cls}\nprint(1)\n```", VOID, ""),
        ("``` python3.11\nprint(1)\n```", CODE, P),
        ("```python:main.py\nprint(1)\n```", CODE, P),
        ("```pythonic\nprint(1)\n```", VOID, ""),
        ("```python-repl\n>>> 1\n```", VOID, ""),
        ("```\nprint(1)\n```", VOID, ""),
        # Answers
        ("The answer is `<<<3>>>` (form `<<<answer>>>`)", ANSWER, "3"),
        ("<<<answer>>>", VOID, ""),
        ("<<< Your Answer >>>", VOID, ""),
        ("<<<>>>", VOID, ""),
        ("<<<5>>> or <<<>>>", ANSWER, "5"),
        ("<<<the final answer here>>>", VOID, ""),
        ("<<<answering>>>", ANSWER, "answering"),
        ("<<<()>>>", ANSWER, "()"),
        ("> <<<1>>>\n\nSo <<<3>>>.\n> or <<<2>>>", ANSWER, "3"),
        ("<<<\n7\n>>>", ANSWER, "7"),
        ("<<<2>>>\n<<< a\n>>> 1 + 1", ANSWER, "2"),
        ("The answer is <<< 5 >>>", ANSWER, "5"),
        ("The answer is <<<5>>> apples", ANSWER, "5"),
        ("So <<<5>>>: x<<<3 and y>>>2.", ANSWER, "5"),
        ("<<<3>>>\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> x\n", ANSWER, "3"),
        ("<<<1>>> is wrong.</think>So <<<2>>>.", ANSWER, "2"),  # thinking that an earlier turn has opened
        ("<<<1>>> it is.</think>", VOID, ""),
    ],
)
def test_turns(text, kind, content):
    action = NaturalFormat().parse(text)
    assert action.kind is kind
    assert content is None or action.content == content


@pytest.mark.parametrize(
    ("text", "kind", "content"),
    [
        ("\\boxed{}", VOID, ""),
        ("\\boxed{answer}", VOID, ""),
        ("\\boxed{\\text{answer}}", VOID, ""),
        ("\\boxed{3} as in \\boxed{answer}", ANSWER, "3"),
        ("\\boxed{\\boxed{}}", VOID, ""),
        ("> \\boxed{1}\n\n\\boxed{2}\n> \\boxed{3}", ANSWER, "2"),
    ],
)
def test_boxes(text, kind, content):
    action = BoxedFormat().parse(text)
    assert (action.kind, action.content) == (kind, content)


def test_empty_tags_are_no_answer():
    assert TagsFormat().parse("<answer></answer>").kind is VOID
    assert TagsFormat().parse("<answer>3</answer> <answer>answer</answer>").content == "3"


LINES = st.lists(
    st.sampled_from(
        ["```", "```python", "````", "~~~", "~~~ text", " ```", "   ```", "   ~~~~", "x", "", "  y", "``` a b", "` z"]
        + ["```python title=x", "~~~~", "`x`", "````text"]
    ),
    max_size=25,
).map("\n".join)


def blocks_of(text):
    """Language, and content of every block, the last one unclosed perhaps."""
    fences, found, position = Fences(text), [], 0
    for place, mark in enumerate(fences.marks):
        if mark.start < position or not (block := fences.block_at(place)):
            continue
        position = block.end
        found.append((text[mark.end : mark.line[1]].strip(), block.body(text).rstrip("\n")))
    return found


def reference(text):
    markdown = pytest.importorskip("markdown_it", reason="needs markdown-it-py").MarkdownIt("commonmark")
    return [
        (token.info.strip(), token.content.rstrip("\n")) for token in markdown.parse(text) if token.type == "fence"
    ]


@given(LINES)
@example("   ```\n   x\n ```\n")
def test_fences_are_those_of_commonmark(text):
    assert [info for info, _ in blocks_of(text)] == [info for info, _ in reference(text)]
    # Content that begins left of its fence keeps its indentation (see the cases above).
    for (_, ours), (_, theirs) in zip(blocks_of(text), reference(text), strict=True):
        assert ours.replace(" ", "") == theirs.replace(" ", "")


PROGRAMS = st.lists(st.sampled_from(["x = 1", "if x:", "    y = 2", "", "print('```')"]), min_size=1, max_size=4)
CONTAINERS = st.lists(st.sampled_from(["> ", "- ", "1. ", "10) "]), max_size=3)


@given(st.lists(st.tuples(CONTAINERS, st.sampled_from(["```", "~~~~", "````"]), PROGRAMS), max_size=4))
def test_fences_in_lists_and_quotes_are_those_of_commonmark(items):
    text = ""
    for containers, fence, program in items:
        inside = "".join(mark if mark == "> " else " " * len(mark) for mark in containers)
        lines = [f"{fence}python", "z = 0", *program, fence]
        text += "".join(f"{inside if number else ''.join(containers)}{line}\n" for number, line in enumerate(lines))
        text += "\nText.\n\n"
    assert [" ".join(code.split()) for _, code in blocks_of(text)] == [
        " ".join(code.split()) for _, code in reference(text)
    ]
    if not any("> " in containers for containers, _, _ in items):
        assert blocks_of(text) == reference(text)


GROWING = [
    *("```\n", "```x\n", "a ```\n", "a ````w\n", "```python\n", "~~~\n```\n", "``` ", "```x", "<think>", "</think>"),
    *("<<<", ">>>", "<<<1>>>", "<<<answer>>>", "<<<1>>>\n", "> <<<1>>>", "\\boxed{1}", "\\boxed{", "> ```\n", "- "),
    *("> ", "x", "\n", "'", "a\t```\n", "<|channel|>analysis<|message|>", "<answer>1</answer>", "<code>"),
]


@pytest.mark.parametrize("answer_format", FORMATS.values(), ids=FORMATS)
def test_reading_is_linear(answer_format):
    def seconds(piece, size):
        text = piece * (size // len(piece))
        best = 9.0
        gc.collect()
        gc.disable()  # it walks all that other tests have left
        try:
            for _ in range(2):
                before = time.process_time()
                answer_format.parse(text)
                best = min(best, time.process_time() - before)
        finally:
            gc.enable()
        return best

    slow = {}
    for piece in GROWING:
        small, large = seconds(piece, 10_000), seconds(piece, 100_000)
        if large > 20 * small + 0.02:  # a quadratic reader takes 100 times as long
            slow[piece] = (small, large)
    assert not slow


def test_runs_of_many_lengths_are_read_in_time():
    falling = "".join(f"a {'`' * length}\n" for length in range(600, 3, -1)) + "x ```y\n" * 20_000
    mixed = "a ````w\n" * 20_000 + "```\n" * 20_000 + "```python\n"
    before = time.process_time()
    for text in (falling, mixed):
        NaturalFormat().parse(text)
    assert time.process_time() - before < 10  # a quadratic reader takes minutes
