import math

import pytest
import torch

from vla_ros.models.export import script
from vla_ros.models.tokenizers.vq_vae import (
    code_shares,
    perplexity,
    usage,
    VectorQuantiser,
    VqVae,
)

RANDOM = torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def fixed():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    RANDOM.manual_seed(0)


@pytest.fixture
def quantiser():
    layer = VectorQuantiser(3, 2)
    layer.codebook.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    return layer


FEATURES = torch.tensor([[0.9, 0.2], [-0.1, 0.7]]).T[None, :, None]  # (1, 2, 1, 2)


def squares(n: int = 8) -> torch.Tensor:
    """Return pictures (n, 3, 16, 16) of a coloured square each, on black."""
    image = torch.zeros(n, 3, 16, 16)
    for i in range(n):
        top, left = 2 * (i % 4), 2 * (i % 3)
        image[i, i % 3, top : top + 6, left : left + 6] = 1.0
    return image


def test_each_cell_becomes_the_nearest_code(quantiser):
    out = quantiser(FEATURES)
    assert out.tokens.tolist() == [[[1, 2]]]
    torch.testing.assert_close(out.vectors, quantiser.decode(out.tokens))


def test_the_nearest_code_is_nearest_by_distance():
    layer, features = VectorQuantiser(50, 4), torch.randn(2, 4, 3, 5)
    cells = features.permute(0, 2, 3, 1).reshape(-1, 4)
    wanted = torch.cdist(cells, layer.codebook).argmin(dim=1)
    assert torch.equal(layer(features).tokens.flatten(), wanted)


def test_the_gradient_goes_straight_through(quantiser):
    features = FEATURES.clone().requires_grad_()
    quantiser(features).vectors.mul(torch.tensor([3.0, 5.0])).sum().backward()
    assert features.grad.flatten().tolist() == [3.0, 5.0, 3.0, 5.0]
    assert quantiser.codebook.grad is None


def test_the_loss_is_the_distance_once_for_the_codes_and_a_quarter_for_the_encoder(quantiser):
    # Squares: 0.01 and 0.04, 0.01 and 0.09.
    assert float(quantiser(FEATURES).loss.detach()) == pytest.approx(1.25 * 0.15 / 4)


def test_the_loss_draws_codes_to_features_and_features_a_quarter_as_much_to_codes(quantiser):
    features = FEATURES.clone().requires_grad_()
    quantiser(features).loss.backward()
    # 2 (code - feature) / 4, of the code that is used by one cell.
    assert quantiser.codebook.grad[1].tolist() == pytest.approx([0.05, -0.1])
    assert quantiser.codebook.grad[0].tolist() == [0.0, 0.0]
    assert features.grad[0, :, 0, 0].tolist() == pytest.approx([-0.0125, 0.025])


def test_codes_that_nothing_uses_are_put_where_features_are(quantiser):
    quantiser.codebook.data[0] = 50.0
    assert quantiser.revive(FEATURES, RANDOM) == 1
    cells = FEATURES[0, :, 0].T
    assert (quantiser.codebook[0] == cells).all(dim=-1).any()
    assert quantiser.codebook[1].tolist() == [1.0, 0.0]


def test_usage_counts_codes_and_perplexity_how_evenly_they_are_used():
    tokens = torch.tensor([[0, 0], [1, 1]])
    shares = code_shares(tokens, 4)
    assert shares.tolist() == [0.5, 0.5, 0.0, 0.0]
    assert usage(shares) == 0.5
    assert perplexity(shares) == pytest.approx(2.0)


def test_perplexity_of_uneven_use_is_less_than_the_number_of_codes():
    shares = torch.tensor([0.75, 0.25])
    wanted = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert perplexity(shares) == pytest.approx(wanted)


def test_one_code_for_all_is_a_perplexity_of_one():
    assert perplexity(code_shares(torch.zeros(5, dtype=torch.int64), 8)) == pytest.approx(1.0)


def test_shapes_are_as_told_and_tokens_decode_to_the_same_image():
    model = VqVae(8, 4, 16).eval()
    out = model(squares())
    assert out.image.shape == (8, 3, 16, 16)
    assert out.tokens.shape == (8, 4, 4)
    torch.testing.assert_close(model.decode(out.tokens), out.image)


def test_gradients_reach_every_parameter():
    model = VqVae(8, 4, 16)
    model(squares()).loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_it_scripts_and_computes_the_same_then():
    script(VqVae(8, 4, 16), (squares(2),), 'tokenizer')


def test_it_learns_a_few_pictures_by_heart():
    model, image = VqVae(16, 4, 16), squares()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(200):
        if step % 10 == 0 and step < 100:
            model.quantiser.revive(model.encoder(image), RANDOM)
        optimiser.zero_grad()
        model(image).loss.backward()
        optimiser.step()
    with torch.no_grad():
        out = model(image)
    wrong = float((out.image - image).square().mean() / image.var())
    assert wrong < 0.2
    assert perplexity(code_shares(out.tokens, 16)) > 3.0
