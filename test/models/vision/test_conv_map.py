import torch

from vla_ros.models.vision.conv_map import ConvMap


def test_the_map_has_a_quarter_of_the_images_size():
    assert ConvMap(8)(torch.rand(2, 3, 32, 48)).shape == (2, 8, 8, 12)


def test_what_is_far_away_does_not_reach_a_cell_of_a_large_image():
    torch.manual_seed(0)
    model = ConvMap(8).eval()
    image = torch.rand(1, 3, 160, 160)
    other = image.clone()
    other[..., 120:, 120:] = 0.0
    with torch.no_grad():
        before, after = model(image), model(other)
    assert torch.equal(before[..., 0, 0], after[..., 0, 0])
    assert not torch.equal(before[..., -1, -1], after[..., -1, -1])
