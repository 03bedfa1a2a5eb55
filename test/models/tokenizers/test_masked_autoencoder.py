import pytest
import torch
from torch import nn

from vla_ros.models.export import script
from vla_ros.models.layers.block import PreNormBlock
from vla_ros.models.tokenizers.masked_autoencoder import (
    from_patches,
    MaskedAutoencoder,
    normalised,
    to_patches,
)

RANDOM = torch.Generator().manual_seed(0)
CELLS, WIDTH = 16, 16


class Embed(nn.Module):
    """Cells with positions, as a vision transformer makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.place = nn.Parameter(torch.randn(4, 4, WIDTH))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.patches(image).permute(0, 2, 3, 1) + self.place


@pytest.fixture(autouse=True)
def fixed():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    RANDOM.manual_seed(0)


@pytest.fixture
def model():
    return MaskedAutoencoder(Embed(), PreNormBlock(WIDTH, 2), CELLS, 4, WIDTH, 16, heads=2)


def image(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=RANDOM)


def noise(n: int = 2) -> torch.Tensor:
    return torch.rand(n, CELLS, generator=RANDOM)


def test_patches_are_cut_row_by_row_and_put_together_again():
    picture = image()
    patches = to_patches(picture, 4)
    assert patches.shape == (2, CELLS, 48)
    torch.testing.assert_close(patches[0, 5], picture[0, :, 4:8, 4:8].flatten())
    torch.testing.assert_close(from_patches(patches, 16, 16, 4), picture)


def test_a_patch_is_guessed_in_units_of_its_own_contrast():
    patches = normalised(3.0 + 5.0 * torch.randn(1, 4, 48))
    torch.testing.assert_close(patches.mean(dim=-1), torch.zeros(1, 4), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(patches.square().mean(dim=-1), torch.ones(1, 4))


def test_three_in_four_patches_are_hidden(model):
    assert model(image(), noise()).hidden.sum(dim=1).tolist() == [12, 12]


def test_the_encoder_sees_none_that_is_hidden(model):
    picture, order = image(1), noise(1)
    before = model(picture, order)
    patches = to_patches(picture, 4).masked_fill(before.hidden[..., None], 7.0)
    after = model(from_patches(patches, 16, 16, 4), order)
    torch.testing.assert_close(after.patches, before.patches)


def test_what_is_seen_does_matter(model):
    picture, order = image(1), noise(1)
    before = model(picture, order)
    patches = to_patches(picture, 4).masked_fill(~before.hidden[..., None], 7.0)
    after = model(from_patches(patches, 16, 16, 4), order)
    assert not torch.allclose(after.patches, before.patches)


def test_the_encoder_is_asked_about_a_quarter_of_the_patches_only(model):
    sizes = []
    model.encode.register_forward_hook(lambda _, inputs, out: sizes.append(inputs[0].shape))
    model(image(), noise())
    assert sizes == [(2, 4, WIDTH)]


def test_only_hidden_patches_count(model):
    guess = model(image(), noise())
    RANDOM.manual_seed(0)
    wanted = (guess.patches - normalised(to_patches(image(), 4))).square()
    torch.testing.assert_close(guess.loss, wanted[guess.hidden].mean())


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_hiding_nothing_or_all_is_refused(share):
    with pytest.raises(ValueError, match='none hidden or none seen'):
        MaskedAutoencoder(Embed(), nn.Identity(), CELLS, 4, WIDTH, hidden_share=share)


def test_gradients_reach_every_parameter(model):
    model(image(), noise()).loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_it_scripts_and_computes_the_same_then(model):
    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
            return self.model(image, noise).patches

    script(Patches(), (image(), noise()), 'autoencoder')


def test_it_learns_to_guess_what_follows_from_what_is_seen(model):
    # Every patch of a picture is the same: one that is seen tells all of the others.
    def batch() -> torch.Tensor:
        return torch.randn(2, 3, 4, 4, generator=fixed_patches).repeat(4, 1, 4, 4)

    fixed_patches = torch.Generator()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(120):
        fixed_patches.manual_seed(7)
        optimiser.zero_grad()
        loss = model(batch(), noise(8)).loss
        loss.backward()
        optimiser.step()
    # Knowing nothing of the picture costs 1, for patches have a deviation of 1.
    assert float(loss.detach()) < 0.1
