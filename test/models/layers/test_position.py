import math

import pytest
import torch

from vla_ros.models.layers.position import (
    LearnedPosition,
    sinusoid,
    sinusoid_2d,
    SinusoidPosition,
    SinusoidPosition2d,
)

CPU = torch.device('cpu')


def test_the_sinusoid_is_that_of_vaswani_et_al():
    got = sinusoid(50, 6, CPU)
    for position in range(50):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            assert got[position, 2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert got[position, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def test_far_positions_are_as_exact_as_near_ones():
    assert sinusoid(100_001, 2, CPU)[100_000, 0] == pytest.approx(math.sin(100_000), abs=1e-6)


def test_the_sinusoid_in_two_dimensions_is_that_of_mae():
    rows, columns, width = 3, 5, 8
    got = sinusoid_2d(rows, columns, width, CPU)

    def one(position):
        angles = [position / 10000 ** (i / 2) for i in range(2)]
        return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]

    for row in range(rows):
        for column in range(columns):
            wanted = torch.tensor(one(column) + one(row))
            torch.testing.assert_close(got[row, column], wanted, rtol=0.0, atol=1e-6)


def test_the_shift_between_two_positions_is_a_rotation_whatever_they_are():
    rows = sinusoid(40, 8, CPU)
    near, far = rows[3] @ rows[8], rows[30] @ rows[35]
    torch.testing.assert_close(near, far, rtol=0.0, atol=1e-5)


def test_positions_are_added():
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(SinusoidPosition(8)(x) - x, sinusoid(5, 8, CPU).expand(2, -1, -1))
    cells = torch.randn(2, 3, 4, 8)
    added = SinusoidPosition2d(8)(cells) - cells
    torch.testing.assert_close(added, sinusoid_2d(3, 4, 8, CPU).expand(2, -1, -1, -1))
    learned = LearnedPosition(7, 8)
    torch.testing.assert_close(learned(x) - x, learned.table[:5].expand(2, -1, -1))


def test_more_tokens_than_learned_positions_are_refused():
    with pytest.raises(ValueError, match='got 8 tokens, there are positions for 7'):
        LearnedPosition(7, 4)(torch.zeros(1, 8, 4))


@pytest.mark.parametrize(('layer', 'width'), [(SinusoidPosition, 5), (SinusoidPosition2d, 6)])
def test_a_width_that_does_not_divide_is_refused(layer, width):
    with pytest.raises(ValueError, match=f'{width}'):
        layer(width)
