from dataclasses import replace
import json

import pytest
import torch
from torch import nn

from vla_ros.training.config import load_config
from vla_ros.training.trainer import Trainer

CONFIG = replace(
    load_config().trainer, steps=6, warmup_steps=2, log_every=2, save_every=2, learning_rate=0.05
)


def make(folder):
    torch.manual_seed(0)
    model = nn.Linear(2, 1)

    def objective(batch):
        x, y = batch
        return {'error': (model(x) - y).square().mean()}

    return Trainer(model, objective, {'error': 2.0}, CONFIG, folder)


def batch_at(step):
    x = torch.randn(16, 2, generator=torch.Generator().manual_seed(step))
    return x, x.sum(dim=1, keepdim=True)


def weights(trainer):
    return [p.detach().clone() for p in trainer.model.parameters()]


def test_training_makes_the_loss_smaller(tmp_path):
    make(tmp_path).run(batch_at, 6)
    lines = [json.loads(line) for line in (tmp_path / 'log.jsonl').read_text().splitlines()]
    assert [line['step'] for line in lines] == [2, 4, 6]
    assert lines[-1]['error'] < lines[0]['error']


def test_a_resumed_run_equals_one_that_was_not_interrupted(tmp_path):
    whole = make(tmp_path / 'whole')
    for folder in ('whole', 'parts'):
        (tmp_path / folder).mkdir()
    whole.run(batch_at, 6)
    make(tmp_path / 'parts').run(batch_at, 4)
    resumed = make(tmp_path / 'parts')
    assert resumed.resume()
    assert resumed.step == 4
    resumed.run(batch_at, 6)
    torch.testing.assert_close(weights(resumed), weights(whole))


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    assert not make(tmp_path).resume()


def test_the_average_follows_the_weights(tmp_path):
    trainer = make(tmp_path)
    start = weights(trainer)
    trainer.run(batch_at, 6)
    for first, mean, last in zip(
        start, trainer.average.parameters(), weights(trainer), strict=True
    ):
        low, high = torch.minimum(first, last), torch.maximum(first, last)
        assert ((mean >= low - 1e-6) & (mean <= high + 1e-6)).all()
        assert not torch.equal(mean, first)


def test_the_learning_rate_rises_and_falls(tmp_path):
    trainer = make(tmp_path)
    rates = [trainer.learning_rate(step) for step in range(6)]
    assert rates[0] < rates[1]
    assert rates[5] < rates[2]
    assert max(rates) == pytest.approx(0.05, rel=0.1)
