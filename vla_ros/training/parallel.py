"""
Several processes that train one model: each takes its share of every batch.

Gradients are averaged after each step, so all of them hold the same weights (synchronous data
parallelism; Li et al. 2020). Where a loss is a mean over a batch that is what one process learns;
statistics of a batch and what is random are of each process alone. A run starts its own processes
on this machine, over gloo; or torchrun started them, on one machine or on several, with NCCL where
they train on GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
import os
from pathlib import Path
import tempfile
from typing import Any

import numpy as np
import torch
from torch import distributed, multiprocessing, nn

#: The first process makes demonstrations while the others wait.
_PATIENCE = timedelta(days=1)


@contextmanager
def launched(device: torch.device) -> Iterator[None]:
    """Meet the other processes that torchrun started, if it started this one."""
    if not distributed.is_torchelastic_launched():
        yield
        return
    backend = 'nccl' if device.type == 'cuda' else 'gloo'
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def first_alone() -> Iterator[None]:
    """Let the first process do something, and the others after it, who find it done."""
    if rank() > 0:
        distributed.barrier()
    yield
    if rank() == 0 and ranks() > 1:
        distributed.barrier()


def local_device(kind: str) -> torch.device:
    """Return the device that this process trains on: each has a GPU of its own for 'cuda'."""
    if kind != 'cuda':
        return torch.device(kind)
    device = torch.device(kind, int(os.environ.get('LOCAL_RANK', '0')))
    torch.cuda.set_device(device)
    return device


def run_ranks(count: int, work: Callable[..., None], *args: Any) -> None:
    """
    Call ``work(rank, *args)`` in so many processes; raises if one of them fails.

    With one rank, and in processes that have met already, it is called right here.
    """
    if count == 1 or distributed.is_initialized():
        work(rank(), *args)
        return
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_join, (count, Path(folder) / 'meet', work, args), nprocs=count)


def _join(rank: int, count: int, meet: Path, work: Callable[..., None], args: tuple) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(str(meet), count)
    distributed.init_process_group('gloo', store=store, rank=rank, world_size=count)
    try:
        work(rank, *args)
        # Who leaves early breaks connections that a slower one still reads from.
        store.set(f'done-{rank}', '')
        store.wait([f'done-{other}' for other in range(count)])
    finally:
        distributed.destroy_process_group()


def ranks() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return which of them this one is; the first keeps the records."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first() -> bool:
    """Return whether this is not one of those that torchrun started beside the first."""
    return not distributed.is_torchelastic_launched() or os.environ['RANK'] == '0'


def step_seeds(seed: int, step: int, rank: int) -> tuple[int, int]:
    """
    Return what a generator of its own and torch's are seeded with in a step of a process.

    They differ from each other, and from those of every other step and process.
    """
    own, of_torch = np.random.SeedSequence((seed, step, rank)).generate_state(2, np.uint64)
    return int(own), int(of_torch)


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
