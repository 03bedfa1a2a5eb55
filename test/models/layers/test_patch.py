import torch

from vla_ros.models.layers.patch import PatchEmbedding


def test_each_cell_is_a_linear_map_of_its_own_pixels():
    torch.manual_seed(0)
    layer, image = PatchEmbedding(4, 8), torch.randn(1, 3, 8, 12)
    cells = layer(image)
    assert cells.shape == (1, 2, 3, 8)
    pixels = image[0, :, 4:8, 8:12].flatten()
    wanted = layer.project.weight.flatten(1) @ pixels + layer.project.bias
    torch.testing.assert_close(cells[0, 1, 2], wanted, rtol=1e-5, atol=1e-5)


def test_what_lacks_of_the_last_patches_is_filled_with_zeros():
    torch.manual_seed(0)
    layer, image = PatchEmbedding(4, 8), torch.randn(1, 3, 6, 9)
    full = torch.zeros(1, 3, 8, 12)
    full[:, :, :6, :9] = image
    assert torch.equal(layer(image), layer(full))
