from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1ci_plugins.errors import TaskError
from r1ci_plugins.questions.prompts import row, write_prompts
from r1ci_plugins.tasks.task import Question

TEXT = st.text(max_size=20)
QUESTIONS = st.builds(
    Question, TEXT, TEXT, st.dictionaries(TEXT, TEXT | st.integers() | st.none(), max_size=2), st.just("demo/a"),
    st.just("rl"), st.integers(0, 99), st.integers(0, 9), st.none() | st.integers(0, 3),
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(QUESTIONS, max_size=4))
def test_every_question_comes_back_from_its_row(tmp_path, questions):
    path = tmp_path / "new" / "train.jsonl"
    assert write_prompts(path, questions, lambda text: f"<user>{text}<assistant>") == len(questions)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [Question.from_json(one["label"]) for one in rows] == questions
    assert [one["input"] for one in rows] == [f"<user>{question.text}<assistant>" for question in questions]
    assert all(one["datasource"] == "demo/a" and set(one) == {"input", "label", "datasource"} for one in rows)


def test_a_failure_in_the_middle_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "train.jsonl"
    write_prompts(path, [Question("old", "1")], str)

    def questions():
        yield Question("new", "2")
        raise RuntimeError("the pack broke")

    with pytest.raises(RuntimeError):
        write_prompts(path, questions(), str)
    assert [json.loads(line)["input"] for line in path.read_text().splitlines()] == ["old"]


def test_a_question_that_no_file_can_carry_is_named(tmp_path):
    with pytest.raises(TaskError, match="not valid Unicode") as caught:
        write_prompts(tmp_path / "train.jsonl", [Question("?", "\ud800", task="demo/a", split="rl", index=8)], str)
    assert "demo/a/rl/8/0" in str(caught.value) and not (tmp_path / "train.jsonl").exists()


def test_one_row_is_what_openrlhf_reads():
    question = Question("What is twice 2?", "4", task="demo/doubling", split="rl", index=0)
    assert row(question, "prompt") == {
        "input": "prompt",
        "label": question.to_json(),
        "datasource": "demo/doubling",
    }
