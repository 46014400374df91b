"""What OpenRLHF's ranks train on, on its real classes: batches of any size, and averages over them."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from r1ci_plugins.trainers.import_hooks import upstream as originals
from r1ci_plugins.trainers.openrlhf.seams import optimization

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("torch", "openrlhf", "vllm", "deepspeed", "ray")),
        reason="needs the trainer's stack: run `make setup`",
    ),
]


def buffer_of(lengths, trained):
    """A rank's real replay buffer with samples of these lengths; their first token is their number."""
    import torch
    from openrlhf.trainer.ppo_utils.experience import Experience
    from openrlhf.trainer.ppo_utils.replay_buffer import NaiveReplayBuffer

    buffer = NaiveReplayBuffer(2)
    buffer.strategy, buffer.trainings = SimpleNamespace(seed=1, accumulated_gradient=2), 0
    for number, (length, kept) in enumerate(zip(lengths, trained, strict=True)):
        sequence = torch.full((1, length), 7)
        sequence[0, 0] = number
        buffer.append(
            Experience(
                sequences=sequence,
                attention_mask=torch.ones(1, length, dtype=torch.long),
                action_mask=torch.full((1, length - 1), int(kept)),
                action_log_probs=torch.zeros(1, length - 1),
                advantages=torch.ones(1, length - 1),
                rewards=torch.tensor([1.0]),
                labels=[""],
                info={"reward": torch.tensor([float(number)])},
            )
        )
    return buffer


def test_a_short_batch_fills_whole_steps_and_what_trains_nothing_stays_out(actor):
    buffer = buffer_of([5, 9, 4, 6, 8, 3], [True, True, False, True, True, True])
    options = {"shuffle": True, "drop_last": True, "pin_memory": False, "collate_fn": buffer.collate_fn}
    loader = actor.DataLoader(buffer, batch_size=2, **options)
    assert len(loader) == 4  # two steps of two micro-batches: 6 samples in steps of 4
    for _ in range(2):
        epoch = list(loader)
        assert len(epoch) == 4
        real = [one.sequences[row, 0].item() for one in epoch for row in range(2) if one.action_mask[row].any()]
        assert sorted(real) == [0, 1, 3, 4, 5]
        for step in (epoch[:2], epoch[2:]):
            assert 2 <= sum(int(one.action_mask.any(dim=-1).sum()) for one in step) <= 3


def test_nothing_to_train_is_no_step(actor):
    buffer = buffer_of([5, 4], [False, False])
    options = {"shuffle": True, "drop_last": True, "pin_memory": False, "collate_fn": buffer.collate_fn}
    assert list(actor.DataLoader(buffer, batch_size=2, **options)) == []


@pytest.mark.parametrize("rows", [[1, 0, 1], [0, 0, 0]])
def test_averages_are_over_trained_samples_and_an_empty_micro_batch_has_no_weight(actor, monkeypatch, rows):
    import torch

    trainer_class = actor.ActorPPOTrainer
    own = object.__new__(trainer_class)
    own.args = SimpleNamespace(train=SimpleNamespace(dynamic_batch_enable=False))
    status = {
        "metrics": {"reward": torch.tensor([1.0, 9.0, 3.0]), "policy_loss": torch.tensor(0.5), "actor_lr": 0.1},
        "weights": {"reward": "sample", "policy_loss": "token", "actor_lr": None},
        "num_samples": 3.0,
        "num_action_tokens": float(4 * sum(rows)),
    }
    monkeypatch.setitem(originals, optimization.actor_training_step, lambda *given: status)
    made = SimpleNamespace(action_mask=torch.tensor([[bit] * 4 for bit in rows]))
    found = own.training_step(made, 0.0, 0, None)
    assert found["metrics"]["reward"].mean().item() == (2.0 if any(rows) else 0.0)
    assert 0 < found["num_samples"] == (2 if any(rows) else pytest.approx(0, abs=1e-6))
    assert 0 < found["num_action_tokens"] == pytest.approx(4 * sum(rows), abs=1e-6)
