"""Dealing samples to ranks and optimizer steps: properties over random shapes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.trainers.openrlhf.windows import INERT, deal, parts


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 5))
def test_every_rank_gets_as_many_micro_batches_and_every_sample_goes_to_one(share, ranks, micro_batch):
    found = parts(share * ranks, ranks, micro_batch)
    assert [number for one in found for number in one] == list(range(share * ranks))
    assert len(found) % ranks == 0 and all(0 < len(one) <= micro_batch for one in found)
    # The trainer gives each rank an equal stretch of the list: that must be an equal number of samples.
    each = len(found) // ranks
    assert {sum(map(len, found[rank * each : (rank + 1) * each])) for rank in range(ranks)} == {share}


@given(
    st.lists(st.lists(st.booleans(), max_size=14), min_size=1, max_size=3),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 9),
)  # fmt: skip
def test_all_ranks_take_the_same_steps_and_none_is_empty(trained, accumulation, micro_batch, seed):
    rng = {"accumulation": accumulation, "micro_batch": micro_batch}
    dealt = [deal(trained, rank, rng=random.Random(seed), **rng) for rank in range(len(trained))]
    (count,) = {len(one) for one in dealt}
    assert count % accumulation == 0
    for rank, one in enumerate(dealt):
        assert all(len(numbers) == micro_batch for numbers in one)
        real = sorted(number for numbers in one for number in numbers if number != INERT)
        assert real == [number for number, kept in enumerate(trained[rank]) if kept]
    total = sum(map(sum, trained))
    size = accumulation * micro_batch
    assert (count == 0) == (total == 0)
    assert count // accumulation <= max((-(-len(one) // size) for one in trained), default=0)
    for step in range(count // accumulation):
        window = [numbers for one in dealt for numbers in one[step * accumulation : (step + 1) * accumulation]]
        assert any(number != INERT for numbers in window for number in numbers)


def test_steps_get_even_shares():
    """One of two ranks holds all that is trained: its samples still go to all steps alike."""
    trained = [[True] * 8, [False] * 8]
    first = deal(trained, 0, accumulation=2, micro_batch=2, rng=random.Random(0))
    assert [sum(n != INERT for n in numbers) for numbers in first] == [2, 2, 2, 2]
    assert deal(trained, 1, accumulation=2, micro_batch=2, rng=random.Random(0)) == [[INERT, INERT]] * 4


def test_the_order_changes_with_the_seed():
    orders = {str(deal([[True] * 6], 0, accumulation=1, micro_batch=6, rng=random.Random(seed))) for seed in range(9)}
    assert len(orders) > 5
