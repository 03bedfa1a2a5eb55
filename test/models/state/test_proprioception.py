import pytest
import torch

from vla_ros.models.state.proprioception import ProprioceptionEncoder


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return ProprioceptionEncoder([0.0] * 8, [1.0] * 8, 16, quaternion=3).eval()


def test_a_quaternion_and_its_negative_are_the_same_state(encoder):
    state = torch.randn(2, 8)
    other = state.clone()
    other[:, 3:7] *= -1.0
    torch.testing.assert_close(encoder(other), encoder(state))


def test_a_small_turn_is_a_small_change_where_the_sign_of_a_quaternion_flips(encoder):
    # Half a turn about x, one hundredth of a radian to either side, with w kept positive.
    state = torch.zeros(2, 8)
    state[0, 3], state[0, 6] = 1.0, 0.005
    state[1, 3], state[1, 6] = -1.0, 0.005
    one, other = encoder(state)
    assert (one - other).abs().max() < 0.1
    state[1, 3:7] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert (one - encoder(state)[1]).abs().max() > 0.1


def test_channels_are_normalised():
    torch.manual_seed(0)
    plain = ProprioceptionEncoder([0.0, 0.0], [1.0, 1.0], 8)
    scaled = ProprioceptionEncoder([0.3, -0.1], [0.2, 0.05], 8)
    scaled.encode.load_state_dict(plain.encode.state_dict())
    state = torch.randn(3, 2)
    measured = state * torch.tensor([0.2, 0.05]) + torch.tensor([0.3, -0.1])
    torch.testing.assert_close(scaled(measured), plain(state), rtol=1e-4, atol=1e-5)


def test_the_statistics_travel_with_the_weights():
    one = ProprioceptionEncoder([0.3], [0.2], 4)
    other = ProprioceptionEncoder([0.0], [1.0], 4)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(torch.ones(1, 1)), other(torch.ones(1, 1)))


def test_a_quaternion_of_nothing_but_zeros_is_no_nan(encoder):
    assert encoder(torch.zeros(1, 8)).isfinite().all()


@pytest.mark.parametrize(
    ('std', 'quaternion', 'message'),
    [([1.0, 1.0], None, '5 positive'), ([0.0] * 5, None, '5 positive'), ([1.0] * 5, 2, 'at 2')],
)
def test_what_does_not_fit_together_is_refused(std, quaternion, message):
    with pytest.raises(ValueError, match=message):
        ProprioceptionEncoder([0.0] * 5, std, 8, quaternion)
