from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1ci_plugins.protocol.answer_format import NaturalFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.conversation import Turn, render
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.audit import Audit
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED, as_loss_mask

pytestmark = pytest.mark.stack
QUESTION = Question("What is 6 * 7?", "42", task="demo/product", split="rl", index=0)
CODE, TOLD = "I compute it.\n```python\nprint(6 * 7)\n```", "Code Execution Results:\n42"
TURNS = [Turn(CODE, TOLD), Turn("Once more.\n" + CODE, TOLD), Turn("It is <<<42>>>.")]
NAMES = ["chatml", "llama3", "mistral", "qwen2.5", "qwen3"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.fixture(scope="module")
def templates(tokenizers, qwen_tokenizers):
    names = {**tokenizers, **qwen_tokenizers}
    return {name: ChatTemplate(tokenizer, NaturalFormat().instructions) for name, tokenizer in names.items()}


@pytest.fixture(scope="module")
def template(templates):
    return templates["chatml"]


def trajectory(template, turns=TURNS):
    segments = tuple(
        replace(s, log_probs=(-0.5,) * len(s.token_ids)) if s.kind is SegmentKind.ACTION else s
        for s in render(QUESTION.text, turns, template)
    )
    return Trajectory(QUESTION, segments, (), StopReason.ANSWERED, "42", 1.0)


def changed(recorded, index, **changes):
    segments = list(recorded.segments)
    segments[index] = replace(segments[index], **changes)
    return replace(recorded, segments=tuple(segments))


def start(recorded, index):
    return sum(len(segment.token_ids) for segment in recorded.segments[:index])


def audited(template, recorded, mask=MASKED):
    return list(Audit(template, mask).offences(recorded))


@settings(deadline=None, max_examples=25)
@given(turns=st.lists(st.builds(Turn, TEXT, TEXT), min_size=1, max_size=3))
@pytest.mark.parametrize("name", NAMES)
def test_what_the_loop_would_record_is_sound(templates, name, turns):
    recorded = trajectory(templates[name], turns)
    for whole in (recorded, replace(recorded, segments=recorded.segments[:-3])):  # the deadline may end it anywhere
        assert audited(templates[name], whole) == audited(templates[name], whole, UNMASKED) == []


def test_only_the_prompt_and_a_turn_cut_short_are_sound(template):
    recorded = trajectory(template)
    assert audited(template, replace(recorded, segments=recorded.segments[:1])) == []
    ids = recorded.segments[1].token_ids[:3]
    cut = Segment(SegmentKind.ACTION, ids, template.decode(ids), (-0.5,) * 3)
    assert audited(template, replace(recorded, segments=(recorded.segments[0], cut))) == []
    silent = Segment(SegmentKind.ACTION, (), "", ())
    told = (recorded.segments[0], silent, *template.feedback("1", None))
    assert audited(template, replace(recorded, segments=told)) == []


def swapped(ids, place):
    """Ids with one changed to another of the vocabulary."""
    return (*ids[:place], (ids[place] + 1000) % 40000, *ids[place + 1 :])


@pytest.mark.parametrize("index", range(9))
def test_another_id_in_any_segment_is_found_where_it_is(template, index):
    recorded = trajectory(template)
    ids = recorded.segments[index].token_ids
    broken = changed(recorded, index, token_ids=swapped(ids, len(ids) - 1))
    offences = audited(template, broken)
    assert offences
    kind = recorded.segments[index].kind
    place = start(recorded, index) + (0 if kind is SegmentKind.ACTION else len(ids) - 1)
    if kind is SegmentKind.ACTION and len(offences) > 1:  # without its end-of-turn token, what follows changes too
        assert offences[1].position == start(recorded, index + 1)
    assert offences[0].position == place and (kind.value in offences[0].what)
    assert "--tokenizer" not in offences[0].fix and "tokenizer" in offences[0].fix


@pytest.mark.parametrize("index", range(9))
def test_another_text_of_any_segment_is_found(template, index):
    recorded = trajectory(template)
    assert audited(template, changed(recorded, index, text=recorded.segments[index].text + "!"))


@pytest.mark.parametrize("alien", [-1, 10**6])
@pytest.mark.parametrize("index", [0, 1, 3])
def test_an_id_outside_the_vocabulary_is_found_where_it_is(template, alien, index):
    recorded = trajectory(template)
    broken = changed(recorded, index, token_ids=(*recorded.segments[index].token_ids[:-1], alien))
    (offence,) = audited(template, broken)
    assert offence.position == start(recorded, index + 1) - 1
    assert offence.what.startswith(f"{alien} is not an id of the tokenizer")


@pytest.mark.parametrize("name", ["llama3", "mistral", "qwen2.5", "qwen3"])
def test_the_ids_of_another_tokenizer_or_template_are_found(templates, name):
    assert audited(templates["chatml"], trajectory(templates[name]))
    assert audited(templates[name], trajectory(templates["chatml"]))


def test_other_instructions_are_found_in_the_prompt(template):
    other = ChatTemplate(template.tokenizer, "Answer in one word.")
    (offence,) = audited(other, trajectory(template))
    assert "prompt" in offence.what and "recipe" in offence.fix


@pytest.mark.parametrize(
    ("log_probs", "expected"),
    [((-0.5,), "1 log-probs for"), ((math.nan, -1.0), "not finite"), ((0.5, -1.0), "positive"), ((), "0 log-probs")],
)
def test_log_probs_that_do_not_fit_are_found(template, log_probs, expected):
    recorded = trajectory(template)
    if len(log_probs) == 2:
        log_probs = (*log_probs, *(-0.5,) * (len(recorded.segments[5].token_ids) - 2))
    (offence,) = audited(template, changed(recorded, 5, log_probs=log_probs))
    assert expected in offence.what and offence.position == start(recorded, 5)


@pytest.mark.parametrize(
    ("mask", "expected", "position"),
    [
        (lambda t: [(0, 5)], "kind prompt", 0),
        (lambda t: [(start(t, 1), start(t, 2) + 1)], "kind separator", "separator"),
        (UNMASKED.ranges, "kind code_output", "code_output"),
        (lambda t: [(5, 10**6)], "do not fit", 5),
        (lambda t: [(start(t, 2) - 1, start(t, 2)), (start(t, 1), start(t, 2))], "unsorted", None),
        (lambda t: 1 / 0, "the loss mask raised ZeroDivisionError", None),
    ],
)
def test_a_mask_that_trains_the_wrong_tokens_is_found(template, mask, expected, position):
    recorded = trajectory(template)
    (offence,) = list(Audit(template, as_loss_mask(mask)).offences(recorded))
    assert expected in offence.what
    places = {"separator": start(recorded, 2), "code_output": start(recorded, 3)}
    assert offence.position == places.get(position, position)


def test_an_excluded_trajectory_trains_nothing_and_a_fault_excludes(template):
    audit = Audit(template, UNMASKED)
    assert not list(audit.offences(replace(trajectory(template), fault="slot lost")))
    assert audit.tally.excluded == 1 and audit.tally.trained.total() == 0 and audit.tally.tokens.total()
    unmarked = replace(trajectory(template), stop_reason=StopReason.INFRASTRUCTURE_FAULT)
    (offence,) = audited(template, unmarked)
    assert "infrastructure fault" in offence.what


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([1], "cannot stand first"),
        ([0, 0], "prompt cannot stand after prompt"),
        ([0, 1, 5], "action cannot stand after action"),
        ([0, 1, 3], "code_output cannot stand after action"),
        ([0, 1, 2, 4], "separator cannot stand after separator"),
        ([0, 1, 2, 3, 5], "action cannot stand after code_output"),
        ([0, 1, 2], "breaks off"),
        ([0, 1, 2, 3], "breaks off"),
    ],
)
def test_segments_in_an_impossible_order_are_found(template, order, expected):
    recorded = trajectory(template)
    broken = replace(recorded, segments=tuple(recorded.segments[index] for index in order))
    assert expected in audited(template, broken)[-1].what


def test_text_alone_is_rendered_and_counted(template):
    recorded = trajectory(template)
    segments = tuple(replace(segment, token_ids=(), log_probs=None) for segment in recorded.segments)
    audit = Audit(template, MASKED)
    assert not list(audit.offences(replace(recorded, segments=segments)))
    assert audit.tally.textual == 1 and audit.tally.tokens.total() == len(recorded.token_ids)
    (offence,) = audit.offences(replace(recorded, segments=(segments[0], segments[3])))
    assert "follows no turn" in offence.what


def test_the_tally_counts_tokens_by_kind(template):
    audit = Audit(template, UNMASKED)
    recorded = trajectory(template)
    for _ in range(2):
        assert not list(audit.offences(recorded))
    tally = audit.tally
    assert (tally.trajectories, tally.tokens.total()) == (2, 2 * len(recorded.token_ids))
    assert set(tally.trained) == {SegmentKind.ACTION, SegmentKind.CODE_OUTPUT}
    assert tally.trained[SegmentKind.CODE_OUTPUT] == tally.tokens[SegmentKind.CODE_OUTPUT]
