"""Every registered policy at a small size, and one small lesson for all of them."""

from functools import partial

import torch

from vla_ros.interfaces import REFUSALS
from vla_ros.models import registry
from vla_ros.models.contract import PolicyModule
from vla_ros.models.meaning import Meaning
from vla_ros.models.policies.fusion_policy import FusionConfig, FusionPolicy
from vla_ros.models.registry import build_policy, policy_options, PolicySpec
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import Look
from vla_ros.training.batches import Batch
from vla_ros.training.recipes.recipe import Lesson
from vla_ros.training.rehearsal import Rehearsal
from vla_ros.training.sentences import SentenceBatch

#: The width of the text encoder, for some recipes bring sentences of their own.
TEXT_WIDTH, WORDS = 384, 5
#: What makes a policy small, for those that have such an option.
SMALL = {
    'width': 16, 'image_width': 8, 'text_width': 8, 'hidden': 16, 'key_width': 4,
    'heads': 2, 'layers': 1, 'image_layers': 1, 'bins': 16, 'readouts': 2,
}  # fmt: skip
NAN = float('nan')
POSE = torch.tensor([0.45, 0.05, 0.12, 1.0, 0.0, 0.0, 0.0, 0.2])

SPEC = PolicySpec(
    camera=camera_model(Look(), 32, 32),
    text_width=TEXT_WIDTH,
    tasks=(*REFUSALS, 'point', 'pick', 'push', 'put'),
    zone_tasks=('push', 'put'),
    colours=6,
    shapes=3,
    workspace_min=(0.3, -0.2, 0.02),
    workspace_max=(0.6, 0.2, 0.25),
    horizon=4,
    dt_s=0.1,
    speed_m_s=0.2,
    angular_speed_rad_s=0.5,
)


def small_policy(name: str, **options) -> PolicyModule:
    known = policy_options(name)
    chosen = {key: value for key, value in SMALL.items() if key in known}
    return build_policy(name, SPEC, {**chosen, **options})


def register_mine(monkeypatch) -> None:
    """Register a policy 'mine' with 'my loss', for the length of a test."""
    registry.policy_names()  # those of this package are known before the dictionaries are copied
    for name in ('_POLICIES', '_LOSSES'):
        monkeypatch.setattr(registry, name, getattr(registry, name).copy())
    add = registry.register_policy('mine', FusionConfig, losses=('my loss',))
    add(partial(FusionPolicy, 'late'))


def small_inputs(rows: int = 3) -> tuple[torch.Tensor, ...]:
    """Return inputs of the contract; the last words of every row but one are masked."""
    image = torch.randint(0, 256, (rows, 1, 3, 32, 32), dtype=torch.uint8)
    text = torch.randn(rows, WORDS, TEXT_WIDTH)
    mask = torch.arange(WORDS) < torch.tensor([3, WORDS, 2, 4])[:rows, None]
    return image, text, mask, POSE + 0.01 * torch.randn(rows, 8)


def small_lesson() -> Lesson:
    """
    Return four pictures with three commands each: two that are obeyed, then a refusal.

    The last picture's refusal is of what is not there, the others' of no words at all.
    """
    image = small_inputs(4)[0]
    text, mask = torch.randn(12, WORDS, TEXT_WIDTH), torch.ones(12, WORDS).bool()
    mask[:, 4] = mask[2::3] = False
    known = torch.tensor([1.0, 1.0, NAN] * 4)
    names_zone = torch.tensor([1.0, NAN, NAN] * 4)
    where = torch.tensor([[8.0, 20.0], [20.0, 10.0], [12.0, 25.0]] * 4)
    position = torch.tensor([[0.40, -0.1, 0.05], [0.5, 0.1, 0.2], [0.45, 0.05, 0.12]] * 4)
    meaning = Meaning(
        *(torch.tensor(part * 4) for part in ([4, 2, 0], [0, 1, -1], [2, 0, -1], [3, -1, -1]))
    )
    meaning.task[-1], mask[-1] = 2, True
    frames = Batch(
        image=image,
        meaning=meaning,
        state=POSE.expand(12, -1),
        position=position * known[:, None],
        yaw=0.3 * known,
        gripper=torch.tensor([1.0, 0.0, 0.0] * 4) * known,
        done=torch.tensor([0.0, 1.0, 0.0] * 4) * known,
        object_there=torch.tensor([1.0, 1.0, NAN] * 3 + [1.0, 1.0, 0.0]),
        zone_there=names_zone,
        object_px=where * known[:, None],
        zone_px=where.flip(1) * names_zone[:, None],
        hand_px=where[:4].repeat_interleave(3, dim=0),  # one hand a picture
        colours_px=where[:4, None, None].expand(4, 6, 3, 2),
        shapes_px=where[:4, None, None].expand(4, 3, 6, 2),
    )
    return Lesson(frames, SentenceBatch(text, mask, *meaning), small_rehearsal(frames))


def small_rehearsal(frames: Batch) -> Rehearsal:
    """Return what to point at, and the same as what to pick up."""
    seen = torch.stack([frames.object_px, frames.zone_px, frames.hand_px], dim=1)
    return Rehearsal(
        task=torch.tensor([3, 4]),
        seen_px=seen[:1].expand(2, -1, -1),
        state=POSE.expand(2, -1),
        position=frames.position[:2],
        yaw=torch.zeros(2),
        gripper=torch.tensor([0.0, 1.0]),
        done=torch.tensor([1.0, 0.0]),
    )
