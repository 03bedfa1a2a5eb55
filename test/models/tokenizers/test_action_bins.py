import pytest
import torch

from vla_ros.models.export import script
from vla_ros.models.tokenizers.action_bins import ActionBins

LOW, HIGH = (0.2, -1.0), (0.6, 1.0)


@pytest.fixture
def bins():
    return ActionBins.uniform(LOW, HIGH, bins=8)


def values(rows: int) -> torch.Tensor:
    low, high = torch.tensor(LOW), torch.tensor(HIGH)
    random = torch.Generator().manual_seed(0)
    return low + (high - low) * torch.rand(3, rows, 2, generator=random)


def test_eight_bins_have_nine_edges(bins):
    assert bins.edges.shape == (2, 9)
    torch.testing.assert_close(bins.edges[:, 0], torch.tensor(LOW))
    torch.testing.assert_close(bins.edges[:, -1], torch.tensor(HIGH))


def test_a_value_comes_back_at_most_half_a_bin_away(bins):
    x = values(2000)
    error = (bins.decode(bins(x)) - x).abs().amax(dim=(0, 1))
    half = (torch.tensor(HIGH) - torch.tensor(LOW)) / 16.0
    assert (error <= half * (1.0 + 1e-5)).all()
    assert (error > 0.99 * half).all()  # and the bound is tight


def test_every_bin_is_that_of_its_own_centre(bins):
    every = torch.arange(8)[:, None].expand(-1, 2)
    assert torch.equal(bins(bins.decode(every)), every)


def test_every_bin_is_used(bins):
    assert [len(bins(values(2000))[..., c].unique()) for c in range(2)] == [8, 8]


def test_an_edge_belongs_to_the_bin_above_it_and_the_last_one_to_the_last(bins):
    assert bins(bins.edges.T)[:, 1].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7]


def test_beyond_the_edges_is_the_outermost_bin(bins):
    assert bins(torch.tensor([[-9.0, -9.0], [9.0, 9.0]])).tolist() == [[0, 0], [7, 7]]


def test_bins_of_any_width_come_back_at_most_half_of_theirs_away():
    bins = ActionBins(torch.tensor([[0.0, 0.1, 1.0]]))
    assert bins.decode(bins(torch.tensor([[0.05], [0.1], [0.9]]))).flatten().tolist() == (
        pytest.approx([0.05, 0.55, 0.55])
    )


@pytest.mark.parametrize(
    'edges', [torch.tensor([[0.0]]), torch.tensor([[0.0, 0.0]]), torch.tensor([0.0, 1.0])]
)
def test_edges_that_hold_no_bins_are_refused(edges):
    with pytest.raises(ValueError, match='edges of bins'):
        ActionBins(edges)


def test_it_scripts_and_computes_the_same_then(bins):
    script(bins, (values(5),), 'bins')
