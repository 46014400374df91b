from __future__ import annotations

import io
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.report.token_lines import fact_lines, flowing_lines, token_lines
from r1ci_plugins.report.token_page import page
from r1ci_plugins.report.token_rows import facts, plain, reveal, runs, token_rows
from r1ci_plugins.rollout.conversation import Turn, render
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED

pytestmark = pytest.mark.stack
QUESTION = Question("What is 6 * 7?", "42", task="demo/product", split="rl", index=0)
TURNS = [Turn("I compute it.\n```python\nprint(6 * 7)\n```", "Code Execution Results:\n42"), Turn("It is <<<42>>>.")]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=25) | st.sampled_from(
    [
        "👩\u200d👩\u200d👧",
        "e\u0301 \t\r\n",
        "<b>&amp;\"'</b>",
        "\x1b[31m",
        "· ↵",
        "<|im_end|>",
        "中文",
        "\ufffd\ufffd",
    ]
)


@pytest.fixture(scope="module")
def templates(tokenizers, qwen_tokenizers):
    names = {**tokenizers, **qwen_tokenizers}
    return {name: ChatTemplate(tokenizer, NaturalFormat().instructions) for name, tokenizer in names.items()}


@pytest.fixture(scope="module")
def template(templates):
    return templates["chatml"]


def trajectory(template, turns=TURNS, log_prob=-0.5):
    segments = tuple(
        replace(s, log_probs=(log_prob,) * len(s.token_ids)) if s.kind is SegmentKind.ACTION and log_prob else s
        for s in render(QUESTION.text, turns, template)
    )
    return Trajectory(QUESTION, segments, (), StopReason.ANSWERED, "42", 1.0, "", {"correctness": 1.0, "format": -0.1})


def view(template, mask=MASKED, **changes):
    recorded = trajectory(template, **changes)
    return recorded, token_rows(recorded, mask.ranges(recorded), template.tokenizer)


def printed(lines, width=200, color_system=None):
    console = Console(file=io.StringIO(), width=width, highlight=False, soft_wrap=True, color_system=color_system)
    for line in lines:
        console.print(line)
    return console.file.getvalue()


@settings(deadline=None, max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("name", ["chatml", "llama3", "mistral", "qwen2.5", "qwen3"])
def test_every_token_is_there_once_and_as_the_mask_has_it(templates, name, data):
    turn = st.builds(Turn, TEXT, TEXT)
    recorded = trajectory(templates[name], data.draw(st.lists(turn, min_size=1, max_size=3)))
    length = len(recorded.token_ids)
    ends = data.draw(st.lists(st.integers(0, length), max_size=6, unique=True).map(sorted))
    for ranges in (MASKED.ranges(recorded), UNMASKED.ranges(recorded), list(zip(ends[::2], ends[1::2], strict=False))):
        rows = token_rows(recorded, ranges, templates[name].tokenizer)
        assert [row.position for row in rows] == list(range(length))
        assert [row.token_id for row in rows] == recorded.token_ids
        kinds = [segment.kind for segment in recorded.segments for _ in segment.token_ids]
        assert [row.kind for row in rows] == kinds
        assert [row.trained for row in rows] == [any(a <= p < b for a, b in ranges) for p in range(length)]
        assert [row for run in runs(rows) for row in run] == rows
    decode = templates[name].tokenizer.decode
    for index, segment in enumerate(recorded.segments):
        text = "".join(row.text for row in rows if row.segment == index)
        assert text == decode(segment.token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def test_turns_special_tokens_and_log_probs(template):
    _, rows = view(template)
    assert [(run[0].turn, run[0].kind.value, run[0].verdict) for run in runs(rows)] == [
        (0, "prompt", ""),
        (1, "action", "trained"),
        (1, "separator", ""),
        (1, "code_output", ""),
        (1, "separator", ""),
        (2, "action", "trained"),
    ]
    assert {row.text for row in rows if row.special} == {"<|im_start|>", "<|im_end|>"}
    assert {row.log_prob for row in rows if row.trained} == {-0.5}
    assert {row.log_prob for row in rows if not row.trained} == {None}


def test_a_character_of_several_tokens_stands_at_the_first(template):
    _, rows = view(template, turns=[Turn("🙂 <<<42>>>")])
    first = next(row for row in rows if row.text.startswith("🙂"))
    assert first.kind is SegmentKind.ACTION and not any("\ufffd" in row.text for row in rows)


def test_half_a_character_does_not_swallow_what_follows(template):
    half = template.encode("🙂")[:1]
    recorded = trajectory(template)
    cut = Segment(SegmentKind.ACTION, tuple(half), "\ufffd")
    recorded = replace(recorded, segments=(recorded.segments[0], cut, *recorded.segments[2:]))
    rows = token_rows(recorded, [], template.tokenizer)
    after = [row.text for row in rows if row.segment == 2]
    assert next(row.text for row in rows if row.segment == 1) == "\ufffd"
    assert "".join(after) == "<|im_end|>\n<|im_start|>user\n"[-len("".join(after)) :] and "".join(after)


@pytest.mark.parametrize("alien", [-1, 10**6, 10**30])
def test_ids_that_no_tokenizer_has_are_shown_by_their_number(template, alien):
    recorded = trajectory(template)
    strange = Segment(SegmentKind.ACTION, (alien,), "")
    recorded = replace(recorded, segments=(recorded.segments[0], strange))
    rows = token_rows(recorded, MASKED.ranges(recorded), template.tokenizer)
    assert rows[-1].text == "" and f"⟨{alien}⟩" in printed(flowing_lines(rows, None))
    assert f"⟨{alien}⟩" in page(facts(recorded, rows), rows)


def test_the_ablation_counts_what_leaks(template):
    recorded, rows = view(template, UNMASKED)
    output = len(recorded.segments[3].token_ids)
    assert sum(row.leaks for row in rows) == output
    assert facts(recorded, rows)["leaks"].startswith(f"{output} tokens are trained though the policy did not")
    assert "leaks" not in facts(*view(template))


def test_facts_say_what_is_not_known(template):
    known = facts(*view(template))
    assert known["reward"] == "0.9 = correctness 1 - format 0.1"
    assert known["log-probs"].startswith("mean -0.500 over ")
    recorded, rows = view(template, log_prob=None)
    unknown = facts(replace(recorded, reward_terms={}, fault="slot lost"), rows)
    assert unknown["reward"] == unknown["log-probs"] == "not in the record"
    assert unknown["advantage"].startswith("none recorded")
    assert unknown["excluded"] == "nothing is trained: slot lost"


@pytest.mark.parametrize("character", list("\x00\x1b\n\r\t\x7f\u200b\u202e\u00a0\u2028\ue000") + ["\ud800", " "])
def test_what_cannot_be_seen_has_a_sign(character):
    sign = reveal(character)
    assert sign != character and sign.isprintable() and " " not in sign
    sign.encode()
    assert plain(f"a b{character}").startswith("a b")


def test_lines_without_colours_tell_everything(template):
    recorded, rows = view(template, UNMASKED)
    lines = printed([*fact_lines(facts(recorded, rows), "ranges overlap"), *flowing_lines(rows, None)]).splitlines()
    assert "   1 action      trained   -0.500 | I compute it.↵" in lines
    assert "   1 code_output leak             | Code Execution Results:↵" in lines
    assert "   1 separator                    | <|im_start|>user↵" in lines
    assert any(line.startswith("    wrong  ranges overlap") for line in lines)
    table = printed(token_lines(rows)).splitlines()
    assert len(table) == len(rows) + 1
    assert [line.split()[0] for line in table[1:]] == [str(row.position) for row in rows]


def test_colours_change_from_token_to_token_and_no_control_character_gets_through(template):
    turns = [Turn("\x1b[2Jboo\x07", "\x1b]0;title\x07")]
    _, rows = view(template, turns=turns)
    assert not set(printed(flowing_lines(rows, None))) & set("\x1b\x07")
    coloured = printed(flowing_lines(rows, None), color_system="standard")
    assert "\x1b[30;42m" in coloured and "\x1b[30;102m" in coloured and "\x1b[2J" not in coloured


def test_long_lines_are_folded_beside_the_margin(template):
    _, rows = view(template, turns=[Turn("长" * 100)])
    lines = printed(flowing_lines(rows, 80), width=80).splitlines()
    assert all(" | " in line for line in lines)
    assert max(map(cell_len, lines)) == 80
    assert sum(line.count("长") for line in lines) == 100


class Reader(HTMLParser):
    """Texts of the tokens, tips, tags and everything that could reach the network."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.tokens, self.tips, self.references = [], set(), [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.references += [v for k, v in attributes.items() if k in ("src", "href", "action") or k.startswith("on")]
        if tag not in ("meta", "wbr"):
            self.open.append(tag)
        if "title" in attributes:
            self.tips.append(attributes["title"])
            self.tokens.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "pre" in self.open:
            self.tokens[-1] += data


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_the_page_holds_every_token_escaped_and_nothing_else(template, data):
    turns = data.draw(st.lists(st.builds(Turn, TEXT, TEXT), min_size=1, max_size=2))
    recorded, rows = view(template, UNMASKED, turns=turns)
    recorded = replace(recorded, answer=data.draw(TEXT))
    text = page(facts(recorded, rows), rows, alarm=data.draw(TEXT))
    text.encode("utf-8")
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open and not reader.references and "http" not in text.replace("http-equiv", "")
    assert not reader.tags & {"script", "link", "img", "iframe", "a", "object", "embed"}
    shown = ["".join(reveal(c) + "\n" * (c == "\n") for c in row.text) or f"⟨{row.token_id}⟩" for row in rows]
    assert reader.tokens == shown
    for row, tip in zip(rows, reader.tips, strict=True):
        assert tip.startswith(f"#{row.position} | id {row.token_id} | {row.kind.value} | turn {row.turn} | log-prob")


def test_the_page_is_light_dark_and_has_a_legend(template):
    text = page(facts(*view(template, UNMASKED)), view(template, UNMASKED)[1], alarm="ranges <overlap>")
    assert "prefers-color-scheme: dark" in text and "color-scheme: light dark" in text
    assert 'class="legend"' in text and "ranges &lt;overlap&gt;" in text
    assert "default-src 'none'" in text
