from __future__ import annotations

import json
from pathlib import Path

from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.behaviour import Behaviour
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.trajectory import StopReason, ToolCall, Trajectory
from r1ci_plugins.tasks.task import Question

LABELLED = [json.loads(line) for line in Path(__file__).with_name("self_checks.jsonl").read_text().splitlines()]


def trajectory(*turns: str, programs: tuple[str, ...] = ("print(1)",), answer: str | None = None) -> Trajectory:
    calls = tuple(ToolCall(code, "ok", "", 0.1, 0.1, 0.0, 0, "none") for code in programs)
    segments = tuple(Segment(SegmentKind.ACTION, (), turn) for turn in turns)
    return Trajectory(Question("?", "1", task="demo/a"), segments, calls, StopReason.ANSWERED, answer=answer)


def self_check(turn: str) -> bool:
    return Behaviour(trajectory("```python\nprint(1)\n```", turn)).self_check


def test_the_rule_for_self_checks_is_precise_on_labelled_turns():
    """The turns were written and labelled by hand. Precision 0.93, recall 0.82: the share is rather too low."""
    found = [one["check"] for one in LABELLED if self_check(one["turn"])]
    assert sum(found) / len(found) >= 0.9
    assert sum(found) / sum(one["check"] for one in LABELLED) >= 0.8


def test_only_what_comes_after_a_result_is_a_check_of_it():
    words = "I verify each candidate."
    assert not Behaviour(trajectory(words, "<<<1>>>")).self_check
    assert not Behaviour(trajectory(words, words, programs=())).self_check
    assert Behaviour(trajectory("```python\n...```", "<<<1>>>", programs=("x = 1\nassert x == 1",))).self_check


def test_invented_outputs_and_repeated_programs_are_counted():
    turns = ("```python\nprint(1)\n```\nCode Execution Results:\n1", "So it is 1. <<<1>>>")
    shown = Behaviour(trajectory(*turns, programs=("print(1)", "print(1)  \n", "print(2)")))
    assert shown.invented_outputs == 1 and shown.repeated_programs == 1


def test_the_outcome_of_a_sample_has_its_behaviour_and_a_digest_of_its_answer():
    one = OutcomeSummary.of(trajectory("Code Execution Results: 3", programs=("a", "a"), answer=" The  Answer "))
    assert (one.invented_outputs, one.repeated_programs) == (1, 1)
    assert one.answer == OutcomeSummary.of(trajectory(answer="the answer")).answer != ""
    assert OutcomeSummary.of(trajectory()).answer == ""
    assert OutcomeSummary(**json.loads(json.dumps(one.to_dict()))) == one
