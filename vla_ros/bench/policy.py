"""
A policy alone: eager, as TorchScript and frozen, by threads and batch size.

The inputs are the contract's example, so no camera, text or robot is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
import time
from typing import Any

import numpy as np
import torch

from vla_ros.bench.rounds import Ratio, ratio
from vla_ros.errors import ConfigurationError
from vla_ros.models.contract import example_inputs
from vla_ros.models.export import freeze
from vla_ros.models.registry import build_policy
from vla_ros.pipeline.manifest import PolicyManifest
from vla_ros.pipeline.policy import load_policy, WARM_UP_CALLS

Module = Callable[..., Any]

REFERENCE = 'eager'


@dataclass(frozen=True)
class Timing:
    """
    One backend at one number of threads and batch size.

    Medians over all calls, ms; ``cpu_ms`` of all threads. ``ratio`` is wall time over that of
    ``REFERENCE``; ``error`` the largest difference of an action to its, times their largest
    value if above 1.
    """

    backend: str
    threads: int
    batch: int
    median_ms: float
    p95_ms: float
    cpu_ms: float
    ratio: Ratio
    error: float


def backends(path: Path, config: Path | None = None) -> tuple[PolicyManifest, dict[str, Module]]:
    """
    Return the manifest and each way to run the policy at ``path``, the reference first.

    ``config`` is that of its training, the shipped policy's if None. Raises ConfigurationError
    if the file is none, or that configuration builds another network.
    """
    from vla_ros.training.config import load_config
    from vla_ros.training.run import policy_spec

    policy = load_policy(path)
    chosen = load_config(config)
    spec = policy_spec(chosen, policy.manifest.text_width)
    eager = build_policy(chosen.policy, spec, chosen.options).eval()
    # TorchScript also keeps what a module computes when it is made; the module has its own.
    made = {name for name, _ in eager.named_buffers()} - set(eager.state_dict())
    weights = {k: v for k, v in policy.module.state_dict().items() if k not in made}
    try:
        eager.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigurationError(
            f'{path}: its weights are not of the network of {config or "the default training"}; '
            'give the configuration of its training with --config'
        ) from error
    modules = {
        REFERENCE: eager,
        'torchscript': policy.module,
        'frozen': freeze(policy.module),
    }
    return policy.manifest, modules


def measure(
    modules: Mapping[str, Module],
    manifest: PolicyManifest,
    threads: Sequence[int],
    batches: Sequence[int],
    rounds: int,
    calls: int,
    on_round: Callable[[], None] = lambda: None,
) -> Iterator[Timing]:
    """Yield a timing for each; ``on_round`` is called before each round."""
    cells = list(product(threads, batches, modules))
    wall: dict[tuple[int, int, str], list[list[float]]] = {cell: [] for cell in cells}
    cpu: dict[tuple[int, int, str], list[float]] = {cell: [] for cell in cells}
    inputs = {batch: example_inputs(manifest, batch) for batch in batches}
    for _ in range(rounds):
        on_round()
        for cell in cells:
            count, batch, name = cell
            torch.set_num_threads(count)
            taken_s, cpu_s = _time(modules[name], inputs[batch], calls)
            wall[cell].append(taken_s)
            cpu[cell].append(cpu_s)
    torch.set_num_threads(1)
    for count, batch, name in cells:
        every = np.concatenate(wall[count, batch, name]) * 1e3
        by_round = [
            {n: float(np.median(wall[count, batch, n][i])) for n in (name, REFERENCE)}
            for i in range(rounds)
        ]
        yield Timing(
            backend=name,
            threads=count,
            batch=batch,
            median_ms=float(np.median(every)),
            p95_ms=float(np.percentile(every, 95)),
            cpu_ms=float(np.median(cpu[count, batch, name])) * 1e3,
            ratio=ratio(by_round, name, REFERENCE),
            error=_error(modules[name], modules[REFERENCE], inputs[batch]),
        )


def _time(module: Module, inputs: Sequence[torch.Tensor], calls: int) -> tuple[list[float], float]:
    """Return the wall time of each call, and the CPU time of one on average, s."""
    taken_s = []
    with torch.no_grad():
        for _ in range(WARM_UP_CALLS):
            module(*inputs)
        cpu_s = time.process_time()
        for _ in range(calls):
            started_s = time.perf_counter()
            module(*inputs)
            taken_s.append(time.perf_counter() - started_s)
    return taken_s, (time.process_time() - cpu_s) / calls


def _error(module: Module, reference: Module, inputs: Sequence[torch.Tensor]) -> float:
    with torch.no_grad():
        ours, theirs = module(*inputs).actions, reference(*inputs).actions
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1.0))


def table(timings: Sequence[Timing]) -> str:
    """Return a plain text table, one line a timing."""
    lines = ['backend      threads  batch  median ms   p95 ms   CPU ms  of eager            error']
    lines += [
        f'{t.backend:<12} {t.threads:>7}  {t.batch:>5}  {t.median_ms:>9.2f}  {t.p95_ms:>7.2f}  '
        f'{t.cpu_ms:>7.2f}  {t.ratio!s:<18}  {t.error:.0e}'
        for t in timings
    ]
    return '\n'.join(lines)
