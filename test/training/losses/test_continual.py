import copy

import pytest
import torch
from torch import nn

from vla_ros.training.losses import diagonal_fisher, ElasticWeights


@pytest.fixture
def line():
    """y = 2 a + 3 b."""
    module = nn.Linear(2, 1, bias=False)
    module.weight.data = torch.tensor([[2.0, 3.0]])
    return module


def test_the_fisher_information_of_a_coin_is_that_of_the_textbook():
    coin, one = nn.Linear(1, 1, bias=False), torch.ones(1)
    chance = float(torch.sigmoid(coin(one)).detach())
    heads, tails = (
        diagonal_fisher(coin, [nn.functional.logsigmoid(sign * coin(one)).sum()])['weight']
        for sign in (1.0, -1.0)
    )
    information = chance * heads + (1.0 - chance) * tails
    assert float(information) == pytest.approx(chance * (1.0 - chance))


def test_it_is_the_mean_of_squares_and_not_the_square_of_the_mean(line):
    inputs = torch.tensor([[1.0, 0.0], [-3.0, 0.0]])
    fisher = diagonal_fisher(line, (line(x).sum() for x in inputs))
    assert fisher['weight'].tolist() == [[5.0, 0.0]]


def test_parameters_that_are_not_trained_or_not_used_are_no_trouble(line):
    module = nn.ModuleDict({'used': line, 'unused': nn.Linear(1, 1), 'frozen': nn.Linear(1, 1)})
    module['frozen'].requires_grad_(False)
    fisher = diagonal_fisher(module, [module['used'](torch.ones(2)).sum()])
    assert set(fisher) == {'used.weight', 'unused.weight', 'unused.bias'}
    assert float(fisher['unused.weight']) == 0.0


def test_without_an_example_there_is_no_information(line):
    with pytest.raises(ValueError, match='one example'):
        diagonal_fisher(line, [])


def test_at_home_nothing_is_to_be_paid(line):
    elastic = ElasticWeights(line, {'weight': torch.ones(1, 2)}, strength=7.0)
    assert float(elastic.penalty(line).detach()) == 0.0


def test_away_from_home_each_weight_pays_by_its_information(line):
    elastic = ElasticWeights(line, {'weight': torch.tensor([[4.0, 0.0]])}, strength=3.0)
    line.weight.data += torch.tensor([[0.5, 100.0]])
    loss = elastic.penalty(line)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(3.0 / 2.0 * 4.0 * 0.25)
    assert line.weight.grad.tolist() == [[6.0, 0.0]]


def learn(module: nn.Module, x: torch.Tensor, y: torch.Tensor, elastic=None) -> None:
    optimiser = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        loss = error(module, x, y)
        if elastic is not None:
            loss = loss + elastic.penalty(module)
        loss.backward()
        optimiser.step()


def error(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (module(x).squeeze(-1) - y).square().mean()


def test_a_second_task_is_learned_and_the_first_forgotten_less_than_without():
    # The second task asks for the sum of weights 0 and 2, of which the first needs only 0.
    x, nought = torch.randn(64, 4), torch.zeros(64)
    first = torch.stack([x[:, 0], x[:, 1], nought, nought], dim=1)
    second = torch.stack([x[:, 0], nought, x[:, 0], x[:, 3]], dim=1)
    first_y, second_y = x[:, 0] + x[:, 1], x[:, 3] - x[:, 0]
    plain = nn.Linear(4, 1)
    learn(plain, first, first_y)
    fisher = diagonal_fisher(
        plain,
        (-0.5 * (plain(row).sum() - drawn).square() for row, drawn in drawn_answers(plain, first)),
    )
    elastic, held = ElasticWeights(plain, fisher, strength=10.0), copy.deepcopy(plain)
    learn(plain, second, second_y)
    learn(held, second, second_y, elastic)
    with torch.no_grad():
        assert float(error(plain, second, second_y)) < 0.05
        assert float(error(held, second, second_y)) < 0.05
        forgotten, kept = error(plain, first, first_y), error(held, first, first_y)
    assert float(forgotten) > 0.5
    assert float(kept) < 0.05


def drawn_answers(module: nn.Module, x: torch.Tensor):
    """Return examples with answers that the module itself gives, of a deviation of 1."""
    with torch.no_grad():
        return zip(x, module(x).squeeze(-1) + torch.randn(len(x)), strict=True)
