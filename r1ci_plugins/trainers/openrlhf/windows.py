"""Which samples go into which optimizer step, so that every rank takes the same steps, whatever the batch's size.

A window is what the trainer accumulates gradients over before one optimizer step: on each rank, gradient accumulation
steps x micro batch samples. A rank with too few samples fills its windows with an inert one, whose loss mask is empty.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

INERT = -1
"""In a window: the inert sample."""


def parts(count: int, ranks: int, micro_batch: int) -> list[list[int]]:
    """Divide a batch into micro-batches for a forward pass: as many for each rank, of at most ``micro_batch`` each.

    Args:
        count: Samples in the batch, a multiple of ``ranks``.
        ranks: Processes that work on it.
        micro_batch: Samples per micro-batch.

    Returns:
        The samples' numbers by micro-batch; the first rank's micro-batches come first.
    """
    share = count // ranks
    return [
        list(range(start, min(start + micro_batch, (rank + 1) * share)))
        for rank in range(ranks)
        for start in range(rank * share, (rank + 1) * share, micro_batch)
    ]


def deal(
    trained: Sequence[Sequence[bool]], rank: int, *, accumulation: int, micro_batch: int, rng: random.Random
) -> list[list[int]]:
    """Deal one rank's samples to its micro-batches, in random order.

    Samples that train nothing are left out. The others are spread evenly over the optimizer steps, so that no step is
    empty on all ranks; there are as few steps as hold them all.

    Args:
        trained: For each rank, which of its samples have a token to train.
        rank: This one.
        accumulation: Micro-batches per optimizer step and rank.
        micro_batch: Samples per micro-batch.
        rng: The same state may be used on all ranks.

    Returns:
        The samples' numbers by micro-batch, ``INERT`` for the inert one. As many micro-batches for each rank, a
        multiple of ``accumulation``; none if no rank has anything to train.
    """
    counts = [sum(one) for one in trained]
    size = accumulation * micro_batch
    steps = min(max(-(-len(one) // size) for one in trained), sum(counts))
    if not steps:
        return []
    numbers = [number for number, kept in enumerate(trained[rank]) if kept]
    rng.shuffle(numbers)
    first = sum(counts[:rank])  # where the ranks before this one have stopped dealing
    windows: list[list[int]] = [[] for _ in range(steps)]
    for place, number in enumerate(numbers, first):
        windows[place % steps].append(number)
    micro_batches = []
    for window in windows:
        full = window + [INERT] * (size - len(window))
        # One sample to each micro-batch in turn: the loads of the micro-batches stay alike.
        micro_batches += [full[start::accumulation] for start in range(accumulation)]
    return micro_batches
