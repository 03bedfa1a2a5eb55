"""A real policy of a few numbers, and a writer that also writes what the exporter refuses."""

import hashlib
import io

import torch
from torch import nn, Tensor

from vla_ros.interfaces import GRIPPER_CHANNEL, POSE_CHANNELS, STATE_CHANNELS
from vla_ros.models.contract import PolicyOutput
from vla_ros.pipeline.manifest import (
    Camera,
    Channel,
    manifest_path,
    Normalisation,
    POLICY_FORMAT,
    PolicyManifest,
    TextEncoderPin,
    to_json,
)

FIELDS = {
    'name': 'tiny',
    'cameras': (Camera('front', 12, 8, Normalisation((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))),),
    'text_encoder': TextEncoderPin('words', 'a' * 64, width=5, max_tokens=4),
    'state_channels': tuple(Channel(name, '') for name in STATE_CHANNELS),
    'action_channels': tuple(Channel(name, '') for name in (*POSE_CHANNELS, GRIPPER_CHANNEL)),
    'frame_id': 'base_link',
    'absolute': True,
    'dt_s': 0.1,
    'horizon': 3,
    'grid': (2, 3),
    'attention': 'cross_attention',
    'tasks': ('point', 'pick'),
    'training_data': 'none',
    'metrics': {'success': 0.5},
    'licence': 'Apache-2.0',
}


class TinyPolicy(nn.Module):
    """
    Moves up by the sum of the text, 1 m a row, and keeps the rest of the state.

    The gripper closes with the brightness of the first pixel; attention is even over the tokens.
    """

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        b, n = text_mask.shape
        rows = torch.arange(3).view(1, 3, 1)
        actions = state[:, None, :] + rows * text.sum().view(1, 1, 1) * torch.eye(8)[2]
        actions = torch.cat(
            [actions[:, :, :7], image[:, 0, 0, 0, :1, None].expand(b, 3, 1) / 255.0], 2
        )
        even = text_mask / text_mask.sum(1, keepdim=True)
        return PolicyOutput(
            actions=actions,
            termination=torch.full((b, 3), 0.25),
            task_logits=torch.zeros(b, 2),
            attention=even[:, :, None, None].expand(b, n, 2, 3) / 6.0,
        )


def script_bytes(module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def write_policy(path, module=None, **changes):
    """Write a policy and a manifest with the right hash, whatever the module does."""
    data = script_bytes(module or TinyPolicy())
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    fields = {'format_version': POLICY_FORMAT, 'sha256': sha256, 'size_bytes': len(data)}
    manifest_path(path).write_text(to_json(PolicyManifest(**{**fields, **FIELDS, **changes})))
    return path
