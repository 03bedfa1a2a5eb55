import math

import pytest
import torch

from vla_ros.training.losses import UncertaintyWeights, weighted_sum

SCALES = {'act': 300.0, 'say': 0.1}


def test_a_loss_without_a_weight_is_refused():
    with pytest.raises(ValueError, match=r"losses \['act', 'say'\] have weights \['act'\]"):
        weighted_sum({'act': torch.ones(()), 'say': torch.ones(())}, {'act': 1.0})


def test_losses_of_their_scale_push_alike_from_the_start():
    weights = UncertaintyWeights(SCALES)
    losses = {name: torch.tensor(value, requires_grad=True) for name, value in SCALES.items()}
    weights(losses).backward()
    pushes = [float(loss.grad) * float(loss.detach()) for loss in losses.values()]
    assert pushes == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize('scale', [0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_no_loss_has_is_refused(scale):
    with pytest.raises(ValueError, match='scale of act'):
        UncertaintyWeights({'act': scale})


def test_a_variance_as_large_as_its_loss_stays():
    weights = UncertaintyWeights({'act': 5.0})
    weights({'act': torch.tensor(5.0)}).backward()
    assert float(weights.log_variance['act'].grad) == pytest.approx(0.0, abs=1e-6)


def test_a_large_loss_comes_to_push_no_harder_than_a_small_one():
    weights = UncertaintyWeights({'large': 1.0, 'small': 1.0})
    optimiser = torch.optim.Adam(weights.parameters(), lr=0.2)
    losses = {'large': torch.tensor(100.0), 'small': torch.tensor(0.01)}
    for _ in range(200):
        optimiser.zero_grad()
        weights(losses).backward()
        optimiser.step()
    pushes = [float((-weights.log_variance[n].detach()).exp() * losses[n]) for n in losses]
    assert pushes == pytest.approx([1.0, 1.0], rel=0.05)
