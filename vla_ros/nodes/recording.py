"""
A film of the running graph: the camera's pictures and the attention over them.

Subscribes: camera/image_raw, vla/attention_image
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client
from vla_ros.nodes.codec import opencv_decode
from vla_ros.nodes.conversions import to_ns

_MAX_BYTES = 64_000_000


@dataclass(frozen=True, eq=False)
class Take:
    """Frames (h, w, 3) uint8 in order: ``camera`` and, of the same instants, ``attention``."""

    camera: Sequence[NDArray[np.uint8]]
    attention: Sequence[NDArray[np.uint8]]


class Film:
    """Collects pictures while its client spins; the image stamp says what belongs together."""

    def __init__(self, client: Client) -> None:
        self._camera: dict[int, NDArray[np.uint8]] = {}
        self._attention: dict[int, NDArray[np.uint8]] = {}
        client.watch(wiring.IMAGE_RAW, lambda m: self._keep(self._camera, m))
        client.watch(wiring.ATTENTION_IMAGE, lambda m: self._keep(self._attention, m))

    @staticmethod
    def _keep(frames: dict[int, NDArray[np.uint8]], message: Image) -> None:
        frames[to_ns(message.header.stamp)] = opencv_decode(message, _MAX_BYTES).copy()

    def cut(self) -> Take:
        """
        Return what was taken since the last cut.

        Where the policy looked at nothing, because it had no task, the plain picture stands for
        the attention.
        """
        stamps = sorted(self._camera)
        take = Take(
            [self._camera[s] for s in stamps],
            [self._attention.get(s, self._camera[s]) for s in stamps],
        )
        self._camera.clear()
        self._attention.clear()
        return take
