from every_policy import small_inputs, small_policy, SPEC
import pytest
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.policies.senses import Senses, SensesConfig
from vla_ros.models.registry import build_policy

SMALL = {'image_width': 8, 'image_layers': 1, 'width': 16, 'heads': 2}


@pytest.fixture(autouse=True)
def fixed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize('vision', ['conv', 'vit'])
@pytest.mark.parametrize('cell_px', [4, 16])
def test_cells_are_as_large_as_asked(vision, cell_px):
    senses = Senses(SPEC, SensesConfig(vision, cell_px, **SMALL)).eval()
    seen, said, felt = senses(*small_inputs())
    rows = 32 // cell_px
    assert [tuple(part.tokens.shape) for part in (seen, said, felt)] == [
        (3, rows * rows, 16), (3, 5, 16), (3, 1, 16),
    ]  # fmt: skip
    assert (senses.rows, senses.columns) == (rows, rows)


@pytest.mark.parametrize('cell_px', [6, 12])
def test_cells_that_the_picture_does_not_divide_into_are_refused(cell_px):
    with pytest.raises(
        ConfigurationError, match='multiple of 4 that divides a picture of 32 x 32'
    ):
        build_policy('early', SPEC, {'cell_px': cell_px})


def test_several_commands_about_one_picture_equal_one_command_each():
    policy, (image, text, mask, state) = small_policy('early').eval(), small_inputs()
    together = policy(image[:1], text, mask, state)
    each = policy(image[:1].expand(3, -1, -1, -1, -1), text, mask, state)
    for one, other in zip(together, each, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
