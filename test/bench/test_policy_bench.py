import json

import pytest
from tiny_policy import write_policy
import torch

from vla_ros.bench.policy import backends, measure, table
from vla_ros.cli import main
from vla_ros.errors import ConfigurationError
from vla_ros.paths import shipped_policy_path


@pytest.fixture(scope='module')
def shipped():
    return backends(shipped_policy_path())


def test_every_backend_of_the_shipped_policy_computes_the_same(shipped):
    manifest, modules = shipped
    timings = list(measure(modules, manifest, [1], [2], rounds=1, calls=1))
    assert [t.backend for t in timings] == ['eager', 'torchscript', 'frozen']
    assert all(t.error < 1e-5 for t in timings)
    assert all(t.median_ms > 0.0 and t.cpu_ms > 0.0 for t in timings)


def test_backends_take_turns_within_a_round(shipped):
    manifest, modules = shipped
    turns = []

    def noting(name):
        def call(*inputs):
            turns.append(name)
            return modules['frozen'](*inputs)

        return call

    list(
        measure(
            {name: noting(name) for name in ('eager', 'other')},
            manifest,
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
        backends(write_policy(tmp_path / 'tiny.pt'))


def test_the_table_has_a_line_for_each(shipped):
    manifest, modules = shipped
    timings = list(measure(modules, manifest, [1], [1], rounds=1, calls=1))
    assert [line.split()[0] for line in table(timings).splitlines()[1:]] == list(modules)


def test_the_command_writes_what_it_measured(tmp_path, capsys):
    path = tmp_path / 'bench.json'
    flags = ['--threads', '1', '--batches', '1', '--calls', '1', '--rounds', '2']
    assert main(['bench', 'policy', *flags, '--json', str(path)]) == 0
    assert 'torchscript' in capsys.readouterr().out
    document = json.loads(path.read_text())
    assert len(document['timings']) == 3
    assert document['noise'] >= 1.0


@pytest.mark.parametrize('flags', [['--threads', '0'], ['--batches', '1,x'], ['--rounds', '-1']])
def test_a_number_that_cannot_be_is_refused(flags, capsys):
    with pytest.raises(SystemExit):
        main(['bench', 'policy', *flags])
    assert 'expected a number from 1' in capsys.readouterr().err
