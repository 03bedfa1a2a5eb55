"""Learning curves as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use('Agg')

from matplotlib import pyplot  # noqa: E402


def draw_curves(log_path: Path, picture_path: Path) -> None:
    """Draw each loss of ``log_path`` (JSON lines with ``step``) over the steps."""
    lines = [json.loads(line) for line in log_path.read_text().splitlines()]
    names = [name for name in lines[-1] if name not in ('step', 'elapsed_s')]
    columns = 4
    rows = -(-len(names) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(3.2 * columns, 2.4 * rows), squeeze=False, layout='constrained'
    )
    for axis in axes.flat[len(names) :]:
        axis.axis('off')
    for axis, name in zip(axes.flat, names, strict=False):
        values = [line[name] for line in lines]
        axis.plot([line['step'] for line in lines], values, linewidth=1)
        if max(values) > 0.0:  # the balance of experts is 0 where there are none
            axis.set_yscale('log')
        axis.set_title(name)
        axis.grid(alpha=0.3)
    figure.supxlabel('step')
    figure.savefig(picture_path, dpi=100)
    pyplot.close(figure)
