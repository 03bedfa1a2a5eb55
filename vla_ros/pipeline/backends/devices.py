"""A TorchScript policy on a GPU: only where there is one, and only what is faster there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import copy
from statistics import median
import time
from typing import Any

import torch
from torch import Tensor

from vla_ros.models.contract import PolicyOutput

#: Where and how a policy may run, as it is told.
CPU, GPU, GPU_BF16 = 'cpu', 'cuda', 'cuda-bf16'
#: By how much actions (m) and probabilities may differ on a GPU from those on the processor.
TOLERANCE = 1e-2
_WARM_UP_CALLS, _CALLS = 3, 9


class OnDevice:
    """A module elsewhere, whose inputs and outputs stay on the CPU; of ``dtype`` where it can."""

    def __init__(self, module: Any, device: str, dtype: torch.dtype = torch.float32) -> None:
        self._module = copy.deepcopy(module).to(device)
        self._device, self._dtype = device, dtype

    def __call__(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor, /
    ) -> PolicyOutput:
        inputs = (value.to(self._device) for value in (image, text, text_mask, state))
        is_other = self._dtype is not torch.float32
        with torch.autocast(self._device, self._dtype if is_other else None, enabled=is_other):
            output = self._module(*inputs)
        return PolicyOutput(*(value.float().cpu() for value in output))


def candidates(module: Any) -> dict[str, Callable[..., PolicyOutput]]:
    """Return each way to run ``module``, which is on the CPU, that this machine may have."""
    if not torch.cuda.is_available():
        return {CPU: module}
    on_gpu = OnDevice(module, 'cuda'), OnDevice(module, 'cuda', torch.bfloat16)
    return dict(zip((CPU, GPU, GPU_BF16), (module, *on_gpu), strict=True))


def fastest(
    ways: dict[str, Callable[..., PolicyOutput]],
    inputs: Sequence[Tensor],
    now_s: Callable[[], float] = time.perf_counter,
) -> str:
    """
    Return the name of the fastest way that computes what ``CPU`` does.

    What raises, as a model whose own constants stay on the CPU does, or differs by more than
    ``TOLERANCE`` is left out.
    """
    if len(ways) == 1:
        return CPU
    with torch.no_grad():
        wanted = ways[CPU](*inputs)
        taken_s = {
            name: _time_s(way, inputs, now_s)
            for name, way in ways.items()
            if name == CPU or _agrees(way, inputs, wanted)
        }
    return min(taken_s, key=lambda name: taken_s[name])


def _agrees(
    way: Callable[..., PolicyOutput], inputs: Sequence[Tensor], wanted: PolicyOutput
) -> bool:
    try:
        output = way(*inputs)
    except RuntimeError:
        return False
    pairs = (
        (output.actions, wanted.actions),
        (output.termination, wanted.termination),
        (output.task_logits.softmax(dim=-1), wanted.task_logits.softmax(dim=-1)),
    )
    return all(bool(((a - b).abs() <= TOLERANCE).all()) for a, b in pairs)


def _time_s(
    way: Callable[..., PolicyOutput], inputs: Sequence[Tensor], now_s: Callable[[], float]
) -> float:
    for _ in range(_WARM_UP_CALLS):
        way(*inputs)
    taken_s = []
    for _ in range(_CALLS):
        started_s = now_s()
        way(*inputs)  # its outputs are on the CPU when it returns, so it has ended
        taken_s.append(now_s() - started_s)
    return median(taken_s)
