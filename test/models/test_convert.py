from fresh_policy import write_fresh_policy
import pytest
from tiny_policy import TinyPolicy, write_policy
import torch
from torch import Tensor

from vla_ros.cli import export as command
from vla_ros.cli import main
from vla_ros.errors import ConfigurationError
from vla_ros.models.contract import example_inputs, PolicyOutput
from vla_ros.models.convert import convert, difference, FORMATS
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import manifest_path, read_manifest
from vla_ros.pipeline.policy import load_policy


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def manifest(tmp_path):
    return read_manifest(write_policy(tmp_path / 'tiny.pt'))


class Brighter(TinyPolicy):
    """Is off by a tenth in half of what it returns where it is scripted."""

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        b, n = text_mask.shape
        off = 0.1 if torch.jit.is_scripting() else 0.0
        return PolicyOutput(
            torch.zeros(b, 3, 8),
            torch.full((b, 3), 0.5 + off),
            torch.zeros(b, 2),
            torch.zeros(b, n, 2, 3),
        )


def test_torchscript_is_written_with_its_own_manifest(manifest, tmp_path):
    path = tmp_path / 'out' / 'again.pt'
    written = convert(TinyPolicy(), manifest, 'torchscript', path)
    assert load_policy(path).manifest == written
    assert written.metrics == {'export_difference': 0.0}


def test_what_differs_is_refused_and_not_written(manifest, tmp_path):
    path = tmp_path / 'out' / 'off.pt'
    with pytest.raises(ConfigurationError, match='differs'):
        convert(Brighter(), manifest, 'torchscript', path)
    assert not path.parent.exists()


def test_a_wrong_suffix_is_told_before_any_work(manifest, tmp_path):
    with pytest.raises(ConfigurationError, match=r'got \.pt, expected \.onnx'):
        convert(TinyPolicy(), manifest, 'onnx', tmp_path / 'other.pt')


def test_the_manifest_of_another_file_is_never_replaced(manifest, tmp_path):
    with pytest.raises(ConfigurationError, match=r'would replace that of .*tiny\.pt; choose'):
        convert(TinyPolicy(), manifest, 'onnx', tmp_path / 'tiny.onnx')


def test_what_an_exporter_raises_is_one_line(manifest, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError('no compiler\nand much more')

    monkeypatch.setattr(torch._inductor, 'aoti_compile_and_package', fail)
    with pytest.raises(ConfigurationError, match='cannot be written as pt2: no compiler$'):
        convert(TinyPolicy(), manifest, 'pt2', tmp_path / 'other.pt2')


def output(**changes):
    nothing = PolicyOutput(*(torch.zeros(1, 2) for _ in PolicyOutput._fields))
    return nothing._replace(**{name: torch.tensor([value]) for name, value in changes.items()})


def test_the_difference_of_actions_is_in_their_own_units():
    assert difference(output(actions=[0.0, 0.2]), output()) == pytest.approx(0.2)


def test_large_values_differ_by_their_share():
    found = difference(output(actions=[101.0, 0.0]), output(actions=[100.0, 0.0]))
    assert found == pytest.approx(0.01)


def test_logits_of_what_is_impossible_anyway_do_not_count():
    found = difference(output(task_logits=[0.0, -60.0]), output(task_logits=[0.0, -50.0]))
    assert found == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize('name', ['actions', 'termination'])
def test_what_is_not_a_number_is_no_small_difference(name):
    assert not difference(output(**{name: [0.0, float('nan')]}), output()) <= 1e9


def test_the_command_names_the_formats_that_there_are():
    assert list(command.FORMATS) == list(FORMATS)


def test_the_command_tells_the_difference(tmp_path, capsys):
    source, out = write_fresh_policy(tmp_path / 'fresh.pt'), tmp_path / 'same.pt'
    assert main(['export', str(source), '--to', 'torchscript', '--out', str(out)]) == 0
    assert 'difference of an output to the network: 0.0e+00' in capsys.readouterr().out
    assert manifest_path(out).is_file()


def test_a_policy_of_another_training_is_refused_in_one_line(tmp_path, capsys):
    source = write_policy(tmp_path / 'tiny.pt')
    arguments = ['export', str(source), '--to', 'torchscript', '--out', str(tmp_path / 'o.pt')]
    assert main(arguments) == 2
    assert 'give the configuration of its training with --config' in capsys.readouterr().err


def test_every_row_of_a_batch_of_the_shipped_policy_is_as_alone():
    policy = load_policy(shipped_policy_path())
    inputs = example_inputs(policy.manifest, 3)
    with torch.no_grad():
        together = policy.module(*inputs)
        alone = [policy.module(*(value[i : i + 1] for value in inputs)) for i in range(3)]
    for i in range(3):
        row = PolicyOutput(*(value[i : i + 1] for value in together))
        assert difference(row, alone[i]) < 1e-5
