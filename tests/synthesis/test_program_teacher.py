"""Teacher-free trajectories through the real loop and a real tokenizer."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from r1ci_plugins.errors import RecipeError
from r1ci_plugins.protocol.answer_format import BoxedFormat, NaturalFormat, TagsFormat
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.conversation import render, turns_of
from r1ci_plugins.rollout.trajectory import StopReason
from r1ci_plugins.synthesis.acceptance import objection
from r1ci_plugins.synthesis.dialogue import Dialogue, converse
from r1ci_plugins.synthesis.program_teacher import ProgramTeacher, same
from r1ci_plugins.synthesis.teacher import Attempt
from r1ci_plugins.synthesis.variant import Variant
from r1ci_plugins.tasks.task import Program
from r1ci_plugins.training.loss_mask import MASKED, check_invariants

pytestmark = pytest.mark.stack


def program_teacher(answer_format, text_share=0.1, emphasis=True, explanations=True):
    return ProgramTeacher(
        answer_format=answer_format, text_share=text_share, emphasis=emphasis, explanations=explanations
    )


@pytest.fixture
def tell(tokenizers, environment):
    """Trajectories that the teacher makes of a task, judged."""
    template = ChatTemplate(tokenizers["chatml"], "Solve it.")

    def run(task, count=40, answer_format=NaturalFormat(), variants=tuple(Variant), **options):  # noqa: B008
        teacher = program_teacher(answer_format, **options)

        async def make():
            for index in range(count):
                question = task.generate(random.Random(index), None)
                question = replace(question, task=f"demo/{task.name}", split="sft", index=index)
                attempt = Attempt(task, question, variants[index % len(variants)], 0)
                speaker = teacher.speaker(attempt)
                if speaker is None:
                    continue
                trajectory = await converse(Dialogue(attempt, speaker, template, environment(task, answer_format)))
                yield replace(trajectory, origin={"variant": attempt.variant.value, "style": speaker.style})

        async def collect():
            return [trajectory async for trajectory in make()]

        return collect(), template

    return lambda *args, **options: (lambda made: (asyncio.run(made[0]), made[1]))(run(*args, **options))


def actions(trajectory):
    return [segment.text for segment in trajectory.segments if segment.kind is SegmentKind.ACTION]


@pytest.mark.parametrize(
    "answer_format", [NaturalFormat(), TagsFormat(), BoxedFormat()], ids=["natural", "tags", "boxed"]
)
def test_what_ends_with_an_answer_is_right(tell, total, answer_format):
    trajectories, _ = tell(total, answer_format=answer_format)
    answered = [t for t in trajectories if t.stop_reason is StopReason.ANSWERED]
    assert len(answered) > 30 and all(t.correct for t in answered)
    assert {objection(t, answer_format) for t in trajectories} <= {None, "void_turn"}
    shapes = Counter(t.origin["style"].split()[0] for t in answered)
    assert set(shapes) == {"direct", "check", "repair", "correct", "text"}


def test_the_answer_is_what_the_last_program_printed(tell, total):
    for trajectory in tell(total, text_share=0)[0]:
        if trajectory.correct:
            outputs = [s.text for s in trajectory.segments if s.kind is SegmentKind.CODE_OUTPUT]
            assert outputs[-1] == f"Code Execution Results:\n{trajectory.answer}"


def test_without_explanations_programs_and_answers_stand_alone(tell, total):
    trajectories, _ = tell(total, explanations=False)
    direct = [t for t in trajectories if t.origin["style"].split()[0] in ("direct", "text")]
    assert len(direct) > 5 and all(t.correct for t in direct)
    for trajectory in direct:
        *programs, answer = (text.removesuffix("<|im_end|>") for text in actions(trajectory))
        assert answer == f"<<<{trajectory.answer}>>>"
        assert all(text.startswith("```python\n") and text.endswith("```") for text in programs)


def test_repairs_follow_a_real_traceback(tell, total):
    repaired = [t for t in tell(total, count=80)[0] if t.origin["style"].startswith("repair") and t.correct]
    assert len(repaired) > 10
    for trajectory in repaired:
        output = next(s.text for s in trajectory.segments if s.kind is SegmentKind.CODE_OUTPUT)
        silent = "printed nothing" in output
        assert silent or trajectory.tool_calls[0].error in output
        assert silent or output.splitlines()[-1] in actions(trajectory)[1]
        assert not trajectory.tool_calls[-1].error


def test_segments_are_those_of_the_same_conversation(tell, total):
    trajectories, template = tell(total)
    for trajectory in trajectories:
        if trajectory.correct:
            segments = render(trajectory.question.text, turns_of(trajectory.segments), template)
            assert segments == trajectory.segments
            check_invariants(trajectory, MASKED.ranges(trajectory), MASKED)


def test_variants_shape_the_first_turn(tell, total):
    def before_code(variant):
        made = tell(total, variants=[variant], text_share=0)[0]
        return sum(len(actions(t)[0].partition("```")[0]) for t in made) / len(made)

    assert before_code(Variant.CODE_FIRST) < before_code(Variant.FREE) < before_code(Variant.TEXT_FIRST)
    switched = [t for t in tell(total, variants=[Variant.FORCED_SWITCH])[0] if t.correct]
    assert all(len(t.tool_calls) >= 2 for t in switched)


def test_emphasis_raises_the_share_of_several_programs(tell, total):
    def share(emphasis):
        made = tell(total, variants=[Variant.FREE], emphasis=emphasis, text_share=0)[0]
        return sum(len(t.tool_calls) > 1 for t in made) / len(made)

    assert share(True) > share(False) + 0.3


def test_text_share(tell, total):
    made = tell(total, variants=[Variant.FREE], text_share=1.0)[0]
    assert all(not t.tool_calls and t.correct for t in made)
    assert all(t.tool_calls for t in tell(total, text_share=0.0)[0])


def test_tasks_without_programs(tell, opinion, total):
    made, _ = tell(opinion)
    assert len(made) == 20 and all(t.correct and not t.tool_calls for t in made)  # the two variants open to text
    total.programs = lambda question: []
    assert not tell(total)[0]


def test_the_same_attempt_gives_the_same_trajectory(tell, total):
    first, second = (tell(total)[0] for _ in range(2))
    assert [t.segments for t in first] == [t.segments for t in second]
    assert len({tuple(actions(t)) for t in first}) > 35


def test_programs_that_disagree_or_fail_give_no_answer(tell, total):
    right = total.programs
    total.programs = lambda question: [*right(question)[:1], Program("broken", "print(0 * 1)")]
    made = [t for t in tell(total)[0] if t.origin["style"].startswith(("check", "correct"))]
    assert made and all(t.stop_reason is StopReason.VOID_TURN for t in made)
    total.programs = lambda question: [Program("raises", "values = [1]\nprint(values[7])")]
    made = tell(total, variants=[Variant.CODE_FIRST])[0]
    assert made and all(t.answer is None for t in made)


@pytest.mark.parametrize(
    ("output", "other", "agree"),
    [("[1, 2]", "1 2", True), ("(1, 2)", "1, 2", True), ("1 2", "2 1", False), ("12", "1 2", False), ("a", "A", False)]
    + [("} ]", "} ]", True), ("} ]", "] }", False), ("['a', 'b']", '["a", "b"]', True), ("-1", "1", False)],
)
def test_outputs_that_say_the_same(output, other, agree):
    assert same(output, other) is agree


def test_several_valid_solutions_need_not_agree(tell, total):
    total.unique = False
    total.check = lambda question, answer: answer in ("1", "2")
    total.programs = lambda question: [Program("one", "print(3 - 2)"), Program("two", "print(3 - 1)")]
    made = tell(total, variants=[Variant.FORCED_SWITCH])[0]
    assert all(t.correct for t in made if t.stop_reason is StopReason.ANSWERED)
    assert any("solution" in actions(t)[-1] for t in made)


def test_a_format_that_cannot_be_written(tell):
    class ReadOnly:
        instructions, stop = "", ()

        def parse(self, text):
            raise NotImplementedError

    with pytest.raises(RecipeError, match="not written"):
        program_teacher(ReadOnly())
