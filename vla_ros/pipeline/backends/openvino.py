"""OpenVINO on the CPU, from an ONNX file, which unlike its own format is one file."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.pipeline.backends.onnx_file import check_whole, feed, output, OUTPUTS


def load(data: bytes, num_threads: int) -> Any:
    """Return the model, compiled for one caller, with threads of its own. May raise anything."""
    import openvino

    check_whole(data)
    core = openvino.Core()
    model = core.compile_model(
        core.read_model(data),
        'CPU',
        {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': num_threads,
            # What it was exported as; the default may be less, by the processor.
            'INFERENCE_PRECISION_HINT': 'f32',
        },
    )

    def forward(image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> PolicyOutput:
        result = model(feed(image, text, text_mask, state))
        return output([result[name] for name in OUTPUTS])

    return forward
