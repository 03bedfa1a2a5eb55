from dataclasses import replace
import hashlib
import os
import stat

import pytest
from tiny_policy import FIELDS, TinyPolicy
import torch
from torch import Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.models.contract import PolicyOutput
from vla_ros.models.export import export_policy, write_atomically, write_metrics
from vla_ros.pipeline.manifest import read_manifest
from vla_ros.pipeline.policy import load_policy


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'folder' / 'tiny.pt'


def test_exported_policy_loads(path):
    export_policy(TinyPolicy(), FIELDS, path)
    assert load_policy(path).manifest.name == 'tiny'


def test_manifest_pins_the_file(path):
    manifest = export_policy(TinyPolicy(), FIELDS, path)
    assert manifest.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest.size_bytes == path.stat().st_size
    assert read_manifest(path) == manifest


def test_metrics_are_recorded_and_nothing_else_changes(path):
    before = export_policy(TinyPolicy(), FIELDS, path)
    after = write_metrics(path, {'success': 0.9})
    assert after == replace(before, metrics={'success': 0.9}) == load_policy(path).manifest


def test_export_is_repeatable(path):
    first = export_policy(TinyPolicy(), FIELDS, path)
    assert export_policy(TinyPolicy(), FIELDS, path.with_name('other.pt')) == first


def test_nothing_but_the_two_files_is_left(path):
    export_policy(TinyPolicy(), FIELDS, path)
    assert sorted(f.name for f in path.parent.iterdir()) == ['tiny.json', 'tiny.pt']


class Tells(TinyPolicy):
    """Computes something else where it is scripted."""

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        more = 1.0 if torch.jit.is_scripting() else 0.0
        attention = torch.zeros(2, 4, 2, 3)
        return PolicyOutput(
            torch.full((2, 3, 8), more), torch.zeros(2, 3), torch.zeros(2, 2), attention
        )


class CannotBeScripted(TinyPolicy):
    def forward(self, *inputs):
        return super().forward(*inputs)


@pytest.mark.parametrize(
    ('module', 'fields', 'reason'),
    [
        (Tells(), FIELDS, r'differs from the module by 1\.0e\+00'),
        (CannotBeScripted(), FIELDS, 'cannot be exported'),
        (TinyPolicy(), {**FIELDS, 'horizon': 4}, r'actions is .* expected .* \[2, 4, 8\]'),
        (TinyPolicy(), {**FIELDS, 'attention': 'none'}, "attention: got 'none'"),
        (TinyPolicy(), {'name': 'tiny'}, 'missing .* required'),
    ],
)
def test_wrong_policy_is_refused_and_not_written(path, module, fields, reason):
    with pytest.raises(ConfigurationError, match=reason):
        export_policy(module, fields, path)
    assert not path.parent.exists()


def test_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, 'No space left on device')

    path = tmp_path / 'file'
    path.write_bytes(b'old')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        write_atomically(path, b'new')
    assert [f.name for f in tmp_path.iterdir()] == ['file']
    assert path.read_bytes() == b'old'


def test_written_file_can_be_read_by_others(tmp_path):
    write_atomically(tmp_path / 'file', b'data')
    assert stat.S_IMODE((tmp_path / 'file').stat().st_mode) == 0o644
