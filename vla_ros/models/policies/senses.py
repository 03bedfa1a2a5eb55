"""
What a policy is given, as tokens of one width: cells of the picture, words, the robot's state.

A convolutional net or a ViT makes the cells, and each is told where on the table it looks. The
former learns more from few pictures; the latter sees the whole picture from every cell.
"""

from dataclasses import dataclass
from typing import NamedTuple, Optional

import torch
from torch import nn, Tensor

from vla_ros.models.contract import Learned, PolicyModule, PolicyOutput, Traits
from vla_ros.models.fusion.tokens import Tokens
from vla_ros.models.heads.chunk import Workspace
from vla_ros.models.layers.gaze import Gaze, Looks
from vla_ros.models.layers.position import SinusoidPosition
from vla_ros.models.registry import PolicySpec
from vla_ros.models.state.proprioception import ProprioceptionEncoder
from vla_ros.models.text.reader import WordEncoder
from vla_ros.models.vision.cells import (
    cells_on_table,
    NORMALISATION,
    normalised,
    OBJECT_PLANE_M,
)
from vla_ros.models.vision.conv_map import ConvMap
from vla_ros.models.vision.vit import VisionTransformer


@dataclass(frozen=True)
class SensesConfig:
    """
    How a policy sees, and the width of all its tokens.

    ``vision``: conv, of ``image_width`` units, or vit, of ``image_layers``; a cell is ``cell_px``
    wide and high. Words are read by ``text_width`` units.
    """

    vision: str = 'conv'
    cell_px: int = 8
    image_width: int = 64
    image_layers: int = 4
    text_width: int = 128
    width: int = 64
    heads: int = 4


class ConvCells(nn.Module):
    """Images (f, 3, h, w) to cells (f, h / cell_px, w / cell_px, width)."""

    def __init__(self, cell_px: int, image_width: int, width: int) -> None:
        super().__init__()
        self.map = ConvMap(image_width)
        shrinks = cell_px // ConvMap.stride
        self.shrink = nn.Conv2d(image_width, width, shrinks, shrinks)

    def forward(self, image: Tensor) -> Tensor:
        return self.shrink(self.map(image)).permute(0, 2, 3, 1)


class PatchCells(nn.Module):
    """Images (f, 3, h, w) to cells (f, h / cell_px, w / cell_px, width)."""

    def __init__(self, cell_px: int, layers: int, heads: int, width: int) -> None:
        super().__init__()
        self.vit = VisionTransformer(cell_px, width, heads, layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.vit(image).cells


def _vision(config: SensesConfig) -> nn.Module:
    if config.vision == 'conv':
        return ConvCells(config.cell_px, config.image_width, config.width)
    if config.vision == 'vit':
        return PatchCells(config.cell_px, config.image_layers, config.heads, config.width)
    raise ValueError(f'got vision {config.vision!r}, expected conv or vit')


class Senses(nn.Module):
    """
    The inputs of the policy contract as what a fusion takes.

    Raises ValueError for a size of cells that the picture or the vision does not go with.
    """

    where: Tensor

    def __init__(self, spec: PolicySpec, config: SensesConfig) -> None:
        super().__init__()
        width, cell_px, camera = config.width, config.cell_px, spec.camera
        if cell_px % ConvMap.stride or camera.height % cell_px or camera.width % cell_px:
            raise ValueError(
                f'got cell_px {cell_px}, expected a multiple of {ConvMap.stride} that divides '
                f'a picture of {camera.width} x {camera.height}'
            )
        self.rows, self.columns = camera.height // cell_px, camera.width // cell_px
        self.vision = _vision(config)
        self.place = nn.Linear(width + 2, width)
        self.words = WordEncoder(spec.text_width, config.text_width, config.heads, dropout=0.0)
        self.text = nn.Sequential(nn.Linear(config.text_width, width), SinusoidPosition(width))
        box = Workspace(spec.workspace_min, spec.workspace_max)
        self.state = ProprioceptionEncoder(
            [*box.centre.tolist(), 0.0, 0.0, 0.0, 0.0, 0.5],
            [*box.reach.tolist(), 1.0, 1.0, 1.0, 1.0, 0.5],
            width,
            quaternion=3,
        )
        xy = cells_on_table(camera, cell_px, OBJECT_PLANE_M)
        where = (xy - box.centre[:2]) / box.reach[:2]
        self.register_buffer('where', where.clamp(-3.0, 3.0), persistent=False)

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> tuple[Tokens, Tokens, Tokens]:
        """
        Return vision, text and state of b commands about f images.

        f divides b, and the commands about one image stand together.
        """
        cells = self.vision(normalised(image)).flatten(1, 2)  # (f, c, width)
        where = self.where.to(cells.dtype).expand(cells.shape[0], -1, -1)
        cells = self.place(torch.cat([cells, where], dim=-1))
        b, c = text.shape[0], cells.shape[1]
        cells = cells.repeat_interleave(b // cells.shape[0], dim=0)
        there = torch.ones([b, c], dtype=torch.bool, device=cells.device)
        return (
            Tokens(cells, there),
            Tokens(self.text(self.words(text, text_mask)), text_mask),
            Tokens(self.state(state), there[:, :1]),
        )

    def on_grid(self, attention: Tensor) -> Tensor:
        """Return attention (b, n, c) over the cells as the contract has it: (b, n, gh, gw)."""
        return attention.unflatten(2, [self.rows, self.columns])


def gaze_at(spec: PolicySpec, config: SensesConfig) -> Gaze:
    """Return a gaze at the cells that these senses see."""
    cell_px, camera = config.cell_px, spec.camera
    xy = cells_on_table(camera, cell_px, OBJECT_PLANE_M)
    return Gaze(config.width, xy, camera.height // cell_px, camera.width // cell_px)


class Answer(NamedTuple):
    """What a policy returns, and where it looked, if it needs a look."""

    output: PolicyOutput
    looks: Optional[Looks]  # noqa: UP045  TorchScript reads no other union in a NamedTuple


class SensingPolicy(PolicyModule):
    """A policy that is given all it knows by its senses."""

    def __init__(self, spec: PolicySpec, config: SensesConfig) -> None:
        super().__init__()
        self.senses = Senses(spec, config)

    def traits(self) -> Traits:
        return Traits((self.senses.rows, self.senses.columns), 'cross_attention', NORMALISATION)

    def learn(
        self,
        image: Tensor,
        text: Tensor,
        text_mask: Tensor,
        state: Tensor,
        actions: Tensor,
        done: Tensor,
    ) -> Learned:
        """Look at each picture once."""
        output, looks = self.look_and_act(image, text, text_mask, state)
        return Learned(output, {}, looks)

    def look_and_act(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> Answer:
        """Return what ``forward`` does, and the looks of a policy that has some."""
        return Answer(self(image, text, text_mask, state), None)
