"""GSM-Hard and MATH: questions from data that the user names, and a clear word when it is not there."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from r1ci_tasks_symbench import r1ci_task_packs

from r1ci_plugins.errors import MissingData
from r1ci_plugins.questions.splits import draw

PACK = r1ci_task_packs()[0]
GSM = [{"input": f"How much is {n} dollars and {n} dollars?", "target": float(2 * n)} for n in range(100_000, 100_040)]
MATH = [
    {
        "problem": f"What is half of {n}?",
        "level": f"Level {1 + n % 5}",
        "type": kind,
        "solution": rf"$\boxed{{{n}/2}}$",
    }
    for n in range(40)
    for kind in ("Geometry", "Counting & Probability")
]


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def drawn(task: str, count: int = 5, difficulty: int | None = None) -> list[str]:
    return [question.text for question in draw("symbench", PACK[task], "rl", 1, count, difficulty)]


def test_without_the_variable_the_questions_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for task, variable in (("gsm_hard", "R1CI_GSM_HARD"), ("math_geometry", "R1CI_MATH")):
        monkeypatch.delenv(variable, raising=False)
        assert len(set(drawn(task, 200))) == 200


def test_gsm_hard_from_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R1CI_GSM_HARD", str(lines(tmp_path / "mine.jsonl", GSM)))
    assert all(text.startswith("How much is") for text in drawn("gsm_hard"))
    question = PACK["gsm_hard"].generate(random.Random(1), None)
    assert PACK["gsm_hard"].check(question, f"{float(question.answer) * 1.0005:.2f}")
    assert not PACK["gsm_hard"].check(question, f"{float(question.answer) * 1.002:.2f}")


def test_gsm_hard_from_a_saved_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    datasets.Dataset.from_list(GSM).save_to_disk(str(tmp_path / "saved"))
    monkeypatch.setenv("R1CI_GSM_HARD", str(tmp_path / "saved"))
    assert all(text.startswith("How much is") for text in drawn("gsm_hard"))


def test_upstreams_clone_serves_all_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "dataset_gather"
    for number, row in enumerate(MATH):
        folder = base / "MATH/train" / ("geometry" if row["type"] == "Geometry" else "counting_and_probability")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.json").write_text(json.dumps({**row, "problem": f"{row['type']}: {row['problem']}"}))
    lines(base / "gsmhardv2.jsonl", GSM)
    monkeypatch.setenv("R1CI_MATH", str(tmp_path))
    monkeypatch.setenv("R1CI_GSM_HARD", str(tmp_path))
    assert all(text.startswith("Geometry:") for text in drawn("math_geometry"))
    assert all(text.startswith("Counting & Probability:") for text in drawn("math_counting_and_probability"))
    assert all(text.startswith("How much is") for text in drawn("gsm_hard"))


def test_math_keeps_the_subject_and_the_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**row, "problem": f"{row['type']}: {row['problem']}"} for row in MATH]
    monkeypatch.setenv("R1CI_MATH", str(lines(tmp_path / "math.jsonl", rows)))
    for n in range(20):
        question = PACK["math_geometry"].generate(random.Random(n), 2)
        assert question.text.startswith("Geometry:")
        assert int(question.text.split("half of ")[1].split("?")[0]) % 5 == 2
        assert PACK["math_geometry"].check(question, question.answer)


def test_a_level_that_the_data_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in MATH if row["level"] == "Level 1"]
    monkeypatch.setenv("R1CI_MATH", str(lines(tmp_path / "easy.jsonl", rows)))
    with pytest.raises(MissingData, match="no problem of level 3"):
        PACK["math_geometry"].generate(random.Random(1), 3)


@pytest.mark.parametrize(("task", "variable"), [("gsm_hard", "R1CI_GSM_HARD"), ("math_geometry", "R1CI_MATH")])
def test_missing_data_says_what_to_do(
    task: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("the hub cannot be reached")

    monkeypatch.setattr("datasets.get_dataset_config_names", offline)
    for source in ("somebody/some-data", str(tmp_path / "nowhere")):
        monkeypatch.setenv(variable, source)
        with pytest.raises(MissingData, match=variable) as raised:
            PACK[task].generate(random.Random(1), None)
        assert source in str(raised.value)
        assert "unset" in str(raised.value)


def test_data_of_another_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R1CI_GSM_HARD", str(lines(tmp_path / "other.jsonl", [{"text": "a"}])))
    with pytest.raises(MissingData, match="gsm_hard"):
        PACK["gsm_hard"].generate(random.Random(1), None)
