"""
Several processes that train one model: each takes its share of every batch.

Gradients are averaged after each step, so all of them hold the same weights (synchronous data
parallelism; Li et al. 2020). Over gloo, for CPUs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import tempfile
from typing import Any

import torch
from torch import distributed, multiprocessing, nn


def run_ranks(ranks: int, work: Callable[..., None], *args: Any) -> None:
    """
    Call ``work(rank, *args)`` in so many processes; raises if one of them fails.

    With one rank it is called right here.
    """
    if ranks == 1:
        work(0, *args)
        return
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_join, (ranks, Path(folder) / 'meet', work, args), nprocs=ranks)


def _join(rank: int, ranks: int, meet: Path, work: Callable[..., None], args: tuple) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(str(meet), ranks)
    distributed.init_process_group('gloo', store=store, rank=rank, world_size=ranks)
    try:
        work(rank, *args)
        # Who leaves early breaks connections that a slower one still reads from.
        store.set(f'done-{rank}', '')
        store.wait([f'done-{other}' for other in range(ranks)])
    finally:
        distributed.destroy_process_group()


def ranks() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average_gradients(model: nn.Module) -> None:
    """Give every process the mean of all processes' gradients."""
    if ranks() == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= ranks()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
