import os
import subprocess
import sys

import pytest
import tiny_training
from tiny_training import average_part, fail_in_the_second, make, train, weights
import torch
from torch import nn

from vla_ros.training.parallel import average_gradients, ranks, run_ranks, step_seeds


def test_one_process_works_right_here():
    called = []
    run_ranks(1, lambda *args: called.append((os.getpid(), *args)), 'a', 2)
    assert called == [(os.getpid(), 0, 'a', 2)]


def test_alone_the_gradients_stay_as_they_are():
    model = nn.Linear(2, 1)
    model.weight.grad = torch.tensor([[1.0, 2.0]])
    average_gradients(model)
    assert ranks() == 1
    assert model.weight.grad.tolist() == [[1.0, 2.0]]
    assert model.bias.grad is None


def test_every_process_gets_the_mean_and_none_where_nothing_is_to_learn(tmp_path):
    run_ranks(2, average_part, tmp_path)
    for rank in range(2):
        count, gradients = torch.load(tmp_path / f'gradients-{rank}.pt')
        assert count == 2
        assert [None if g is None else set(g.flatten().tolist()) for g in gradients] == [
            {2.0}, {2.0}, None, None, {11.0}, {11.0},
        ]  # fmt: skip


def test_two_processes_learn_what_one_does_and_go_on_where_they_were(tmp_path):
    whole, shared = tmp_path / 'whole', tmp_path / 'shared'
    whole.mkdir()
    shared.mkdir()
    run_ranks(1, train, 1, whole, 6)
    run_ranks(2, train, 2, shared, 4)
    run_ranks(2, train, 2, shared, 6)
    wanted = torch.load(whole / 'weights-0.pt')
    for rank in range(2):
        got = torch.load(shared / f'weights-{rank}.pt')
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    # Only one of them keeps records.
    assert len((shared / 'log.jsonl').read_text().splitlines()) == 3
    resumed = make(shared)
    assert resumed.resume()
    torch.testing.assert_close(weights(resumed), wanted, atol=1e-5, rtol=1e-5)


def test_processes_that_torchrun_starts_learn_what_one_does(tmp_path):
    whole, shared = tmp_path / 'whole', tmp_path / 'shared'
    whole.mkdir()
    run_ranks(1, train, 1, whole, 6)
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    script = [tiny_training.__file__, str(shared)]
    command = [*torchrun, '--nproc-per-node', '2', *script]
    done = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    assert done.stdout.splitlines().count('done') == 1
    wanted = torch.load(whole / 'weights-0.pt')
    for rank in range(2):
        got = torch.load(shared / f'weights-{rank}.pt')
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    assert len((shared / 'log.jsonl').read_text().splitlines()) == 3


def test_a_process_that_fails_is_told():
    with pytest.raises(Exception, match='no more memory'):
        run_ranks(2, fail_in_the_second)


def test_no_two_steps_seeds_or_processes_draw_the_same():
    drawn = {
        torch_seed
        for seed in range(20)
        for step in range(20)
        for rank in range(20)
        for torch_seed in step_seeds(seed, step, rank)
    }
    assert len(drawn) == 2 * 20**3
    assert step_seeds(1, 2, 3) == step_seeds(1, 2, 3)
    for seed in drawn:
        torch.Generator().manual_seed(seed)
