from dataclasses import replace
import hashlib
import json
import os
from pathlib import Path
import random
import re
import sys
from threading import Event
from typing import NamedTuple
import zipfile

import numpy as np
import pytest
from tiny_policy import TinyPolicy, write_policy
import torch
from torch import nn, Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import EncodedCommand, Observation, REFUSAL_CHANNELS
from vla_ros.models.contract import PolicyOutput
from vla_ros.pipeline import policy
from vla_ros.pipeline.manifest import Channel, manifest_path
from vla_ros.pipeline.policy import load_policy


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def path(tmp_path):
    return write_policy(tmp_path / 'tiny.pt')


def observation(tokens=2, width=5, height_px=8, width_px=12, state=8):
    images = np.full((1, height_px, width_px, 3), 51, np.uint8)
    images.setflags(write=False)  # as those that arrive in messages
    return Observation(
        stamp_ns=7,
        images=images,
        state=np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0, 0.0][:state], np.float32),
        command=EncodedCommand('up', 9, np.full((tokens, width), 0.1, np.float32)),
    )


class TestInfer:
    def test_chunk_carries_the_stamps_frame_and_step(self, path):
        chunk = load_policy(path).infer(observation()).chunk
        assert (chunk.stamp_ns, chunk.command_stamp_ns) == (7, 9)
        assert (chunk.frame_id, chunk.dt_s) == ('base_link', 0.1)

    def test_chunk_has_the_actions_in_float64(self, path):
        chunk = load_policy(path).infer(observation()).chunk
        assert chunk.values.dtype == np.float64
        np.testing.assert_allclose(chunk.column('position.z'), [0.3, 1.3, 2.3], atol=1e-6)

    def test_the_last_channels_are_termination_and_refusals(self, path):
        chunk = load_policy(path).infer(observation()).chunk
        assert chunk.channels[8:] == ('termination', *REFUSAL_CHANNELS)
        np.testing.assert_array_equal(chunk.column('termination'), 0.25)

    def test_a_refusal_is_the_probability_of_its_task_and_0_without_one(self, path):
        policy = load_policy(path)
        policy.manifest = replace(policy.manifest, tasks=('unclear', 'push'))
        result = policy.infer(observation())
        refusals = [result.chunk.column(channel)[0] for channel in REFUSAL_CHANNELS]
        np.testing.assert_allclose(refusals, [0.0, result.task_probabilities[0], 0.0])

    def test_padding_reaches_neither_the_model_nor_the_attention(self, path):
        attention = load_policy(path).infer(observation(tokens=3)).attention
        assert attention.shape == (3, 2, 3)
        np.testing.assert_allclose(attention, 1 / 18, rtol=1e-6)

    def test_image_is_seen_as_channels_first(self, path):
        chunk = load_policy(path).infer(observation()).chunk
        np.testing.assert_allclose(chunk.column('gripper'), 0.2, rtol=1e-6)

    def test_task_probabilities_sum_to_one(self, path):
        np.testing.assert_allclose(
            load_policy(path).infer(observation()).task_probabilities, [0.5, 0.5]
        )

    @pytest.mark.parametrize(
        ('wrong', 'words'),
        [
            ({'width': 6}, ['width 6', 'width 5', 'words']),
            ({'tokens': 5}, ['5 command tokens', '1 to 4']),
            ({'tokens': 0}, ['0 command tokens', '1 to 4']),
            ({'height_px': 9}, ['(1, 9, 12, 3)', '(1, 8, 12, 3)', 'image_height']),
            ({'state': 7}, ['(7,)', 'position.x']),
        ],
    )
    def test_wrong_sizes_are_told(self, path, wrong, words):
        policy = load_policy(path)
        with pytest.raises(ConfigurationError) as caught:
            policy.infer(observation(**wrong))
        assert all(word in str(caught.value) for word in words)


def refusal(path) -> str:
    """Return the message with which ``path`` is refused, checked to be one line with a fix."""
    with pytest.raises(ConfigurationError) as caught:
        load_policy(path)
    message = str(caught.value)
    assert message.startswith(str(path.with_suffix('')))
    assert '\n' not in message
    assert 'export' in message
    return message


class TestFile:
    def test_missing_file(self, tmp_path):
        assert 'got no file' in refusal(tmp_path / 'no.pt')

    def test_directory(self, tmp_path):
        (tmp_path / 'folder.pt').mkdir()
        assert 'got a directory' in refusal(tmp_path / 'folder.pt')

    def test_fifo_does_not_block(self, tmp_path):
        os.mkfifo(tmp_path / 'fifo.pt')
        assert 'got a device or FIFO' in refusal(tmp_path / 'fifo.pt')

    def test_endless_device(self, tmp_path):
        (tmp_path / 'zero.pt').symlink_to('/dev/zero')
        assert 'got a device or FIFO' in refusal(tmp_path / 'zero.pt')

    def test_other_suffix(self, tmp_path):
        assert 'got .onnx2, expected .pt' in refusal(tmp_path / 'model.onnx2')

    def test_suffix_of_another_backend(self, path):
        edit(path, backend='onnxruntime')
        assert 'for onnxruntime, which runs .onnx files' in refusal(path)

    @pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
    def test_unreadable_file(self, path):
        path.chmod(0)
        assert 'Permission denied' in refusal(path)

    def test_empty_file(self, path):
        path.write_bytes(b'')
        assert 'got 0 bytes' in refusal(path)

    def test_truncated_file(self, path):
        path.write_bytes(path.read_bytes()[:-1])
        assert 'bytes, expected' in refusal(path)

    def test_longer_file(self, path):
        path.write_bytes(path.read_bytes() + b'x')
        assert 'got more bytes' in refusal(path)

    def test_any_flipped_bit(self, path):
        good, rng = path.read_bytes(), random.Random(0)
        for _ in range(50):
            data = bytearray(good)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
            assert 'sha256' in refusal(path)

    def test_same_model_zipped_again(self, path, tmp_path):
        again = tmp_path / 'again.pt'
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(again, 'w') as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
        again.with_suffix('.json').write_text(manifest_path(path).read_text())
        assert 'by the manifest' in refusal(again)

    def test_symlink_to_a_policy_is_one(self, path, tmp_path):
        (tmp_path / 'link.pt').symlink_to(path)
        (tmp_path / 'link.json').symlink_to(manifest_path(path))
        assert load_policy(tmp_path / 'link.pt').manifest.name == 'tiny'

    def test_pinned_file_that_is_no_torchscript(self, path):
        data = b'not a model'
        path.write_bytes(data)
        edit(path, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        assert 'torchscript cannot load it' in refusal(path)

    def test_unpinned_file_is_never_opened(self, path, monkeypatch):
        opened = []
        monkeypatch.setattr(torch.jit, 'load', lambda *a, **k: opened.append(a))
        path.write_bytes(b'x' * path.stat().st_size)
        refusal(path)
        assert not opened

    def test_file_swapped_after_the_hash_changes_nothing(self, path, monkeypatch):
        real = hashlib.sha256

        def swap(data):
            path.write_bytes(b'evil')
            return real(data)

        monkeypatch.setattr(hashlib, 'sha256', swap)
        assert load_policy(path).infer(observation()).chunk.values.shape == (3, 12)

    def test_good_file_loads_after_a_bad_one(self, path):
        good = path.read_bytes()
        path.write_bytes(good[::-1])
        refusal(path)
        path.write_bytes(good)
        load_policy(path)


def edit(path, **changes):
    document = json.loads(manifest_path(path).read_text())
    manifest_path(path).write_text(json.dumps({**document, **changes}))


class TestManifest:
    def test_none(self, path):
        manifest_path(path).unlink()
        assert 'no such file' in refusal(path)

    def test_other_hash(self, path):
        edit(path, sha256='0' * 64)
        assert '0' * 64 in refusal(path)

    def test_other_horizon(self, path):
        edit(path, horizon=4)
        assert 'actions is torch.float32 [1, 3, 8], expected torch.float32 [1, 4, 8]' in refusal(
            path
        )

    def test_state_the_robot_does_not_have(self, path):
        write_policy(path, state_channels=(Channel('wrist.force', 'N'),))
        assert 'wants the state wrist.force' in refusal(path)

    def test_joint_actions(self, path):
        write_policy(path, action_channels=(Channel('joint_1', 'rad'),))
        assert 'returns absolute joint_1' in refusal(path)

    def test_relative_actions(self, path):
        write_policy(path, absolute=False)
        assert 'returns relative position.x' in refusal(path)


class OtherOutput(NamedTuple):
    actions: Tensor


class Nan(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        actions = torch.full((1, 3, 8), float('nan'))
        attention = torch.zeros(1, 4, 2, 3)
        return PolicyOutput(actions, torch.zeros(1, 3), torch.zeros(1, 2), attention)


class Double(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        actions = torch.zeros((1, 3, 8), dtype=torch.float64)
        attention = torch.zeros(1, 4, 2, 3)
        return PolicyOutput(actions, torch.zeros(1, 3), torch.zeros(1, 2), attention)


class OnlyActions(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        return state


class OtherNames(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        return OtherOutput(state)


class Throws(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        assert state.shape[0] == 99, 'wants 99 robots'
        return state


class OneInput(nn.Module):
    def forward(self, image: Tensor):
        return image


class TestSelfTest:
    @pytest.mark.parametrize(
        ('module', 'reason'),
        [
            (Nan(), 'actions is not finite'),
            (Double(), 'actions is torch.float64'),
            (OnlyActions(), 'returns Tensor'),
            (OtherNames(), 'expected a NamedTuple'),
            (Throws(), 'wants 99 robots'),
            (OneInput(), 'forward()'),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else '',
    )
    def test_broken_contract_is_told(self, tmp_path, module, reason):
        assert reason in refusal(write_policy(tmp_path / 'broken.pt', module))


class ForOne(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        attention = torch.zeros(1, 4, 2, 3)
        return PolicyOutput(torch.zeros(1, 3, 8), torch.zeros(1, 3), torch.zeros(1, 2), attention)


def test_a_policy_for_one_robot_is_refused_for_several(tmp_path):
    path = write_policy(tmp_path / 'one.pt', ForOne())
    load_policy(path)
    with pytest.raises(ConfigurationError, match=r'actions is .* \[1, 3, 8\], expected .* \[3, 3'):
        load_policy(path, robots=3)


def test_a_policy_that_never_returns_is_given_up_and_a_good_one_loads(path, monkeypatch):
    the_end = Event()
    monkeypatch.setattr(policy, 'TRIAL_S', 0.05)
    with monkeypatch.context() as patched:
        patched.setattr(policy, '_warm_up', lambda *_: the_end.wait())
        with pytest.raises(ConfigurationError, match=r'tiny.pt: .* has not returned for 0.05 s'):
            load_policy(path)
    monkeypatch.undo()
    assert load_policy(path).infer(observation())
    the_end.set()


def test_no_warning_of_torchscript_reaches_the_user(path, recwarn):
    load_policy(path).infer(observation())
    assert not recwarn.list


def test_only_the_exporter_and_the_loader_call_torchscript():
    package = Path(sys.modules['vla_ros'].__file__).parent
    calls = re.compile(r'torch\.jit\.(script|trace|load|save)\(')
    callers = {f.name for f in package.rglob('*.py') if calls.search(f.read_text())}
    assert callers == {'export.py', 'torchscript.py'}


def test_threads_are_those_asked_for(path):
    load_policy(path, num_threads=2)
    assert torch.get_num_threads() == 2
