"""Work for processes that train together; a spawned process imports it by name."""

from dataclasses import replace
from pathlib import Path
import sys

import torch
from torch import nn

from vla_ros.training.config import load_config
from vla_ros.training.parallel import (
    average_gradients,
    first_alone,
    is_first,
    launched,
    ranks,
    run_ranks,
)
from vla_ros.training.parallel import (
    rank as own_rank,
)
from vla_ros.training.trainer import Trainer

CONFIG = replace(
    load_config().trainer, steps=6, warmup_steps=2, log_every=2, save_every=2, learning_rate=0.05
)


def make(folder: Path, rank: int = 0) -> Trainer:
    """Return a trainer of a linear model that learns to add."""
    torch.manual_seed(0)
    model = nn.Linear(2, 1)

    def objective(batch):
        x, y = batch
        return {'error': (model(x) - y).square().mean()}

    return Trainer(model, objective, {'error': 2.0}, CONFIG, folder, rank)


def batch_at(step: int, rank: int = 0, count: int = 1):
    """Return 16 rows of numbers and their sums, or the share of one of several processes."""
    x = torch.randn(16, 2, generator=torch.Generator().manual_seed(step))[rank::count]
    return x, x.sum(dim=1, keepdim=True)


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [p.detach().clone() for p in trainer.model.parameters()]


def train(rank: int, count: int, folder: Path, until_step: int):
    """Go on up to a step; leave the weights of this process in the folder."""
    trainer = make(folder, rank)
    trainer.resume()
    trainer.run(lambda step: batch_at(step, rank, count), until_step)
    torch.save(weights(trainer), folder / f'weights-{rank}.pt')


def average_part(rank: int, folder: Path):
    """Average the gradients of a model of which one layer gets none."""
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(1, 1), nn.Linear(2, 3)])
    for layer, value in ((model[0], 1.0), (model[2], 10.0)):
        for parameter in layer.parameters():
            parameter.grad = torch.full_like(parameter, value + 2.0 * rank)
    average_gradients(model)
    gradients = [p.grad for p in model.parameters()]
    torch.save((ranks(), gradients), folder / f'gradients-{rank}.pt')


def fail_in_the_second(rank: int):
    if rank == 1:
        raise RuntimeError('no more memory')


def main(folder: Path):
    """Train as one of the processes that torchrun started, after the first has made the folder."""
    with launched(torch.device('cpu')):
        with first_alone():
            folder.mkdir(exist_ok=own_rank() > 0)
        run_ranks(ranks(), train, ranks(), folder, 6)
    if is_first():
        sys.stdout.write('done\n')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
