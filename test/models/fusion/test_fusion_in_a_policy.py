"""Every fusion makes a policy: encoders in front, a pool and a head behind, as one file."""

import numpy as np
import pytest
from tiny_policy import FIELDS
import torch
from torch import nn, Tensor

from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.models.contract import PolicyOutput
from vla_ros.models.export import export_policy
from vla_ros.models.fusion.registry import build_fusion, fusion_names
from vla_ros.models.fusion.tokens import Tokens
from vla_ros.models.layers.pool import AttentionPool
from vla_ros.models.layers.position import SinusoidPosition
from vla_ros.models.state.proprioception import ProprioceptionEncoder
from vla_ros.models.vision.vit import VisionTransformer
from vla_ros.pipeline.policy import load_policy


class FusedPolicy(nn.Module):
    def __init__(self, fusion: str) -> None:
        super().__init__()
        self.vision = VisionTransformer(4, 8, heads=2, layers=1)
        self.text = nn.Sequential(nn.Linear(5, 8), SinusoidPosition(8))
        self.state = ProprioceptionEncoder([0.0] * 8, [1.0] * 8, 8, quaternion=3)
        self.fusion = build_fusion(fusion, 8, {'heads': 2, 'layers': 1})
        self.pool = AttentionPool(8, heads=2)
        self.head = nn.Linear(8, 3 * 8 + 3 + 2)

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        cells = self.vision(image[:, 0].float() / 255.0 - 0.5).cells
        b, rows, columns, _ = cells.shape
        robot = self.state(state)
        fused = self.fusion(
            Tokens(cells.flatten(1, 2), torch.ones([b, rows * columns], dtype=torch.bool)),
            Tokens(self.text(text), text_mask),
            Tokens(robot, torch.ones([b, 1], dtype=torch.bool)),
        )
        out = self.head(self.pool(fused.tokens, fused.mask)[0][:, 0])
        actions, termination, tasks = out.split([24, 3, 2], dim=-1)
        return PolicyOutput(
            actions.view(b, 3, 8),
            torch.sigmoid(termination),
            tasks,
            fused.attention.view(b, -1, rows, columns),
        )


@pytest.mark.parametrize('name', fusion_names())
def test_a_policy_with_it_is_exported_loaded_and_run(name, tmp_path):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    export_policy(FusedPolicy(name), FIELDS, tmp_path / 'fused.pt')
    observation = Observation(
        stamp_ns=7,
        images=np.full((1, 8, 12, 3), 51, np.uint8),
        state=np.ones(8, np.float32),
        command=EncodedCommand('up', 9, np.full((2, 5), 0.1, np.float32)),
    )
    inference = load_policy(tmp_path / 'fused.pt').infer(observation)
    assert inference.chunk.values[:, :8].any()
    assert inference.attention.shape == (2, 2, 3)
    assert (inference.attention > 0).all()
