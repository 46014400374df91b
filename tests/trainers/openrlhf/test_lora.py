"""LoRA in RL: what goes to vLLM."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from r1ci_plugins.trainers.import_hooks import upstream as originals
from r1ci_plugins.trainers.openrlhf.seams import weights

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("torch", "openrlhf", "vllm", "deepspeed", "ray")),
        reason="needs the trainer's stack: run `make setup`",
    ),
]


def test_lora_goes_to_vllm_as_the_merged_model_under_its_names(actor, tmp_path, monkeypatch):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from r1ci_plugins.engines.embedded_model import build_tiny

    folder = build_tiny(tmp_path / "model")
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    names = [name for name, _ in plain.named_parameters()]
    model = get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear", lora_alpha=8))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value)
    sent = {}

    def broadcast(self):
        sent.update({name: value.clone() for name, value in self.actor.model.module.named_parameters()})

    monkeypatch.setitem(originals, weights.broadcast_to_vllm, broadcast)
    engine = torch.nn.Module()
    engine.module = model
    own = object.__new__(actor.ActorPPOTrainer)
    own.actor = SimpleNamespace(model=engine)
    own.args = SimpleNamespace(ds=SimpleNamespace(zero_stage=2))
    own.broadcast_to_vllm()
    assert engine.module is model
    assert sorted(sent) == sorted(names)
    merged = dict(model.merge_and_unload().named_parameters())
    for name, value in merged.items():
        assert torch.allclose(sent[name], value, atol=1e-5), name
