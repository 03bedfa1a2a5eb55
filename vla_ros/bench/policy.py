"""
A policy alone: on every backend that is installed, by threads and batch size.

Its inputs are first looks at scenes of the simulator, so no camera or robot is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
import shutil
import time

import numpy as np
import torch

from vla_ros.bench.rounds import Ratio, ratio
from vla_ros.evaluation.rollouts import first_looks
from vla_ros.models.convert import convert, FORMATS
from vla_ros.models.export import freeze
from vla_ros.pipeline.backends import Module
from vla_ros.pipeline.backends.devices import candidates, GPU, GPU_BF16, OnDevice
from vla_ros.pipeline.manifest import BACKENDS, PolicyManifest
from vla_ros.pipeline.policy import load_policy, WARM_UP_CALLS
from vla_ros.training.rebuild import rebuild

#: Returns a policy that runs with so many threads.
Loader = Callable[[int], Module]
Inputs = tuple[torch.Tensor, ...]

REFERENCE = 'eager'
#: What runs with torch alone, then what is exported first (see ``models.convert``).
WAYS = (REFERENCE, 'torchscript', 'frozen', 'pt2', 'onnx', 'openvino', 'int8')
#: On a GPU as well: TorchScript, that with bfloat16, and compiled with CUDA graphs.
_GPU_COMPILED = 'cuda-compiled'
GPU_WAYS = (GPU, GPU_BF16, _GPU_COMPILED)
_PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')


def installed() -> tuple[str, ...]:
    """Return those of ``WAYS`` and ``GPU_WAYS`` that can be measured here."""
    onnx = all(map(find_spec, _PACKAGES))
    there = {
        'pt2': shutil.which('g++') is not None,
        'onnx': onnx,
        'openvino': onnx and find_spec('openvino') is not None,
        'int8': onnx,
    }
    gpu_ways = GPU_WAYS if torch.cuda.is_available() else ()
    return (*(way for way in WAYS if there.get(way, True)), *gpu_ways)


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


def loaders(
    path: Path, ways: Sequence[str], folder: Path, config: Path | None = None
) -> tuple[PolicyManifest, Inputs, dict[str, Loader]]:
    """
    Return the manifest of the TorchScript policy at ``path``, its inputs, and each way to run it.

    The reference comes first, asked for or not. Files that are exported for this stay in
    ``folder``. Raises ConfigurationError as ``rebuild``, ``first_looks`` and ``convert`` do.
    """
    manifest, eager = rebuild(path, config)
    looks = first_looks(path)
    scripted = load_policy(path).module
    of_torch: dict[str, Module] = {
        REFERENCE: eager,
        'torchscript': scripted,
        'frozen': freeze(scripted),
    }
    if torch.cuda.is_available():
        compiled = torch.compile(eager, mode='reduce-overhead')
        of_torch |= {**candidates(scripted), _GPU_COMPILED: OnDevice(compiled, 'cuda')}
    found: dict[str, Loader] = {}
    for way in (REFERENCE, *ways):
        if way in of_torch:
            found[way] = partial(_same, of_torch[way])
        else:
            out = folder / f'{way}{BACKENDS[FORMATS[way].backend]}'
            convert(eager, manifest, way, out, inputs=looks)
            found[way] = partial(_load, out)
    return manifest, looks, found


def _rows(looks: Inputs, batch: int) -> Inputs:
    chosen = torch.arange(batch) % len(looks[0])
    return tuple(value[chosen] for value in looks)


def _same(module: Module, threads: int) -> Module:
    return module  # torch has one number of threads for all


def _load(path: Path, threads: int) -> Module:
    return load_policy(path, threads).module


def measure(
    loaders: Mapping[str, Loader],
    looks: Inputs,
    threads: Sequence[int],
    batches: Sequence[int],
    rounds: int,
    calls: int,
    on_round: Callable[[], None] = lambda: None,
) -> Iterator[Timing]:
    """Yield a timing of each with rows of ``looks``; ``on_round`` is called before a round."""
    modules = {(n, name): load(n) for n in threads for name, load in loaders.items()}
    cells = list(product(threads, batches, loaders))
    wall: dict[tuple[int, int, str], list[list[float]]] = {cell: [] for cell in cells}
    cpu: dict[tuple[int, int, str], list[float]] = {cell: [] for cell in cells}
    inputs = {batch: _rows(looks, batch) for batch in batches}
    for _ in range(rounds):
        on_round()
        for cell in cells:
            count, batch, name = cell
            torch.set_num_threads(count)
            taken_s, cpu_s = time_calls(modules[count, name], inputs[batch], calls)
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
            error=_error(modules[count, name], modules[count, REFERENCE], inputs[batch]),
        )


def time_calls(
    module: Module, inputs: Sequence[torch.Tensor], calls: int
) -> tuple[list[float], float]:
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
