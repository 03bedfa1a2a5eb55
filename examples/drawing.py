"""Sheets of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vla_ros.evaluation.pictures import write_picture


def write_sheet(lines: Sequence[Tensor], picture_path: Path, tile_px: int = 192) -> None:
    """Write a sheet with a line for each of some pictures (n, 3, h, w) in 0..1, n alike."""
    sheet = torch.cat([torch.cat(list(line), dim=2) for line in lines], dim=1)
    colours = (255.0 * sheet.clamp(0.0, 1.0)).round().to(torch.uint8).permute(1, 2, 0).numpy()
    times = max(1, tile_px // lines[0].shape[-1])
    write_picture(picture_path, colours.repeat(times, axis=0).repeat(times, axis=1))
