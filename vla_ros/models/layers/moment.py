"""
The geometry of a moment, and a waypoint in it: hand, object and zone by their places.

Functions without weights, for more than one network asks them. A waypoint is a mixture of the
three places plus a small offset: a net that need not remember coordinates learns from little to
be right by a centimetre.
"""

import torch
from torch import Tensor

from vla_ros.models.layers.straight_move import tool_yaw

#: So many numbers does ``moment`` return, and so many does ``waypoint`` take.
MOMENT, WAYPOINT = 38, 8


def way_to_zone(object_point: Tensor, zone_point: Tensor) -> Tensor:
    """Return (b, 2): the unit vector from objects to zones (b, 2), 0 where they are the same."""
    way = zone_point - object_point
    return way / _length(way).clamp(min=1e-3)


def moment(
    state: Tensor,
    object_point: Tensor,
    zone_point: Tensor,
    object_from_hand: Tensor,
    camera_error: Tensor,
) -> Tensor:
    """
    Return (b, MOMENT): the geometry of the moment, coarse and fine, of states (b, 8).

    Points (b, 2) m on the table; ``object_from_hand`` (b, 2) as both are seen.
    """
    own_xy, z, yaw = state[:, :2], state[:, 2:3], tool_yaw(state[:, 3:7])[:, None]
    to_object, to_zone = object_point - own_xy, zone_point - own_xy
    way, along = zone_point - object_point, way_to_zone(object_point, zone_point)
    ahead = -(to_object * along).sum(dim=-1, keepdim=True)
    aside = to_object[:, :1] * along[:, 1:] - to_object[:, 1:] * along[:, :1]
    lengths = torch.cat(
        [
            to_object, to_zone, way, object_from_hand, ahead, aside,
            _length(to_object), _length(to_zone), _length(way), z - 0.03,
        ],
        dim=-1,
    )  # (b, 14)  # fmt: skip
    return torch.cat(
        [
            lengths / 0.1, torch.tanh(lengths / 0.02), along, own_xy, camera_error / 0.02,
            torch.tanh((z - 0.1) / 0.02), torch.sin(yaw), torch.cos(yaw), state[:, 7:8],
        ],
        dim=-1,
    )  # fmt: skip


def waypoint(
    out: Tensor,
    object_point: Tensor,
    zone_point: Tensor,
    own_xy: Tensor,
    low: Tensor,
    high: Tensor,
) -> Tensor:
    """
    Return positions (b, 3) m within ``low`` and ``high`` (3,), by outputs (b, WAYPOINT) of a net.

    Three of them mix object, zone and hand, two are along and across the way to the zone, two any
    way, and the last is the height.
    """
    places = torch.stack([object_point, zone_point, own_xy], dim=1)  # (b, 3, 2)
    # Not a matrix product: mixed precision would round coordinates to centimetres.
    xy = (torch.softmax(out[:, :3], dim=-1)[:, :, None] * places).sum(dim=1)
    along = way_to_zone(object_point, zone_point)
    across = torch.stack([-along[:, 1], along[:, 0]], dim=-1)
    offset = torch.tanh(out[:, 3:7])
    xy = xy + 0.08 * (offset[:, :1] * along + offset[:, 1:2] * across)
    xy = xy + 0.03 * offset[:, 2:4]
    z = 0.01 + 0.20 * torch.sigmoid(out[:, 7:8])
    return torch.minimum(torch.maximum(torch.cat([xy, z], dim=-1), low), high)


def _length(vector: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
