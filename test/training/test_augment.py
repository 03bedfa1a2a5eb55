import pytest
import torch

from vla_ros.training.augment import augment, augment_text, recolour


def random(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def image():
    return torch.randint(0, 256, (6, 1, 3, 8, 8), dtype=torch.uint8, generator=random())


def test_pictures_keep_their_shape_and_type(image):
    got = augment(image, random())
    assert (got.shape, got.dtype) == (image.shape, torch.uint8)


def test_the_given_picture_stays_as_it_is(image):
    before = image.clone()
    augment(image, random())
    assert torch.equal(image, before)


def test_the_same_numbers_make_the_same_picture(image):
    assert torch.equal(augment(image, random(1)), augment(image, random(1)))
    assert not torch.equal(augment(image, random(1)), augment(image, random(2)))


def test_each_picture_is_changed_in_its_own_way(image):
    got = augment(image[:1].repeat(6, 1, 1, 1, 1), random())
    assert len({bytes(picture.numpy()) for picture in got}) == 6


def test_orange_stays_between_red_and_yellow():
    orange = torch.tensor([230, 120, 25], dtype=torch.uint8).view(1, 1, 3, 1, 1)
    got = augment(orange.repeat(200, 1, 1, 8, 8), random()).float().mean(dim=(1, 3, 4))
    red, green, blue = got.unbind(dim=1)
    assert ((red > green + 20) & (green > blue + 20)).all()


def text():
    return torch.randn(64, 10, 4, generator=random(3)), torch.arange(10)[None] < torch.full(
        (64, 1), 7
    )


def test_words_are_noisy_by_so_much():
    features, mask = text()
    noisy, _ = augment_text(features, mask, random(), noise=0.3)
    assert float((noisy - features).std()) == pytest.approx(0.3, abs=0.02)


def test_some_tokens_are_dropped_and_none_comes_to_be():
    features, mask = text()
    kept = augment_text(features, mask, random(), dropped=0.25)[1]
    assert not (kept & ~mask).any()
    assert float(kept[:, 1:7].float().mean()) == pytest.approx(0.75, abs=0.06)


def test_the_first_token_stays():
    features, mask = text()
    assert augment_text(features, mask, random(), dropped=1.0)[1].sum(dim=1).tolist() == [1] * 64


def test_without_noise_and_dropping_nothing_changes():
    features, mask = text()
    noisy, kept = augment_text(features, mask, random(), noise=0.0, dropped=0.0)
    assert torch.equal(noisy, features)
    assert torch.equal(kept, mask)


def test_a_recoloured_picture_has_its_channels_in_another_order(image):
    got = recolour(image, random())
    assert got.dtype == torch.uint8
    for before, after in zip(image, got, strict=True):
        assert not torch.equal(before, after)
        assert torch.equal(before.sort(dim=1).values, after.sort(dim=1).values)


def test_grey_stays_grey():
    grey = torch.full((3, 1, 3, 4, 4), 90, dtype=torch.uint8)
    assert torch.equal(recolour(grey, random()), grey)
