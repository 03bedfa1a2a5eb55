"""
AOTInductor: machine code that torch.export and Inductor made, for the processor they ran on.

Loading needs torch alone, no compiler. Code for instructions that this processor lacks would end
the process, so what the package says of itself is read first.
"""

from __future__ import annotations

import io
import json
import platform
import tempfile
from typing import Any
import zipfile

import torch
from torch import Tensor

from vla_ros.models.contract import PolicyOutput

#: Vector instructions, each level with all of those before.
_LEVELS = ('', 'AVX2', 'AVX512')


def load(data: bytes, num_threads: int) -> Any:
    """Return the model; ``num_threads`` is torch's, for the whole process. May raise anything."""
    _check_processor(data)
    torch.set_num_threads(num_threads)
    with tempfile.NamedTemporaryFile(suffix='.pt2') as file:
        file.write(data)
        file.flush()
        # What torch._inductor.aoti_load_package calls too, after it has imported the compiler and
        # tried it out, which takes seconds. One runner, on the CPU.
        model = torch._C._aoti.AOTIModelPackageLoader(file.name, 'model', False, 1, -1)

    def forward(image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> PolicyOutput:
        return PolicyOutput(*model.run([image, text, text_mask, state]))

    return forward


def _check_processor(data: bytes) -> None:
    """Raise ValueError unless this machine has the vector instructions that were compiled for."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        names = [n for n in package.namelist() if n.endswith('.wrapper_metadata.json')]
        if not names:
            raise ValueError('it holds no compiled model')
        made_for = json.loads(package.read(names[0]))
    needed = f'{made_for["AOTI_MACHINE"]} {made_for["AOTI_CPU_ISA"].partition(" ")[0]}'
    here = torch.backends.cpu.get_cpu_capability()
    levels = _LEVELS[: _LEVELS.index(here) + 1] if here in _LEVELS else ('', here)
    if needed not in [f'{platform.machine()} {level}' for level in levels]:
        raise ValueError(f'it was compiled for {needed}, this is {platform.machine()} {here}')
