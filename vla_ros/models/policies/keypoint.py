"""
The tabletop policy: words find things in the picture, and the hand goes where they are.

1. Learned queries for task, colour, shape and zone read the command: ``models.text.reader``.
2. What they found attends to the cells of the image. Colour and shape are scored apart and added,
   so that pairs never seen together compose. A third map finds the robot's own hand.
3. Attention is a measurement: its expected table coordinate is a key point. The difference
   between the seen and the measured hand tells how far the camera is off.
4. The waypoint is a mixture of the object's, the zone's and the hand's place plus a small offset,
   so the hand goes to what is attended. The chunk is the straight move there.
5. What is meant depends on what is in the picture as well: ``models.grounding``. It refuses what
   is no task, what is not clear and what is not there.
"""

from dataclasses import dataclass
import math
from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.interfaces import REFUSALS
from vla_ros.models.contract import PolicyModule, PolicyOutput, Traits
from vla_ros.models.grounding import ground, Grounded
from vla_ros.models.layers.film import FilmMlp
from vla_ros.models.layers.moment import MOMENT, moment, WAYPOINT, waypoint
from vla_ros.models.layers.pointing import ground_behind, neighbours, point_at
from vla_ros.models.layers.straight_move import nearest_yaw, StraightMove, tool_yaw
from vla_ros.models.meaning import Meaning
from vla_ros.models.registry import PolicySpec, register_policy
from vla_ros.models.text.reader import Reader
from vla_ros.models.vision.cells import (
    cells_on_table,
    NORMALISATION,
    normalised,
    OBJECT_PLANE_M,
)
from vla_ros.models.vision.conv_map import ConvMap


@dataclass(frozen=True)
class KeypointConfig:
    """Sizes of the network."""

    image_width: int = 64
    text_width: int = 128
    heads: int = 4
    key_width: int = 32
    hidden: int = 256


class Seen(NamedTuple):
    """
    What is in f images, whatever the command, for each of c cells.

    ``cells`` (f, c, width) features; ``keys`` (f, c, 3, key width) that colour, shape and zone
    are asked of; ``xy`` (f, c, 3, 2): where on the table it looks, m, for an object, a zone and
    the hand; ``hand`` (f, c, 1): how much it looks like the hand.
    """

    cells: Tensor
    keys: Tensor
    xy: Tensor
    hand: Tensor


class Decision(NamedTuple):
    """
    Everything the policy concludes, before it becomes a chunk; training supervises all of it.

    ``position`` (b, 3) m; ``yaw`` (b,) rad and ``yaw_vector`` (b, 2), cosine and sine of four
    times the yaw, for a block looks the same after a quarter turn; logits, two of them of whether
    object and zone are there at all; attention over cells (b, c) and key points (b, 2) in m.
    """

    position: Tensor
    yaw: Tensor
    yaw_vector: Tensor
    gripper_logit: Tensor
    termination_logit: Tensor
    object_there_logit: Tensor
    zone_there_logit: Tensor
    object_attention: Tensor
    zone_attention: Tensor
    hand_attention: Tensor
    object_point: Tensor
    zone_point: Tensor
    hand_point: Tensor


@register_policy('keypoint', KeypointConfig)
class KeypointPolicy(PolicyModule):
    """See the module; scriptable, under the policy contract."""

    min_presence: Tensor
    names_zone: Tensor
    near: Tensor
    xy: Tensor
    camera_position: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, spec: PolicySpec, config: KeypointConfig) -> None:
        super().__init__()
        camera, width = spec.camera, config.image_width
        if camera.width % ConvMap.stride or camera.height % ConvMap.stride:
            raise ValueError(
                f'got a picture of {camera.width} x {camera.height} pixels; take one of a width '
                f'and height that {ConvMap.stride} divides'
            )
        # TorchScript sees attributes but no globals.
        self.plane_m = OBJECT_PLANE_M
        self.cell_m = 0.03  # a cell's coordinates are mended by at most so much
        self.max_yaw_rad = math.radians(60.0)
        self.colours, self.shapes = spec.colours, spec.shapes
        acting = [task for task in spec.tasks if task not in REFUSALS]
        self.kinds = len(acting)

        # Beside the real ones, colours and shapes can be left open or be others, zones others.
        classes = (1 + self.kinds, spec.colours + 2, spec.shapes + 2, spec.colours + 1)
        self.reader = Reader(spec.text_width, classes, config.text_width, config.heads)
        # What looks as if it were there with this probability counts as there by a half.
        self.register_buffer('min_presence', torch.tensor(0.5))

        self.vision = ConvMap(width)
        self.rows = camera.height // ConvMap.stride
        self.columns = camera.width // ConvMap.stride
        object_xy = cells_on_table(camera, ConvMap.stride, OBJECT_PLANE_M)
        self.place = nn.Sequential(nn.Linear(width + 2, width), nn.ReLU())

        # Colour, shape and zone each ask the map with a key of their own; the hand needs none.
        self.key_width = config.key_width
        self.colour_keys = nn.Parameter(torch.randn(spec.colours, config.key_width))
        self.shape_keys = nn.Parameter(torch.randn(spec.shapes, config.key_width))
        self.zone_keys = nn.Parameter(torch.randn(spec.colours, config.key_width))
        self.to_map = nn.Linear(width, 3 * config.key_width + 6 + 1)
        # Whether something is there follows from the scores alone: features would tell new pairs
        # of colour and shape from those seen together before.
        self.object_there = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
        self.zone_there = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))
        self.trust = nn.Parameter(torch.tensor(0.5))

        self.shrink = nn.Linear(3 * width, 128)
        self.head = FilmMlp(128 + MOMENT, 1 + self.kinds, config.hidden, WAYPOINT + 4)
        self.move = StraightMove(spec.horizon, spec.dt_s, spec.speed_m_s, spec.angular_speed_rad_s)
        self.register_buffer('near', neighbours(self.rows, self.columns, reach=2), False)
        names_zone = torch.tensor([0.0, *(float(task in spec.zone_tasks) for task in acting)])
        self.register_buffer('names_zone', names_zone, False)
        zone_xy = cells_on_table(camera, ConvMap.stride, 0.0)
        self.register_buffer('xy', torch.stack([object_xy, zone_xy, object_xy], dim=1), False)
        self.register_buffer(
            'camera_position', torch.from_numpy(camera.base_from_camera.position).float(), False
        )
        self.register_buffer('low', torch.tensor(spec.workspace_min), False)
        self.register_buffer('high', torch.tensor(spec.workspace_max), False)

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        """Return what the contract says; see ``vla_ros.models.contract``."""
        reading, seen = self.reader(text, text_mask), self.see(image)
        things, zones = self.there(seen)
        grounded = ground(reading, things, zones, self.names_zone)
        decision = self.decide(seen, grounded.meaning, state)
        gripper = torch.sigmoid(6.0 * decision.gripper_logit)  # a wish is open or closed
        actions = self.move(state, decision.position, decision.yaw, gripper)
        done = torch.sigmoid(decision.termination_logit)
        names_zone = self.names_zone[grounded.meaning.task]  # (b,)
        words = reading.words
        object_words = 0.5 * (words[:, 1] + words[:, 2])  # (b, n)
        zone_words = names_zone[:, None] * words[:, 3]
        attention = (
            object_words[:, :, None] * decision.object_attention[:, None]
            + zone_words[:, :, None] * decision.zone_attention[:, None]
        )
        return PolicyOutput(
            actions,
            done[:, None].expand(-1, actions.shape[1]),
            self._task_logits(reading.task, grounded),
            attention.view(attention.shape[0], -1, self.rows, self.columns),
        )

    def traits(self) -> Traits:
        return Traits((self.rows, self.columns), 'cross_attention', NORMALISATION)

    def there(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """
        Return (f, colours + 1, shapes + 1) and (f, colours): how probably it is there.

        The last colour and the last shape are any.
        """
        f = seen.cells.shape[0]
        any_key = torch.zeros_like(self.colour_keys[:1])
        colour = self._scores(seen, 0, torch.cat([self.colour_keys, any_key]).repeat(f, 1))
        shape = self._scores(seen, 1, torch.cat([self.shape_keys, any_key]).repeat(f, 1))
        zone = self._scores(seen, 2, self.zone_keys.repeat(f, 1))
        things = self._object_there(colour[:, :, None], shape[:, None])
        return (
            _beyond(torch.sigmoid(things), self.min_presence),
            _beyond(torch.sigmoid(self._zone_there(zone)), self.min_presence),
        )

    def _task_logits(self, task_logits: Tensor, grounded: Grounded) -> Tensor:
        """Return (b, 3 + kinds) log probabilities: none, unclear, absent, then the tasks."""
        task = torch.softmax(task_logits, dim=-1)
        refused = (1.0 - task[:, 0]) * (1.0 - grounded.meant)
        unclear, absent = refused * (1.0 - grounded.clear), refused * grounded.clear
        tasks = grounded.meant[:, None] * task[:, 1:]
        logits = torch.cat([task[:, :1], torch.stack([unclear, absent], dim=-1), tasks], dim=-1)
        return logits.clamp(min=1e-7).log()

    def see(self, image: Tensor) -> Seen:
        """Return what is in images (f, 1, 3, h, w) uint8."""
        cells = self.vision(normalised(image)).flatten(2).transpose(1, 2)  # (f, c, width)
        where = self.xy[:, 0].to(cells.dtype).expand(cells.shape[0], -1, -1)
        cells = self.place(torch.cat([cells, where], dim=-1))
        maps = self.to_map(cells).float()
        keys, offsets, hand = maps.split([3 * self.key_width, 6, 1], dim=-1)
        xy = self.xy + self.cell_m * torch.tanh(offsets.unflatten(-1, [3, 2]))
        return Seen(cells.float(), keys.unflatten(-1, [3, self.key_width]), xy, hand)

    def decide(self, seen: Seen, meaning: Meaning, state: Tensor) -> Decision:
        """
        Return the decision for each of b meanings and states (b, 8).

        b is a multiple of the f images in ``seen``, and the rows of one image stand together.
        """
        cells = seen.cells
        f, b = cells.shape[0], state.shape[0]
        near = None if self.training else self.near
        colour_scores = self._scores(seen, 0, _rows(self.colour_keys, meaning.colour))
        shape_scores = self._scores(seen, 1, _rows(self.shape_keys, meaning.shape))
        zone_scores = self._scores(seen, 2, _rows(self.zone_keys, meaning.zone))
        object_scores = colour_scores + shape_scores  # (f, b / f, c)
        object_attention, object_seen, object_features = point_at(
            object_scores, seen.xy[:, :, 0], cells, near
        )
        zone_attention, zone_seen, zone_features = point_at(
            zone_scores, seen.xy[:, :, 1], cells, near
        )
        hand_attention, hand_seen, hand_features = point_at(
            seen.hand.transpose(1, 2).expand(-1, b // f, -1), seen.xy[:, :, 2], cells, near
        )
        own = state[:, :3]
        camera_error = hand_seen - ground_behind(own, self.camera_position, self.plane_m)
        object_point = object_seen - self.trust * camera_error
        zone_point = zone_seen - self.trust * camera_error
        features = self.shrink(torch.cat([object_features, zone_features, hand_features], dim=-1))
        numbers = moment(state, object_point, zone_point, object_seen - hand_seen, camera_error)
        task = torch.nn.functional.one_hot(meaning.task, 1 + self.kinds).to(numbers.dtype)
        out = self.head(torch.cat([torch.relu(features), numbers], dim=-1), task)

        goal = waypoint(out[:, :8], object_point, zone_point, own[:, :2], self.low, self.high)
        position = torch.where((meaning.task == 0)[:, None], own, goal)
        return Decision(
            position=position,
            yaw=nearest_yaw(out[:, 8:10], tool_yaw(state[:, 3:7]), self.max_yaw_rad),
            yaw_vector=out[:, 8:10],
            gripper_logit=out[:, 10],
            termination_logit=out[:, 11],
            object_there_logit=self._object_there(colour_scores, shape_scores).flatten(),
            zone_there_logit=self._zone_there(zone_scores).flatten(),
            object_attention=object_attention,
            zone_attention=zone_attention,
            hand_attention=hand_attention,
            object_point=object_seen,
            zone_point=zone_seen,
            hand_point=hand_seen,
        )

    def _object_there(self, colour: Tensor, shape: Tensor) -> Tensor:
        """Return the logit (...) that a thing is there, by the scores (..., c) of its parts."""
        scores = colour + shape
        attention = scores.softmax(dim=-1)
        evidence = [
            (attention * colour).sum(dim=-1),
            (attention * shape).sum(dim=-1),
            attention.amax(dim=-1),
            scores.logsumexp(dim=-1),
        ]
        return self.object_there(torch.stack(evidence, dim=-1)).squeeze(-1)

    def _zone_there(self, scores: Tensor) -> Tensor:
        attention = scores.softmax(dim=-1)
        evidence = [
            (attention * scores).sum(dim=-1),
            attention.amax(dim=-1),
            scores.logsumexp(dim=-1),
        ]
        return self.zone_there(torch.stack(evidence, dim=-1)).squeeze(-1)

    def part_scores(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Return (f, colours, c) and (f, shapes, c): how much each cell looks like which."""
        f = seen.cells.shape[0]
        return (
            self._scores(seen, 0, self.colour_keys.repeat(f, 1)),
            self._scores(seen, 1, self.shape_keys.repeat(f, 1)),
        )

    def _scores(self, seen: Seen, part: int, keys: Tensor) -> Tensor:
        """Return (f, b / f, c): how well each cell answers each of the keys (b, key width)."""
        asked = keys.view(seen.cells.shape[0], -1, self.key_width)
        return asked @ seen.keys[:, :, part].transpose(1, 2) * self.key_width**-0.5


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """Return the rows (b, d) of ``table`` (n, d) at ``index`` (b,); zeros at -1."""
    return table[index.clamp(min=0)] * (index >= 0)[:, None].to(table.dtype)


def _beyond(probability: Tensor, threshold: Tensor) -> Tensor:
    """Return ``probability`` with its odds scaled such that ``threshold`` becomes a half."""
    return torch.sigmoid(torch.logit(probability, 1e-6) - torch.logit(threshold, 1e-6))
