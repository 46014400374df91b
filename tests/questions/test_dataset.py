from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from r1ci_plugins.errors import MachineProblem, TaskError
from r1ci_plugins.questions import dataset
from r1ci_plugins.questions.card import Provenance
from r1ci_plugins.questions.dataset import is_built, write_dataset
from r1ci_plugins.tasks.task import Question

BUILT_FROM = Provenance("model: m\n", "r1ci data build --recipe r.yaml", ["pack demo 1.0"], {"demo": "abc"})


def questions(split: str, numbers: range) -> list[Question]:
    return [
        Question(
            f"Was ist 2·{n}?\u2028", str(2 * n), {"n": n}, task=f"demo/{'ab'[n % 2]}", split=split, index=n, seed=3
        )
        for n in numbers
    ]


@pytest.fixture
def made(tmp_path):
    """Seven training and three held-out questions, written; shards of three rows."""
    pytest.importorskip("datasets")
    splits = {"train": questions("rl", range(7)), "test": questions("test", range(7, 10))}
    write_dataset(tmp_path / "demo", splits, lambda text: f"<user>{text}<assistant>", BUILT_FROM, ["a note"])
    return tmp_path / "demo", splits


@pytest.fixture(autouse=True)
def small_shards(monkeypatch, tmp_path):
    monkeypatch.setattr(dataset, "ROWS_PER_SHARD", 3)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))


def expected(split) -> list[dict]:
    return [{"input": f"<user>{q.text}<assistant>", "label": q.to_json(), "datasource": q.task} for q in split]


def test_the_folder_loads_in_each_way_with_the_same_rows(made, tmp_path):
    from datasets import load_dataset, load_from_disk

    folder, splits = made
    for loaded in (load_from_disk(str(folder)), load_dataset(str(folder), cache_dir=str(tmp_path / "hf"))):
        assert {name: list(rows) for name, rows in loaded.items()} == {n: expected(s) for n, s in splits.items()}
    for name, split in splits.items():
        lines = (folder / "jsonl" / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        assert [json.loads(line) for line in lines] == expected(split)


def test_large_splits_are_in_numbered_shards(made):
    folder, _ = made
    assert sorted(file.name for file in (folder / "data").iterdir()) == [
        "test-00000-of-00001.parquet",
        *(f"train-0000{n}-of-00003.parquet" for n in range(3)),
    ]


def test_the_trainer_reads_the_folder(made):
    pytest.importorskip("openrlhf", reason="needs OpenRLHF: run `make setup`")
    from types import SimpleNamespace

    from openrlhf.datasets.utils import blending_datasets

    folder, splits = made
    strategy = SimpleNamespace(print=lambda *_: None, is_rank_0=lambda: False, args=SimpleNamespace(use_ms=False))
    for path in (folder, folder / "jsonl" / "train.jsonl"):
        assert list(blending_datasets(str(path), None, strategy)) == expected(splits["train"])


def test_the_card_says_what_is_inside(made):
    import yaml

    card = (made[0] / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["size_categories"] == ["n<1K"]
    assert front["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "test", "path": "data/test-*.parquet"},
    ]
    for line in (
        "10 questions of 2 tasks",
        "| train | 7 | rl, seed 3 |",
        "| test | 3 | test, seed 3 |",
        "| demo/a | 4 | 1 |",
    ):
        assert line in card
    for part in (BUILT_FROM.command, "pack demo 1.0", "a note", BUILT_FROM.recipe):
        assert part in card


def test_a_split_without_questions_is_left_out(tmp_path):
    datasets = pytest.importorskip("datasets")
    write_dataset(tmp_path / "demo", {"train": questions("rl", range(2)), "test": []}, str, BUILT_FROM)
    assert list(datasets.load_from_disk(str(tmp_path / "demo"))) == ["train"]


def test_a_text_in_two_splits_is_refused_and_leaves_nothing(tmp_path):
    pytest.importorskip("datasets")
    splits = {
        "train": questions("rl", range(5)),
        "test": [Question("  was IST\n2·4?", "8", task="demo/a", split="test")],
    }
    with pytest.raises(TaskError, match="same text") as caught:
        write_dataset(tmp_path / "demo", splits, str, BUILT_FROM)
    assert "demo/a/rl/4/3" in str(caught.value)
    assert not list(tmp_path.glob("demo*"))


def test_a_failure_half_way_leaves_no_folder_and_the_next_try_works(tmp_path):
    pytest.importorskip("datasets")
    target, splits = tmp_path / "demo", {"train": questions("rl", range(5))}

    def fails(text: str) -> str:
        if "2·4" in text:
            raise KeyboardInterrupt
        return text

    with pytest.raises(KeyboardInterrupt):
        write_dataset(target, splits, fails, BUILT_FROM)
    assert not is_built(target, BUILT_FROM)
    write_dataset(target, splits, str, BUILT_FROM)
    assert is_built(target, BUILT_FROM)
    assert sorted(tmp_path.glob("demo*")) == [target]


def test_only_the_same_data_set_counts_as_built(made, tmp_path):
    folder, _ = made
    assert is_built(folder, BUILT_FROM)
    assert is_built(folder, Provenance("model: m\n", "another command", ["pack demo 1.0"], {"demo": "abc"}))
    assert not is_built(tmp_path / "nothing", BUILT_FROM)
    (tmp_path / "empty").mkdir()
    assert not is_built(tmp_path / "empty", BUILT_FROM)
    others = [
        Provenance("model: n\n", BUILT_FROM.command, ["pack demo 1.0"], {"demo": "abc"}),
        Provenance("model: m\n", BUILT_FROM.command, ["pack demo 1.1"], {"demo": "abc"}),
        Provenance("model: m\n", BUILT_FROM.command, ["pack demo 1.0"], {"demo": "abd"}),
    ]
    for other in others:
        with pytest.raises(MachineProblem, match="another recipe or version"):
            is_built(folder, other)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("")
    with pytest.raises(MachineProblem, match="holds something else"):
        is_built(tmp_path / "thesis", BUILT_FROM)


def test_without_the_package_datasets_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MachineProblem, match=r"pip install 'r1ci-plugins\[data\]'"):
        write_dataset(tmp_path / "demo", {"train": questions("rl", range(2))}, str, BUILT_FROM)
    assert not (tmp_path / "demo").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineProblem, match="cannot be written") as caught:
        write_dataset(Path(tmp_path / "file" / "demo"), {"train": questions("rl", range(2))}, str, BUILT_FROM)
    assert "file/demo" in str(caught.value)
