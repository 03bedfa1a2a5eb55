import pytest
import torch

from vla_ros.models.meaning import Meaning
from vla_ros.models.registry import build_policy
from vla_ros.models.text.reader import Reading
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import Look
from vla_ros.training.batches import Batch
from vla_ros.training.config import load_config
from vla_ros.training.losses import keypoint_losses, reading_losses, shape_losses
from vla_ros.training.run import policy_spec
from vla_ros.training.sentences import SentenceBatch

NAN = float('nan')
CAMERA = camera_model(Look(), 96, 96)


@pytest.fixture(scope='module')
def policy():
    torch.manual_seed(0)
    sizes = dict.fromkeys(('image_width', 'text_width', 'heads', 'key_width', 'hidden'), 8)
    return build_policy('keypoint', policy_spec(load_config(), 6), sizes)


def batch(known=True):
    """Return a batch of one picture with two commands, or one that nobody knows anything of."""
    answer = 0.3 if known else NAN
    meaning = Meaning(*(torch.tensor(x) for x in ([1, 4], [0, -1], [0, 2], [-1, 1])))
    pixels = torch.full((2, 2), 40.0 if known else NAN)
    rows = torch.full((2,), answer)
    return Batch(
        image=torch.randint(0, 256, (1, 1, 3, 96, 96), dtype=torch.uint8),
        meaning=meaning,
        state=torch.tensor([[0.4, 0.1, 0.15, 1.0, 0.0, 0.0, 0.0, 0.2]] * 2),
        position=rows[:, None].expand(2, 3),
        yaw=rows, gripper=rows, done=rows, object_there=rows, zone_there=rows,
        object_px=pixels, zone_px=pixels, hand_px=pixels,
        colours_px=pixels[0].expand(1, 6, 3, 2), shapes_px=pixels[0].expand(1, 3, 6, 2),
    )  # fmt: skip


def losses_of(policy, some):
    policy.zero_grad()
    return keypoint_losses(policy, some, policy.see(some.image), CAMERA)


def test_every_loss_has_a_weight(policy):
    sentences = SentenceBatch(
        torch.randn(2, 3, 6), torch.ones(2, 3).bool(), *torch.zeros(4, 2, dtype=torch.int64)
    )
    read = reading_losses(policy.reader(*sentences[:2]), sentences)
    recoloured = shape_losses(policy, batch(), policy.see(batch().image), CAMERA)
    assert {*losses_of(policy, batch()), *read, *recoloured} <= set(load_config().loss_weights)


def test_every_loss_is_a_finite_number_above_zero(policy):
    for name, loss in losses_of(policy, batch()).items():
        assert torch.isfinite(loss), name
        assert loss.item() > 0.0, name


def test_what_nobody_knows_costs_nothing_and_leaves_no_nan(policy):
    losses = losses_of(policy, batch(known=False))
    torch.stack(list(losses.values())).sum().backward()
    assert {name for name, loss in losses.items() if float(loss) != 0.0} == set()
    assert all(p.grad is None or (p.grad == 0).all() for p in policy.parameters())


def test_together_they_teach_every_parameter(policy):
    sentences = SentenceBatch(
        torch.randn(2, 3, 6), torch.ones(2, 3).bool(), *torch.ones(4, 2, dtype=torch.int64)
    )
    losses = losses_of(policy.train(), batch())
    losses |= reading_losses(policy.reader(*sentences[:2]), sentences)
    torch.stack(list(losses.values())).sum().backward()
    assert [n for n, p in policy.named_parameters() if p.grad is None] == []


def test_reading_rightly_costs_less_than_wrongly():
    classes = [torch.tensor([0, 1])] * 4
    sentences = SentenceBatch(torch.zeros(2, 1, 1), torch.ones(2, 1).bool(), *classes)
    words = torch.ones(2, 4, 1)
    right, wrong = (Reading(*[sign * 4.0 * torch.eye(2)] * 4, words=words) for sign in (1.0, -1.0))
    for name, loss in reading_losses(right, sentences).items():
        assert loss < reading_losses(wrong, sentences)[name]
    assert set(reading_losses(right, sentences)) == {'task', 'words'}
