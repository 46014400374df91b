from __future__ import annotations

import math
from dataclasses import replace

import pytest

from r1ci_plugins.curriculum.candidates import candidates
from r1ci_plugins.curriculum.table import FORMAT, Origin, Row, Table, model_identity, read_table, write_table
from r1ci_plugins.errors import RecipeError, TrajectoryFileError
from r1ci_plugins.tasks.task import Question

pytest.importorskip("pyarrow")

QUESTIONS = [
    Question(f"{n}?", str(n), task="demo/a", split="rl", index=n, difficulty=None if n else 2) for n in range(5)
]
ORIGIN = Origin("hub/model", {"demo": "abc"}, "Think.", ["policy"], 20, [1.0])
ROWS = [Row.of(one, one.index * 4, 16 if one.index else 0, 1) for one in QUESTIONS]


@pytest.fixture
def file(tmp_path):
    write_table(tmp_path / "deep" / "profile.parquet", Table(ORIGIN, ROWS))
    return tmp_path / "deep" / "profile.parquet"


def test_a_table_is_read_back_and_is_plain_parquet(file):
    from pyarrow import parquet

    table = read_table(file)
    assert table.origin == ORIGIN and len(table.rows) == 5 and table.rows[1:] == ROWS[1:]
    assert math.isnan(table.rows[0].accuracy) and table.rows[0].level == 2
    assert parquet.read_table(file, columns=["question", "potential"]).to_pydict()["potential"] == [
        0,
        0.75,
        1,
        0.75,
        0,
    ]


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_table_that_is_cut_short_is_refused(file, share):
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(TrajectoryFileError, match="cannot be read"):
        read_table(file)


def test_other_files_and_other_versions_are_refused(file, tmp_path):
    import pyarrow
    from pyarrow import parquet

    with pytest.raises(TrajectoryFileError, match="no such profile"):
        read_table(tmp_path / "none.parquet")
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(TrajectoryFileError, match="cannot be read"):
        read_table(tmp_path / "a.parquet")
    write_table(file, Table(replace(ORIGIN, format=FORMAT + 1), ROWS))
    with pytest.raises(TrajectoryFileError, match=f"format {FORMAT + 1}, not {FORMAT}"):
        read_table(file)


def test_it_is_said_what_differs():
    other = replace(ORIGIN, model="hub/other", packs={"demo": "abd", "more": "x"}, samples=5)
    assert ORIGIN.differences(other) == [
        "model was 'hub/model', is now 'hub/other'",
        "samples was 20, is now 5",
        "pack demo is another version",
        "pack more is not in it",
    ]
    assert replace(ORIGIN, packs={"demo": "abc", "more": "x"}).differences(ORIGIN) == []  # more than is needed


def test_questions_must_be_those_of_the_profile():
    table = Table(ORIGIN, ROWS)
    assert [one.evidence.correct for one in candidates(QUESTIONS[1:3], table)] == [4, 8]
    changed = [replace(QUESTIONS[1], answer="17"), replace(QUESTIONS[2], index=99)]
    with pytest.raises(RecipeError, match="1 of 2 questions are not in the profile, 1 have changed; the first is"):
        candidates(changed, table)
    assert candidates(changed, None)[0].evidence.count == 0


def test_a_model_folder_is_known_by_its_content(tmp_path):
    for name, last in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"0" * 1000 + last)
    a, b, c = (model_identity(str(tmp_path / name)) for name in "abc")
    assert a == b != c and model_identity("Qwen/Qwen2.5-3B") == "Qwen/Qwen2.5-3B"
