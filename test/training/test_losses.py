import math

import numpy as np
import pytest
import torch

from vla_ros.models.policies.keypoint import Meaning
from vla_ros.models.registry import build_policy
from vla_ros.models.text.reader import Reading
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import Look
from vla_ros.training.batches import Batch
from vla_ros.training.config import load_config
from vla_ros.training.losses import (
    chance_loss,
    class_loss,
    heat_loss,
    keypoint_losses,
    part_loss,
    position_loss,
    reading_losses,
    shape_losses,
)
from vla_ros.training.run import policy_spec
from vla_ros.training.sentences import SentenceBatch

NAN = float('nan')
CAMERA = camera_model(Look(), 96, 96)


def test_the_right_position_costs_nothing():
    here = torch.tensor([[0.1, 0.2, 0.3]])
    assert float(position_loss(here, here)) == 0.0


def test_an_unknown_position_does_not_count():
    predicted = torch.tensor([[1.0, 1.0], [0.0, 0.05]])
    target = torch.tensor([[NAN, NAN], [0.0, 0.0]])
    assert float(position_loss(predicted, target)) == pytest.approx(1.0 - 0.5 * 0.04)


def test_no_known_position_at_all_costs_nothing_and_has_a_gradient():
    predicted = torch.zeros(2, 3, requires_grad=True)
    position_loss(predicted, torch.full((2, 3), NAN)).backward()
    assert (predicted.grad == 0).all()


def test_attention_at_the_true_cell_costs_least():
    cells = torch.tensor([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]])
    pixels = torch.tensor([[4.0, 0.0]])
    losses = [float(heat_loss(torch.eye(3)[i : i + 1], pixels, cells, 1.0)) for i in range(3)]
    assert losses[1] < losses[0]
    assert losses[1] < losses[2]


def test_heat_without_a_true_pixel_does_not_count():
    loss = heat_loss(torch.eye(3)[:1], torch.full((1, 2), NAN), torch.zeros(3, 2), 1.0)
    assert float(loss) == 0.0


def test_a_class_that_is_not_meant_does_not_count():
    logits = torch.tensor([[5.0, -5.0], [0.0, 0.0]])
    both = class_loss(logits, torch.tensor([-1, 0]))
    assert float(both) == pytest.approx(float(class_loss(logits[1:], torch.tensor([0]))))


def test_without_any_class_there_is_no_loss():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = class_loss(logits, torch.tensor([-1, -1]))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert (logits.grad == 0).all()


def test_a_chance_of_a_half_costs_as_much_either_way():
    losses = [float(chance_loss(torch.zeros(1), torch.tensor([x]))) for x in (0.0, 1.0)]
    assert losses == pytest.approx([np.log(2.0)] * 2)


def test_a_chance_that_nobody_knows_does_not_count():
    logit = torch.tensor([9.0, 0.0], requires_grad=True)
    loss = chance_loss(logit, torch.tensor([NAN, 1.0]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(2.0))
    assert float(logit.grad[0]) == 0.0


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


def test_every_loss_has_a_weight_and_every_weight_a_loss(policy):
    sentences = SentenceBatch(
        torch.randn(2, 3, 6), torch.ones(2, 3).bool(), *torch.zeros(4, 2, dtype=torch.int64)
    )
    read = reading_losses(policy.reader(*sentences[:2]), sentences)
    recoloured = shape_losses(policy, batch(), policy.see(batch().image), CAMERA)
    assert {*losses_of(policy, batch()), *read, *recoloured} == set(load_config().loss_weights)


def test_every_loss_is_a_finite_number_above_zero(policy):
    for name, loss in losses_of(policy, batch()).items():
        assert torch.isfinite(loss), name
        assert float(loss) > 0.0, name


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


def test_a_map_is_to_find_everything_that_it_is_about():
    cells = torch.tensor([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    pixels = torch.tensor([[[[0.0, 0.0], [20.0, 0.0], [NAN, NAN]]]])  # two of three are there
    both, one = torch.tensor([[[9.0, 0.0, 9.0]]]), torch.tensor([[[9.0, 0.0, 0.0]]])
    assert float(part_loss(both, pixels, cells, 1.0)) < float(part_loss(one, pixels, cells, 1.0))
    assert float(part_loss(both, pixels, cells, 1.0)) == pytest.approx(math.log(2.0), abs=1e-3)


def test_a_map_about_nothing_that_is_there_does_not_count():
    pixels = torch.full((1, 1, 3, 2), NAN)
    assert float(part_loss(torch.ones(1, 1, 3), pixels, torch.zeros(3, 2), 1.0)) == 0.0
