from __future__ import annotations

import pytest

from r1ci_plugins.protocol.answer_format import NaturalFormat, TagsFormat
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.trajectory import StopReason, ToolCall, Trajectory
from r1ci_plugins.synthesis.acceptance import objection
from r1ci_plugins.synthesis.similarity import NearDuplicates
from r1ci_plugins.tasks.task import Question

QUESTION = "How much is 6 * 7 * 1000?"
CODE = "print(6 * 7 * 1000)"


def trajectory(*turns, answer="42000", code=(), score=1.0, reason=StopReason.ANSWERED, fault="", question=QUESTION):
    calls = tuple(ToolCall(text, "ok", "", 0.1, 0.1, 0.0, 0, "none") for text in code)
    segments = tuple(Segment(SegmentKind.ACTION, (1,), text) for text in turns)
    return Trajectory(Question(question, "42000"), segments, calls, reason, answer, score, fault=fault)


def with_code(code, before="I compute it.", after="So it is <<<42000>>>", **options):
    return trajectory(f"{before}\n```python\n{code}\n```", after, code=[code], **options)


ACCEPTED = {
    "computed": with_code(CODE),
    "text alone": trajectory("Six times seven is forty-two. <<<42000>>>"),
    "number of the question in the text": with_code("print(1000 * 2)", "There are 1000.", "<<<1000>>>", answer="1000"),
    "short answer in the text": with_code("print(len('abc'))", "At least 3 I guess.", "<<<3>>>", answer="3"),
    "a boolean expression": with_code("print(True and not False)", answer="True"),
    "a constant of the question": with_code("n = 42000\nprint(n * 1)", question="How much is 1 * 42000?"),
    "a program that does not parse": with_code("print(6 * 7"),
}
REJECTED = {
    "fault": trajectory(fault="the sandbox failed", score=None),
    "void_turn": trajectory("Hm.", answer=None, reason=StopReason.VOID_TURN),
    "token_budget": trajectory("Hm.", answer=None, reason=StopReason.TOKEN_BUDGET),
    "invented_output": with_code(CODE, "Code Execution Results:\n42000\n"),
    "invented_output ": trajectory("```output\n42000\n```\nSo <<<42000>>>"),
    "leaked_answer": with_code(CODE, "It is <<<42000>>>, let me show it."),
    "leaked_answer ": with_code(CODE, "The answer is 42000. I verify it."),
    "hard_coded_answer": with_code("print(42000)"),
    "hard_coded_answer ": with_code("result = '42000'\nprint(result)"),
    "hard_coded_answer  ": with_code("print(str(-42000))", answer="-42000"),
    "hard_coded_answer   ": with_code("for _ in range(1):\n    print('42000')"),
    "incorrect": with_code(CODE, score=0.0),
    "incorrect ": with_code(CODE, score=0.5),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name):
    assert objection(ACCEPTED[name], NaturalFormat()) is None


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(name):
    assert objection(REJECTED[name], NaturalFormat()) == name.strip()


def test_the_answer_format_says_what_a_leak_is():
    leak = trajectory("<answer>42</answer><code>\nprint(6 * 7)\n</code>", "<answer>42</answer>", code=["print(6 * 7)"])
    assert objection(leak, TagsFormat()) == "leaked_answer"


@pytest.mark.parametrize("code", ["(" * 5000, "x = " + "-" * 20000 + "1", "\x00", "print(" + "1+" * 50000 + "1)"])
def test_odd_programs_do_not_harm(code):
    objection(with_code(code), NaturalFormat())


def test_near_duplicates():
    words = " ".join(f"word{n}" for n in range(100))
    seen = NearDuplicates(0.9)
    assert seen.adds(trajectory(words))
    assert not seen.adds(trajectory(words))
    assert not seen.adds(trajectory(words.upper() + "  !"))
    assert seen.adds(trajectory(words.replace("word1", "other")))
    assert seen.adds(trajectory("short"))
    never = NearDuplicates(1.1)
    assert never.adds(trajectory(words)) and never.adds(trajectory(words))
