from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.errors import LossMaskError, TrajectoryFileError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.conversation import Turn, render, turns_of
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.training.audit import Audit
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED, LossMask, as_loss_mask
from r1ci_plugins.training.supervised import fit, make_examples

pytestmark = pytest.mark.stack
TURNS = [
    Turn("I run it.\n```python\nprint(6 * 7)\n```", "Code Execution Results:\n42"),
    Turn("Again.\n```python\nprint(7 * 6)\n```", "Code Execution Results:\n42"),
    Turn("It is <<<42>>>."),
]


@pytest.fixture(scope="module")
def template(tokenizers):
    return ChatTemplate(tokenizers["chatml"], "Think.")


@pytest.fixture(scope="module")
def trajectory(template):
    question = Question("What is 6 * 7?", "42", task="demo/product", split="sft", index=0)
    segments = render(question.text, TURNS, template)
    return Trajectory(question, segments, (), StopReason.ANSWERED, answer="42", score=1.0)


def examples(trajectories, template, mask=MASKED, **options):
    usual = {"max_tokens": 10_000, "too_long": "drop", "only_correct": True}
    return make_examples(trajectories, template, mask, **usual | options)


def test_the_record_is_taken_as_it_is(trajectory, template):
    made = examples([trajectory], template)
    (example,) = made.examples
    assert list(example.token_ids) == trajectory.token_ids and list(example.ranges) == MASKED.ranges(trajectory)
    assert example.trained == sum(len(s.token_ids) for s in trajectory.segments if s.kind is SegmentKind.ACTION)
    assert examples([trajectory], template, UNMASKED).examples[0].trained > example.trained
    assert f"1 trajectories, {example.trained} of {len(example.token_ids)} tokens trained" == made.describe()


def test_text_alone_is_rendered_to_the_same_tokens(trajectory, template):
    as_text = replace(trajectory, segments=tuple(replace(s, token_ids=()) for s in trajectory.segments))
    assert turns_of(as_text.segments) == TURNS
    assert examples([as_text], template) == examples([trajectory], template)


def test_what_is_left_out_is_counted_by_reason(trajectory, template):
    many = [
        trajectory,
        replace(trajectory, score=0.5),
        replace(trajectory, score=None),
        replace(trajectory, fault="sandbox"),
        replace(trajectory, segments=trajectory.segments[:1]),
    ]
    made = examples(many, template)
    assert len(made.examples) == 1
    expected = {"no correct answer": 2, "ended with an infrastructure fault": 1, "no token is trained": 1}
    assert made.left_out == Counter(expected)
    assert all(f"{count} left out: {reason}" in made.describe() for reason, count in expected.items())
    assert len(examples(many, template, only_correct=False).examples) == 3


@given(st.integers(0, 400))
def test_a_turn_is_never_cut(trajectory, template, room):
    whole = len(trajectory.token_ids)
    assert (fit(trajectory, room, "drop") is trajectory) == (whole <= room)
    cut = fit(trajectory, room, "cut_at_turn")
    turn_ends = [
        end
        for end, segment in enumerate(trajectory.segments, 1)
        if segment.kind is SegmentKind.ACTION and sum(len(s.token_ids) for s in trajectory.segments[:end]) <= room
    ]
    if whole <= room:
        assert cut is trajectory
    elif turn_ends:  # the longest prefix that ends with a whole turn of the model
        assert cut.segments == trajectory.segments[: turn_ends[-1]]
    else:
        assert cut is None


def test_cuts_and_drops_are_counted(trajectory, template):
    room = len(trajectory.token_ids) - 1
    dropped = examples([trajectory], template, max_tokens=room)
    assert not dropped.examples and dropped.left_out == Counter({f"longer than {room} tokens": 1})
    cut = examples([trajectory], template, max_tokens=room, too_long="cut_at_turn")
    assert cut.cut == 1 and len(cut.examples) == 1 and "1 cut at a turn" in cut.describe()


def broken(trajectory, kind, ids):
    segments = list(trajectory.segments)
    at = next(i for i, segment in enumerate(segments) if segment.kind is kind)
    segments[at] = replace(segments[at], token_ids=ids)
    return replace(trajectory, segments=tuple(segments))


@pytest.mark.parametrize("ids", [(5, 6, 7), (10**12,), (-1,), ("7",), (None,), (1.5,)])
@pytest.mark.parametrize("kind", [SegmentKind.PROMPT, SegmentKind.ACTION])
def test_ids_of_another_tokenizer_are_refused(trajectory, template, kind, ids):
    with pytest.raises(TrajectoryFileError, match="is not what this model's tokenizer") as caught:
        examples([trajectory, broken(trajectory, kind, ids)], template)
    assert trajectory.question.key in str(caught.value) and "fix:" in str(caught.value)


@pytest.mark.parametrize("name", ["llama3", "mistral"])
def test_another_chat_template_is_noticed_also_with_the_same_vocabulary(trajectory, tokenizers, name):
    other = ChatTemplate(tokenizers[name], "Think.")
    with pytest.raises(TrajectoryFileError, match="prompt is not what"):
        examples([trajectory], other)
    new_prompt = (other.prompt("What is 6 * 7?"), *trajectory.segments[1:])
    with pytest.raises(TrajectoryFileError, match="separator is not what"):
        examples([replace(trajectory, segments=new_prompt)], other)


def test_impossible_records_are_refused(trajectory, template):
    with pytest.raises(TrajectoryFileError, match="does not begin with its prompt"):
        examples([replace(trajectory, segments=trajectory.segments[1:])], template)
    lost = replace(trajectory, segments=(Segment(SegmentKind.CODE_OUTPUT, (), "42"),))
    with pytest.raises(TrajectoryFileError, match="follows no turn"):
        examples([lost], template)


def test_a_mask_that_trains_the_prompt_is_refused(trajectory, template):
    with pytest.raises(LossMaskError, match="prompt"):
        examples([trajectory], template, LossMask(lambda _: [(0, 5)]))


def test_a_plugins_mask_is_held_to_what_it_promises_in_sft_and_audit_alike(trajectory, template):
    """A plain function, as plugins wrote it in 0.1, promises to train sampled tokens only."""
    plain, declared = as_loss_mask(UNMASKED.ranges), LossMask(UNMASKED.ranges, sampled_only=False)
    with pytest.raises(LossMaskError, match="kind code_output") as caught:
        examples([trajectory], template, plain)
    assert "LossMask(function, sampled_only=False)" in str(caught.value)
    (offence,) = Audit(template, plain).offences(trajectory)
    assert "kind code_output" in offence.what and "LossMask(function, sampled_only=False)" in offence.fix
    assert examples([trajectory], template, declared).examples
    assert not list(Audit(template, declared).offences(trajectory))
