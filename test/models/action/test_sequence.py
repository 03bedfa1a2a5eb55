import pytest
import torch

from vla_ros.models.action.sequence import SequenceProcessor


@pytest.fixture
def processor():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return SequenceProcessor(8, heads=2, layers=2).eval()


def test_what_comes_later_changes_nothing_before_it(processor):
    x, mask = torch.randn(2, 5, 8), torch.ones(2, 5).bool()
    other = x.clone()
    other[:, 3] = x[:, 3].flip(1)
    changed = (processor(x, mask) - processor(other, mask)).abs().amax(dim=2) > 1e-4
    assert changed.tolist() == [[False, False, False, True, True]] * 2


def test_a_sequence_grows_without_a_change_to_what_was_read(processor):
    x, mask = torch.randn(1, 5, 8), torch.ones(1, 5).bool()
    short = processor(x[:, :3], mask[:, :3])
    torch.testing.assert_close(processor(x, mask)[:, :3], short, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('side', ['before', 'behind'])
def test_padding_on_either_side_changes_nothing_and_gives_zeros(processor, side):
    x, padding = torch.randn(1, 3, 8), torch.randn(1, 2, 8)
    there, absent = torch.ones(1, 3).bool(), torch.zeros(1, 2).bool()
    parts = [(x, there), (padding, absent)]
    if side == 'before':
        parts.reverse()
    out = processor(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))
    mask = torch.cat([mask for _, mask in parts], dim=1)
    torch.testing.assert_close(out[mask], processor(x, there)[0], rtol=1e-5, atol=1e-6)
    assert (out[~mask] == 0).all()
