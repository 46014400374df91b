"""The curriculum's loader as OpenRLHF's trainer uses it, on its real classes."""

from __future__ import annotations

import importlib.util
import json
from types import SimpleNamespace

import pytest

from r1ci_plugins.curriculum.candidates import to_json
from r1ci_plugins.curriculum.potential import Evidence
from r1ci_plugins.curriculum.sampler import Candidate
from r1ci_plugins.rollout.run_folder import RunFolder, read_lines
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.trainers.openrlhf.seams import curriculum, recorder

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("torch", "openrlhf", "vllm", "ray")),
        reason="needs the trainer's stack: run `make setup`",
    ),
]
QUESTIONS = [Question(f"{n}?", "1", task="demo/a", split="rl", index=n) for n in range(12)]


class Prompts:
    """As much of upstream's ``PromptDataset`` as a loader uses."""

    labels = [question.to_json() for question in reversed(QUESTIONS)]  # another order than the profile's

    def __getitem__(self, number):
        return "demo/a", f"prompt {number}", self.labels[number], None

    def collate_fn(self, items):
        return tuple(list(column) for column in zip(*items, strict=True))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run's folder with a curriculum of three groups, two steps each."""
    recipe = {"output_dir": str(tmp_path), "model": "none", "curriculum": {"groups": 3, "steps": 2}}
    folder = RunFolder(tmp_path)
    folder.recipe.write_text(json.dumps(recipe))
    folder.curriculum.write_text(to_json([Candidate(q.key, None, Evidence(q.index, 24)) for q in QUESTIONS]))
    monkeypatch.setenv("R1CI_RUN", str(tmp_path))
    monkeypatch.setattr(recorder, "_recorder", None)
    return folder


def outcomes(labels):
    keys = [Question.from_json(label).key for label in labels]
    return [SimpleNamespace(question=key, correct=n % 2, excluded=n == 3) for n, key in enumerate(keys * 2)]


def batches(loader, first, last):
    """What upstream's own collector draws, step by step."""
    from openrlhf.trainer.ppo_utils.samples_generator import _collect_prompt_batch

    stream, found = iter(loader), []
    for step in range(first, last):
        prompts, labels, _, exhausted = _collect_prompt_batch(stream, 4)
        found.append((labels, exhausted))
        if labels:
            loader.finish_step(outcomes(labels), step)
    return found


def test_upstream_draws_stage_by_stage_and_goes_on_from_a_checkpoint(run, capsys):
    loader = curriculum.CurriculumLoader(Prompts(), 4)
    assert len(loader) == 24
    found = batches(loader, 1, 4)
    best = {Question.from_json(label).index for labels, _ in found[:2] for label in labels}
    assert best == {8, 9, 10, 11}
    state = json.loads(json.dumps(loader.state_dict()))
    rest = batches(loader, 4, 8)
    assert rest[-1] == ([], True) and [len(labels) for labels, _ in rest] == [4, 4, 4, 0]
    assert len(loader) == loader.sampler.drawn == 24  # by which the trainer knows its last step
    again = curriculum.CurriculumLoader(Prompts(), 4)
    again.load_state_dict(state)
    assert batches(again, 4, 8) == rest
    assert [line["stage"] for line in read_lines(run.curriculum_steps)][:6] == [1, 1, 2, 2, 3, 3]
    assert "stage 1 ends after step 2 (2 steps); stage 2 of 3: 8 questions (2 of 3 groups)" in capsys.readouterr().out


def test_prompts_whose_samples_score_alike_train_nothing_and_are_counted(monkeypatch):
    import torch
    from openrlhf.trainer.ppo_utils.experience import Experience

    from r1ci_plugins.rollout.metrics import OutcomeSummary
    from r1ci_plugins.trainers.openrlhf.seams.experience import compute_advantages_and_returns

    def sample(number, reward, excluded=False):
        outcome = OutcomeSummary(
            "demo/a", f"q{number // 2}", True, reward, {}, "answered", excluded, (), 0, (), (), (), 0, 1, 1.0
        )
        return Experience(
            sequences=torch.zeros(1, 5, dtype=torch.long),
            attention_mask=torch.ones(1, 5, dtype=torch.long),
            action_mask=torch.tensor([[0, 1, 1, 1]]) * (not excluded),
            rewards=torch.tensor([reward]),
            kl=torch.zeros(1, 4),
            labels=[json.dumps(outcome.to_dict())],
            index=[number],
            info={"reward": torch.tensor([reward])},
            response_length=torch.tensor([3]),
            total_length=torch.tensor([5]),
        )

    monkeypatch.setattr("openrlhf.trainer.ppo_utils.length_penalty.apply_length_penalties", lambda *given: None)
    settings = SimpleNamespace(estimator="group_norm", gamma=1.0, lambd=1.0, no_std_norm=False)
    args = SimpleNamespace(
        algo=SimpleNamespace(advantage=settings),
        rollout=SimpleNamespace(n_samples_per_prompt=2),
        reward=SimpleNamespace(clip_range=(-10, 10)),
    )
    maker = SimpleNamespace(
        args=args, advantage_estimator="group_norm", kl_ctl=SimpleNamespace(value=0.0), skip_alike=True
    )
    rewards = [(1.0, False), (1.0, False), (1.0, False), (0.0, False), (1.0, False), (0.0, True)]
    made = compute_advantages_and_returns(maker, [sample(n, *pair) for n, pair in enumerate(rewards)])
    assert maker.skipped_prompts == 1
    assert [one.action_mask.sum().item() for one in made] == [0, 0, 3, 3, 3, 0]  # one known sample is not alike
