import json

from fresh_policy import write_fresh_policy
import pytest
from tiny_policy import write_policy
import torch

from vla_ros.bench.policy import loaders, measure, table
from vla_ros.cli import main
from vla_ros.errors import ConfigurationError

OF_TORCH = ('eager', 'torchscript', 'frozen')


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return write_fresh_policy(tmp_path_factory.mktemp('policy') / 'fresh.pt')


@pytest.fixture(scope='module')
def loaded(path, tmp_path_factory):
    return loaders(path, OF_TORCH, tmp_path_factory.mktemp('made'))


def test_every_backend_computes_the_same(loaded):
    _, looks, modules = loaded
    timings = list(measure(modules, looks, [1], [2], rounds=1, calls=1))
    assert [t.backend for t in timings] == list(OF_TORCH)
    assert all(t.error < 1e-5 for t in timings)
    assert all(t.median_ms > 0.0 and t.cpu_ms > 0.0 for t in timings)


def test_backends_take_turns_within_a_round(loaded):
    _, looks, modules = loaded
    turns = []

    def noting(name):
        def call(*inputs):
            turns.append(name)
            return modules['frozen'](1)(*inputs)

        return lambda threads: call

    list(
        measure(
            {name: noting(name) for name in ('eager', 'other')},
            looks,
            [1],
            [1],
            rounds=2,
            calls=1,
            on_round=lambda: turns.append('round'),
        )
    )
    order = [name for name, before in zip(turns, ['', *turns], strict=False) if name != before]
    assert order[:6] == ['round', 'eager', 'other', 'round', 'eager', 'other']
    assert torch.get_num_threads() == 1


def test_a_policy_of_another_network_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ConfigurationError, match='give the configuration of its training'):
        loaders(write_policy(tmp_path / 'tiny.pt'), OF_TORCH, tmp_path)


def test_the_table_has_a_line_for_each(loaded):
    _, looks, modules = loaded
    timings = list(measure(modules, looks, [1], [1], rounds=1, calls=1))
    assert [line.split()[0] for line in table(timings).splitlines()[1:]] == list(modules)


def test_the_command_writes_what_it_measured(path, tmp_path, capsys):
    out = tmp_path / 'bench.json'
    flags = ['--threads', '1', '--batches', '1', '--calls', '1', '--rounds', '2']
    flags += ['--backends', ','.join(OF_TORCH)]
    flags += ['--policy', str(path), '--json', str(out)]
    assert main(['bench', 'policy', *flags]) == 0
    assert 'torchscript' in capsys.readouterr().out
    document = json.loads(out.read_text())
    assert len(document['timings']) == 3
    assert document['noise'] >= 1.0


@pytest.mark.parametrize('flags', [['--threads', '0'], ['--batches', '1,x'], ['--rounds', '-1']])
def test_a_number_that_cannot_be_is_refused(flags, capsys):
    with pytest.raises(SystemExit):
        main(['bench', 'policy', *flags])
    assert 'expected a number from 1' in capsys.readouterr().err


def test_a_backend_that_there_is_not_is_answered_with_those_that_there_are(capsys):
    assert main(['bench', 'policy', '--backends', 'eager,magic']) == 2
    assert "no backend 'magic'; there are: eager, torchscript," in capsys.readouterr().err
