"""``r1ci synthesize`` as a user runs it: a pack of its own, a real tokenizer, the real sandbox, a real server."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1ci_plugins.rollout.trajectory_file import read_trajectories

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.stack,
    pytest.mark.firejail,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("transformers", "datasets")),
        reason="needs transformers and datasets: run `make setup`",
    ),
    pytest.mark.skipif(shutil.which("firejail") is None, reason="needs firejail"),
]
PACK = """
from r1ci_plugins import Program, Question, Task, TaskPack, hookimpl

class Doubling(Task):
    name = "doubling"
    capability = "execution"

    def generate(self, rng, difficulty):
        n = rng.randrange(10**9)
        return Question(f"What is twice {n}?", str(2 * n), {"n": n})

    def check(self, question, answer):
        return answer == question.answer

    def programs(self, question):
        n = question.metadata["n"]
        return [
            Program("direct", f"number = {n}\\nresult = 0\\nfor _ in range(2):\\n    result = result + number\\n"
                    "print(result)"),
            Program("function", f"def double(value):\\n    return value * 2\\n\\n\\nprint(double({n}))"),
        ]

class Riddle(Doubling):
    name = "riddle"

    def programs(self, question):
        return []

@hookimpl
def r1ci_task_packs():
    return [TaskPack("synthesis_demo", [Doubling(), Riddle()])]
"""
RECIPE = """
output_dir: runs/none
model: MODEL
seed: 3
tasks:
  train: [{tasks: ["synthesis_demo/*"], count: 30}]
  eval: [{tasks: [synthesis_demo/doubling], count: 2}]
sandbox: {limits: {wall_s: 10}}
synthesis: {per_task: 20, near_duplicate: 1.1}
trainer: {data.max_len: 1000}
"""


@pytest.fixture
def synthesize(tmp_path, tokenizers):
    """Run the command in a folder of its own; ``start`` only starts it."""
    pack = tmp_path / "site"
    pack.mkdir()
    (pack / "synthesis_demo.py").write_text(PACK)
    info = pack / "synthesis_demo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: synthesis_demo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[r1ci.task_packs]\nsynthesis_demo = synthesis_demo\n")
    tokenizers["chatml"].save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("MODEL", str(tmp_path / "model")))
    variables = {"PYTHONPATH": str(pack), "R1CI_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}

    def start(*arguments):
        command = [sys.executable, "-m", "r1ci_plugins.cli.main", "synthesize", "--recipe", "recipe.yaml", *arguments]
        command[1:3] = ["-c", "from r1ci_plugins.cli.main import main; main()"]
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, **variables, "PYTHONPATH": os.pathsep.join([str(pack), str(ROOT)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(*arguments):
        process = start(*arguments)
        output, _ = process.communicate(timeout=240)
        return process.returncode, output

    run.start = start
    run.folder = tmp_path
    return run


def test_without_a_teacher(synthesize):
    code, output = synthesize("--out", "out")
    assert code == 0, output
    assert "1 tasks gave nothing (no reference programs): synthesis_demo/riddle" in output
    out = synthesize.folder / "out"
    trajectories = list(read_trajectories(out / "trajectories.jsonl.gz"))
    assert len(trajectories) == 20 and all(t.correct and t.question.split == "sft" for t in trajectories)
    assert {call.isolation for t in trajectories for call in t.tool_calls} == {"firejail"}
    assert sum(len(t.tool_calls) >= 2 for t in trajectories) >= 10

    from datasets import load_dataset, load_from_disk

    data = load_dataset(str(out), cache_dir=str(synthesize.folder / "hf"))["train"]
    assert len(data) == 20 and data.column_names == load_from_disk(str(out))["train"].column_names
    first = data[0]
    assert [message["role"] for message in first["messages"]][:3] == ["system", "user", "assistant"]
    card = (out / "README.md").read_text()
    assert "20 trajectories of 1 tasks" in card and "| synthesis_demo/doubling | 20 |" in card

    code, output = synthesize("--out", "out", "--set", "trainer.actor.adam.lr=0.1")
    assert code == 0 and list(read_trajectories(out / "trajectories.jsonl.gz")) == trajectories
    code, output = synthesize("--out", "out", "--set", "seed=4")
    assert code == 2 and "another recipe" in output


def teacher(url, **options):
    endpoint = {"model": "m", "base_url": url, "timeout_s": 5, "prompt_price": 1.0, "completion_price": 1.0, **options}
    return ["--set", "synthesis.teacher=endpoint", "--set", f"synthesis.endpoint={json.dumps(endpoint)}"]


def solve(web, request):
    """What a good teacher says: a program, then what it printed."""
    last = request["messages"][-1]["content"]
    if last.startswith("What is twice"):
        return web.say(f"```python\nprint(2 * {last.split()[-1].rstrip('?')})\n```")
    return web.say(f"It is <<<{last.splitlines()[-1]}>>>")


@pytest.fixture(scope="module")
def web():
    spec = importlib.util.spec_from_file_location(
        "misbehaving_server", ROOT / "tests" / "synthesis" / "misbehaving_server.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_misbehaving_endpoint_interrupted_and_resumed(synthesize, web):
    faults = [web.status(429, Retry_After="0"), web.status(500), web.cut_off, web.say(""), web.raw("<html>")]
    slow = web.hang(0.0)

    def choose(request):
        count = len(server.requests)
        if count % 7 == 0 and faults:
            return faults.pop()

        def paced(handler, asked):
            time.sleep(0.05)
            solve(web, asked)(handler, asked)

        return paced if slow else solve(web, request)

    with web.serving(choose=choose) as server:
        arguments = ["--out", "out", *teacher(server.url), "--set", "synthesis.concurrency=2"]
        process = synthesize.start(*arguments)
        deadline = time.monotonic() + 120
        while len(server.requests) < 20 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 130 and "the same command goes on" in output, output
        paid = len(list((synthesize.folder / "cache" / "replies").rglob("*.json")))
        assert paid > 5
        code, output = synthesize(*arguments)
        assert code == 0, output
    answered = [json.dumps(request["messages"]) for request in server.requests]
    repeated = len(answered) - len(set(answered))
    assert repeated <= 5 + 2  # each fault once, and what was under way when it was interrupted
    trajectories = list(read_trajectories(synthesize.folder / "out" / "trajectories.jsonl.gz"))
    assert trajectories and all(t.correct for t in trajectories)
    card = (synthesize.folder / "out" / "README.md").read_text()
    assert "requests" in card and "replies were paid for in an earlier run" in card


def test_a_budget_ends_it_and_a_higher_one_goes_on(synthesize, web):
    with web.serving(choose=lambda request: solve(web, request)) as server:
        few = ["--out", "out", *teacher(server.url, max_tokens=5_000), "--set", "protocol.max_turn_tokens=200"]
        code, output = synthesize(*few)
        assert code == 0 and "the budget ended" in output, output
        more = ["--out", "out", *teacher(server.url), "--set", "protocol.max_turn_tokens=200"]
        before = len(server.requests)
        code, output = synthesize(*more)
        assert code == 0 and "the budget ended" not in output, output
        assert len(server.requests) > before
        assert len({json.dumps(request["messages"]) for request in server.requests}) == len(server.requests)


def test_a_wrong_key_is_said_at_once(synthesize, web):
    with web.serving(web.status(401)) as server:
        code, output = synthesize("--out", "out", *teacher(server.url))
    assert code == 2 and "status 401" in output and "Traceback" not in output
