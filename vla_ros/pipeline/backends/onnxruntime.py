"""ONNX Runtime on the CPU; also for int8 files, which are ONNX as well."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.pipeline.backends.onnx_file import check_whole, feed, output, OUTPUTS


def load(data: bytes, num_threads: int) -> Any:
    """Return the model with threads of its own, that wait without spinning. May raise anything."""
    import onnxruntime

    check_whole(data)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 3  # errors: they are raised too, warnings help nobody
    session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])

    def forward(image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> PolicyOutput:
        return output(session.run(OUTPUTS, feed(image, text, text_mask, state)))

    return forward
