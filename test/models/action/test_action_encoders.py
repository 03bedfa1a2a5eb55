import torch

from vla_ros.models.action.continuous import ContinuousActionEncoder
from vla_ros.models.action.discrete import DiscreteActionEncoder


def continuous():
    torch.manual_seed(0)
    return ContinuousActionEncoder([0.0] * 8, [1.0] * 8, 16, quaternion=3)


def test_rows_become_tokens_each_on_its_own():
    encoder, actions = continuous(), torch.randn(2, 3, 8)
    other = actions.clone()
    other[:, 1] += 1.0
    changed = (encoder(actions) - encoder(other)).abs().amax(dim=2) > 1e-3
    assert changed.tolist() == [[False, True, False]] * 2


def test_the_turn_of_a_row_does_not_depend_on_the_sign_of_its_quaternion():
    encoder, actions = continuous(), torch.randn(2, 3, 8)
    other = actions.clone()
    other[:, :, 3:7] *= -1.0
    torch.testing.assert_close(encoder(other), encoder(actions))


def test_equal_actions_differ_by_their_place():
    tokens = continuous()(torch.ones(1, 2, 8))
    assert (tokens[:, 0] - tokens[:, 1]).abs().max() > 0.1


def test_each_number_is_a_token_embedded_by_its_channel_and_bin():
    torch.manual_seed(0)
    encoder = DiscreteActionEncoder(channels=3, bins=4, width=8)
    bins = torch.tensor([[[1, 0, 3], [2, 2, 2]]])
    tokens = encoder(bins)
    assert tokens.shape == (1, 6, 8)
    rows = [0 * 4 + 1, 1 * 4 + 0, 2 * 4 + 3, 0 * 4 + 2, 1 * 4 + 2, 2 * 4 + 2]
    wanted = encoder.position(encoder.embed.weight[rows][None])
    torch.testing.assert_close(tokens, wanted)
