"""Actions as they are, as tokens: one a row."""

from collections.abc import Sequence

from torch import nn, Tensor

from vla_ros.models.layers.position import SinusoidPosition
from vla_ros.models.state.proprioception import ProprioceptionEncoder


class ContinuousActionEncoder(nn.Module):
    """
    Rows of actions (b, k, a), in the manifest's channels, to tokens (b, k, width).

    Each row is encoded as a state is; see ``ProprioceptionEncoder`` for the arguments and errors.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        width: int,
        quaternion: int | None = None,
    ) -> None:
        super().__init__()
        self.row = ProprioceptionEncoder(mean, std, width, quaternion)
        self.position = SinusoidPosition(width)

    def forward(self, actions: Tensor) -> Tensor:
        rows = self.row(actions.flatten(0, 1))  # (b * k, 1, width)
        return self.position(rows.view(actions.shape[0], actions.shape[1], -1))
