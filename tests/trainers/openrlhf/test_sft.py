"""Our data set behind OpenRLHF's SFT interface, on its real classes."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1ci_plugins.trainers.import_hooks import upstream
from r1ci_plugins.trainers.openrlhf import cpu_backend
from r1ci_plugins.trainers.openrlhf.seams import SFT_SEAMS, sft
from r1ci_plugins.trainers.openrlhf.seams.sft import ExampleTable, TrajectoryDataset
from r1ci_plugins.training.supervised import Example

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("torch", "openrlhf", "deepspeed")),
        reason="needs the trainer's stack: run `make setup`",
    ),
]
PADDING = 99
EXAMPLES = [
    Example((11, 12, 13, 14, 15, 16), ((2, 4), (5, 6))),
    Example((21, 22, 23), ((1, 3),)),
    Example((31, 32, 33, 34), ((3, 4),)),
]


@pytest.fixture(scope="module", autouse=True)
def backend():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("R1CI_CPU_BACKEND", "1")
        cpu_backend.install_if_no_cuda()
        yield


def dataset(examples=EXAMPLES):
    return TrajectoryDataset(ExampleTable(examples), SimpleNamespace(pad_token_id=PADDING), 100, None, multiturn=False)


def test_one_example():
    token_ids, attention_mask, loss_mask = dataset()[0]
    assert token_ids.tolist() == [[11, 12, 13, 14, 15, 16]]
    assert attention_mask.tolist() == [[1] * 6]
    assert loss_mask.tolist() == [[0, 1, 1, 0, 1, 0]]  # position t predicts token t + 1


def test_a_batch_is_padded_on_the_right():
    made = dataset()
    token_ids, attention_mask, loss_mask = made.collate_fn([made[i] for i in range(len(made))])
    assert token_ids.tolist()[1] == [21, 22, 23, PADDING, PADDING, PADDING]
    assert attention_mask.tolist()[1] == [1, 1, 1, 0, 0, 0]
    assert loss_mask.tolist()[1] == [1, 1, 0, 0, 0, 0]
    assert token_ids.shape == attention_mask.shape == loss_mask.shape == (3, 6)


@settings(deadline=None)
@given(st.lists(st.integers(2, 9), min_size=1, max_size=5), st.data())
def test_a_packed_batch_trains_the_same_tokens(lengths, data):
    """Upstream's packing, with our stand-ins for flash-attn's functions."""
    from openrlhf.models import ring_attn_utils

    examples = []
    for row, length in enumerate(lengths):
        start = data.draw(st.integers(1, length - 1))
        ranges = ((start, data.draw(st.integers(start + 1, length))),)
        examples.append(Example(tuple(10 * row + i for i in range(length)), ranges))
    made = dataset(examples)
    token_ids, attention_mask, loss_mask = made.collate_fn([made[i] for i in range(len(made))])
    packed, positions, labels, _, indices = ring_attn_utils.unpad_and_slice_tensor(token_ids, attention_mask, None)
    back = ring_attn_utils.gather_and_pad_tensor(labels, None, 0, indices, *token_ids.shape)
    assert packed.tolist() == [[token for example in examples for token in example.token_ids]]
    assert positions.tolist() == [[i for length in lengths for i in range(length)]]
    # What the trainer takes the log-probs of, and keeps by the mask: labels of trained positions, last column dropped.
    trained = back[:, :-1][loss_mask[:, :-1].bool()].tolist()
    assert trained == [e.token_ids[i] for e in examples for start, end in e.ranges for i in range(start, end)]


def test_what_train_sft_replaces_is_where_upstream_has_it():
    """On copies: other tests want the originals."""
    for seam in SFT_SEAMS:
        module = importlib.import_module(seam.module)
        copy = ModuleType(module.__name__)
        vars(copy).update(vars(module))
        owner, _, name = seam.name.rpartition(".")
        if owner:
            setattr(copy, owner, type(owner, (), dict(vars(getattr(module, owner)))))
        seam.apply(copy)
        assert vars(getattr(copy, owner) if owner else copy)[name] is seam.new
        assert upstream[seam.new] is vars(getattr(module, owner) if owner else module)[name]


def test_a_file_is_read_by_its_path(monkeypatch):
    monkeypatch.setattr(sft, "examples", {"a.jsonl": EXAMPLES})
    assert sft.blending_datasets("a.jsonl", None, "strategy", dataset_split="train") == ExampleTable(EXAMPLES)


def test_what_is_trained_on_fills_whole_steps_and_what_is_evaluated_stays(monkeypatch):
    monkeypatch.setattr(sft, "examples", {"a.jsonl": EXAMPLES})
    strategy = SimpleNamespace(args=SimpleNamespace(train=SimpleNamespace(batch_size=4)))
    tables = [sft.blending_datasets("a.jsonl", None, strategy, 1, max_count=9).select(range(3))]
    tables.append(sft.blending_datasets("a.jsonl", None, strategy, dataset_split="train"))
    trained, evaluated = (TrajectoryDataset(one, SimpleNamespace(pad_token_id=0), 9, strategy) for one in tables)
    assert (len(trained), len(evaluated)) == (4, 3)
    token_ids, attention_mask, loss_mask = trained[3]
    assert token_ids.shape == attention_mask.shape == (1, 2) and not loss_mask.any()


def test_trained_tokens_are_counted_and_evaluated_ones_are_not(monkeypatch):
    import torch

    monkeypatch.setitem(upstream, sft.CountingLoss, lambda: lambda values, mask, **options: (values * mask).sum())
    loss, values = sft.CountingLoss(), torch.ones(2, 3, requires_grad=True)
    mask = torch.tensor([[1, 1, 0], [0, 0, 1]])
    assert loss(values, mask).item() == 3 and loss(values, mask).item() == 3
    assert loss(values.detach(), mask).item() == 3
    assert [loss.take()["tokens"] for _ in range(2)] == [6, 0]


def test_the_second_term_is_a_mean_over_the_optimizer_step(monkeypatch):
    """Two micro-batches with unequal numbers of code outputs, against one plain mean; float32."""
    import torch
    from openrlhf.models import SFTLoss
    from openrlhf.utils.loss_utils import iter_grad_accum_global_norm

    monkeypatch.setattr(sft, "outputs_weight", 0.05)
    monkeypatch.setitem(upstream, sft.CountingLoss, SFTLoss)
    monkeypatch.setitem(upstream, sft.iter_grad_accum_global_norm, iter_grad_accum_global_norm)
    examples = [Example(tuple(range(9)), ((2, 4), (7, 8)), ((4, 7),)), Example(tuple(range(5)), ((3, 4),), ((2, 3),))]
    made, window = dataset(examples), []
    for number in range(2):
        window.append(made.collate_fn([made[number]]))
    assert window[0][2].tolist() == [[0, 1, 1, 2, 2, 2, 1, 0, 0]]
    values = [torch.randn(1, ids.shape[1] - 1, requires_grad=True) for ids, _, _ in window]
    loss, steps = sft.CountingLoss(), SimpleNamespace()
    mask_of = lambda batch: batch[2][:, :-1]  # noqa: E731
    for number, (batch, info) in enumerate(sft.iter_grad_accum_global_norm(window, steps, 2, mask_of)):
        (loss(values[number], mask_of(batch), **info) / 2).backward()  # DeepSpeed divides by the micro-batches
    plain = [value.detach().clone().requires_grad_() for value in values]
    own = torch.cat([plain[0][0, [1, 2, 6]], plain[1][0, [2]]])
    outputs = torch.cat([plain[0][0, 3:6], plain[1][0, [1]]])
    (-own.mean() - 0.05 * outputs.mean()).backward()
    for one, other in zip(values, plain, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=0)
    taken = loss.take()
    assert (taken["tokens"], taken["predicted"]) == (4, 4)
    assert taken["nats"] / taken["predicted"] == pytest.approx(-outputs.mean().item(), rel=1e-5)


def test_max_samples_takes_the_first():
    assert ExampleTable(EXAMPLES).select(range(2)).examples == EXAMPLES[:2]
