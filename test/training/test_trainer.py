from dataclasses import replace
import json

import pytest
from tiny_training import batch_at, CONFIG, make, weights
import torch
from torch import nn

from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.curves import draw_curves
from vla_ros.training.trainer import Trainer


def test_training_makes_the_loss_smaller(tmp_path):
    make(tmp_path).run(batch_at, 6)
    lines = [json.loads(line) for line in (tmp_path / 'log.jsonl').read_text().splitlines()]
    assert [line['step'] for line in lines] == [2, 4, 6]
    assert lines[-1]['error'] < lines[0]['error']


def test_the_last_step_ends_a_line_of_what_is_left(tmp_path):
    trainer, seen = make(tmp_path), []
    trainer._config = replace(CONFIG, log_every=4)
    objective = trainer._objective

    def heard(batch):
        losses = objective(batch)
        seen.append(losses['error'].item())
        return losses

    trainer._objective = heard
    trainer.run(batch_at, 6)
    lines = [json.loads(line) for line in (tmp_path / 'log.jsonl').read_text().splitlines()]
    assert [line['step'] for line in lines] == [4, 6]
    means = sum(seen[:4]) / 4, sum(seen[4:]) / 2
    assert [line['error'] for line in lines] == pytest.approx(means, abs=1e-5)


def test_fewer_steps_than_a_line_takes_are_told_all_the_same(tmp_path):
    trainer = make(tmp_path)
    trainer._config = replace(CONFIG, log_every=50)
    trainer.run(batch_at, 3)
    (line,) = (tmp_path / 'log.jsonl').read_text().splitlines()
    assert json.loads(line)['step'] == 3
    draw_curves(tmp_path / 'log.jsonl', tmp_path / 'curves.png')


def test_a_loss_without_a_weight_is_told(tmp_path):
    trainer = make(tmp_path)
    trainer._objective = lambda batch: {'surprise': trainer.model(batch[0]).sum()}
    with pytest.raises(ConfigurationError, match='loss_weights has none for surprise'):
        trainer.run(batch_at, 1)


@pytest.mark.parametrize('value', ['nan', 'inf'])
def test_a_loss_that_is_not_finite_ends_the_run_and_spoils_nothing(tmp_path, value):
    trainer = make(tmp_path)
    trainer.run(batch_at, 3)
    before, kept = weights(trainer), trainer.checkpoint_path.read_bytes()
    objective = trainer._objective
    trainer._objective = lambda batch: {'error': objective(batch)['error'] * float(value)}
    said = f'loss at step 3: error is {value}. Of checkpoints that of step 3 is kept in'
    with pytest.raises(ConfigurationError, match=said):
        trainer.run(batch_at, 6)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(trainer), strict=True))
    assert trainer.checkpoint_path.read_bytes() == kept
    resumed = make(tmp_path)
    assert resumed.resume()
    resumed._objective = trainer._objective
    with pytest.raises(ConfigurationError, match='that of step 3 is kept'):
        resumed.run(batch_at, 6)


def test_gradients_that_are_not_finite_end_the_run_as_well(tmp_path):
    trainer = make(tmp_path)
    before = weights(trainer)
    # Finite at 0, where its slope is not.
    trainer._objective = lambda batch: {'error': (0.0 * trainer.model(batch[0])).sum().sqrt()}
    with pytest.raises(ConfigurationError, match=r'norm of the gradients is .* none is kept in'):
        trainer.run(batch_at, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(trainer), strict=True))


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
    torch.testing.assert_close(
        list(resumed.average.parameters()), list(whole.average.parameters())
    )


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    assert not make(tmp_path).resume()


def test_a_kill_while_saving_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    trainer = make(tmp_path)
    trainer.run(batch_at, 2)

    def killed(document, path):
        path.write_bytes(b'half')
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(batch_at, 4)
    again = make(tmp_path)
    assert again.resume()
    assert again.step == 2


def test_a_run_that_is_where_it_should_be_does_nothing(tmp_path):
    trainer = make(tmp_path)
    trainer.run(batch_at, 4)
    before = weights(trainer)
    trainer.run(batch_at, 4)
    torch.testing.assert_close(weights(trainer), before, rtol=0, atol=0)


def test_another_rank_keeps_no_records(tmp_path):
    trainer = make(tmp_path, rank=1)
    trainer.run(batch_at, 6)
    assert trainer.step == 6
    assert list(tmp_path.iterdir()) == []


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


def test_the_average_is_never_trained(tmp_path):
    trainer = make(tmp_path)
    trainer.run(batch_at, 2)
    assert not any(p.requires_grad for p in trainer.average.parameters())
    assert not trainer.average.training
    assert trainer.model.training


def test_a_count_is_taken_over_rather_than_averaged(tmp_path):
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))

    def objective(batch):
        return {'error': (model(batch[0]) - batch[1]).square().mean()}

    trainer = Trainer(model, objective, {'error': 1.0}, CONFIG, tmp_path)
    trainer.run(batch_at, 3)
    assert int(trainer.average[0].num_batches_tracked) == 3


def test_the_learning_rate_rises_and_falls(tmp_path):
    trainer = make(tmp_path)
    rates = [trainer.learning_rate(step) for step in range(7)]
    assert rates[0] < rates[1]
    assert rates[5] < rates[2]
    assert max(rates) == pytest.approx(0.05, rel=0.1)
    assert rates[6] > 0.0


def test_without_a_warm_up_the_learning_rate_is_whole_at_once(tmp_path):
    trainer = make(tmp_path)
    trainer._config = replace(CONFIG, warmup_steps=0)
    assert trainer.learning_rate(0) == CONFIG.learning_rate


def test_a_loss_counts_by_its_weight(tmp_path):
    def after(weight):
        torch.manual_seed(0)
        model = nn.Linear(2, 1)

        def objective(batch):
            error = (model(batch[0]) - batch[1]).square().mean()
            return {'error': error, 'size': model.weight.square().sum()}

        trainer = Trainer(model, objective, {'error': 1.0, 'size': weight}, CONFIG, tmp_path, 1)
        trainer.run(batch_at, 6)
        return float(model.weight.detach().norm())

    assert after(10.0) < after(0.0)


def test_biases_do_not_decay(tmp_path):
    trainer = make(tmp_path)
    trainer.run(lambda step: (torch.zeros(1, 2), trainer.model.bias.detach()), 6)
    torch.testing.assert_close(trainer.model.bias, make(tmp_path / 'new').model.bias)
    start = make(tmp_path / 'new').model.weight
    assert trainer.model.weight.norm() < start.norm()
