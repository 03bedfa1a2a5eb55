import shutil

import pytest
from tiny_policy import TinyPolicy, write_policy
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.convert import convert
from vla_ros.models.part import Part
from vla_ros.models.registry import build_policy, policy_names
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest
from vla_ros.training.config import load_config
from vla_ros.training.kept import bring_source, keep_parts, SHIPPED, source_path, told
from vla_ros.training.run import policy_spec

CONFIG = load_config()
WIDTH = 384


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    bring_source(SHIPPED, folder)
    return source_path(folder)


def build(name, **options):
    return build_policy(name, policy_spec(CONFIG, WIDTH), options)


def shipped(part):
    weights = torch.jit.load(shipped_policy_path()).state_dict()
    return {k.removeprefix(f'{part}.'): v for k, v in weights.items() if k.startswith(f'{part}.')}


def test_what_sees_and_what_reads_words_are_those_of_the_other_policy(source):
    policy = build('late')
    keep_parts(policy, source)
    for name, value in policy.senses.vision.map.state_dict().items():
        assert torch.equal(value, shipped('vision')[name])
    for name, value in policy.senses.words.state_dict().items():
        assert torch.equal(value, shipped('reader')[name])


@pytest.mark.parametrize('name', policy_names())
def test_training_changes_no_kept_part_and_no_statistics_of_it(source, name):
    policy = build(name)
    keep_parts(policy, source)
    policy.train()
    kept = [m for m in policy.modules() if isinstance(m, Part) and m.kept]
    assert kept
    assert not any(p.requires_grad for m in kept for p in m.parameters())
    assert not any(m.training for part in kept for m in part.modules())
    assert any(p.requires_grad for p in policy.parameters())


def test_a_part_of_another_size_is_told(source):
    with pytest.raises(ConfigurationError, match='tabletop has no ConvMap of the size'):
        keep_parts(build('late', image_width=32), source)


def test_a_run_goes_on_with_the_policy_that_it_began_with(tmp_path, source):
    other = tmp_path / 'other.pt'
    shutil.copyfile(source, other)
    shutil.copyfile(source.with_suffix('.json'), other.with_suffix('.json'))
    folder = tmp_path / 'run'
    bring_source(str(other), folder)
    other.unlink()
    bring_source(str(other), folder)
    assert 'tabletop, sha256' in told(source_path(folder))


def test_a_policy_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match='nowhere.pt'):
        bring_source('nowhere.pt', tmp_path)


def test_a_policy_for_another_backend_is_told_and_not_brought(tmp_path):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason='the extra fast is not installed')
    manifest = read_manifest(write_policy(tmp_path / 'tiny.pt'))
    exported = tmp_path / 'exported' / 'tiny.onnx'
    convert(TinyPolicy(), manifest, 'onnx', exported)
    folder = tmp_path / 'run'
    with pytest.raises(ConfigurationError, match=r'tiny\.onnx was exported for onnxruntime'):
        bring_source(str(exported), folder)
    assert not folder.exists()


def test_nothing_is_brought_where_all_is_learned(tmp_path):
    bring_source(CONFIG.parts_of, tmp_path)
    assert not list(tmp_path.iterdir())
