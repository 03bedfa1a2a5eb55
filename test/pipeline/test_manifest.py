import json
import subprocess
import sys

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.manifest import (
    Camera,
    Channel,
    check_text_encoder,
    Normalisation,
    POLICY_FORMAT,
    PolicyManifest,
    read_manifest,
    TextEncoderPin,
    to_json,
)

MANIFEST = PolicyManifest(
    format_version=POLICY_FORMAT,
    name='tiny',
    sha256='b' * 64,
    size_bytes=10,
    cameras=(Camera('front', 96, 64, Normalisation((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))),),
    text_encoder=TextEncoderPin('words', 'a' * 64, width=5, max_tokens=4),
    state_channels=(Channel('position.x', 'm'),),
    action_channels=(Channel('position.x', 'm'), Channel('gripper', '1')),
    frame_id='base_link',
    absolute=True,
    dt_s=0.1,
    horizon=3,
    grid=(2, 3),
    attention='cross_attention',
    tasks=('point', 'pick'),
    training_data='none',
    metrics={'success': 0.5},
    licence='Apache-2.0',
)


@pytest.fixture
def document():
    return json.loads(to_json(MANIFEST))


@pytest.fixture
def model(tmp_path):
    return tmp_path / 'tiny.pt'


def refusal(model, document) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    model.with_suffix('.json').write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_manifest(model)
    message = str(caught.value)
    assert message.startswith(str(model.with_suffix('.json')))
    assert 'export again' in message
    return message


def test_what_is_written_is_what_is_read(model):
    model.with_suffix('.json').write_text(to_json(MANIFEST))
    assert read_manifest(model) == MANIFEST


def test_whole_numbers_are_floats_too(model, document):
    model.with_suffix('.json').write_text(json.dumps({**document, 'dt_s': 1}))
    assert read_manifest(model).dt_s == 1.0


def test_sizes_and_names_have_short_forms():
    assert (MANIFEST.image_width, MANIFEST.image_height, MANIFEST.text_width) == (96, 64, 5)
    assert MANIFEST.action_names == ('position.x', 'gripper')
    assert MANIFEST.state_names == ('position.x',)


def test_missing_file(model):
    with pytest.raises(ConfigurationError, match='there is no such file'):
        read_manifest(model)


def test_directory(model):
    model.with_suffix('.json').mkdir()
    with pytest.raises(ConfigurationError, match='not a regular file'):
        read_manifest(model)


@pytest.mark.parametrize('name', ['sha256', 'size_bytes', 'text_encoder', 'licence'])
def test_missing_field_is_named(model, document, name):
    del document[name]
    assert f'{name} is missing' in refusal(model, document)


def test_missing_normalisation_is_named(model, document):
    del document['cameras'][0]['normalisation']
    assert 'cameras[0].normalisation is missing' in refusal(model, document)


def test_unknown_field_is_named(model, document):
    assert 'unknown horizont' in refusal(model, {**document, 'horizont': 3})


@pytest.mark.parametrize(
    ('field', 'value', 'reason'),
    [
        ('format_version', 2, 'format_version: got 2, expected 1'),
        ('sha256', 'B' * 64, 'expected 64 lower-case hex digits'),
        ('size_bytes', 0, 'size_bytes: got 0, expected a positive number'),
        ('horizon', '3', 'horizon: got "3", expected a number (int)'),
        ('horizon', 3.0, 'horizon: got 3.0, expected a number (int)'),
        ('horizon', True, 'horizon: got true, expected a number (int)'),
        ('absolute', 1, 'absolute: got 1, expected a boolean'),
        ('dt_s', -0.1, 'dt_s: got -0.1, expected a positive number'),
        ('grid', [2], 'grid: got 1 items, expected 2'),
        ('grid', [0, 3], 'expected two positive numbers'),
        ('attention', 'heat', "attention: got 'heat', expected cross_attention or saliency"),
        ('tasks', [], 'tasks: got []'),
        ('tasks', ['a', 'a'], 'expected one or more different names'),
        ('cameras', [], 'cameras: got []'),
        ('metrics', {'success': 'high'}, 'metrics.success: got "high"'),
        ('action_channels', [{'name': 'termination', 'unit': '1'}], 'got termination'),
        ('cameras', {}, 'cameras: got {}, expected an array'),
    ],
)
def test_wrong_value_is_told_with_what_is_right(model, document, field, value, reason):
    assert reason in refusal(model, {**document, field: value})


def test_wrong_value_inside_is_told_with_its_place(model, document):
    document['cameras'][0]['normalisation']['std'] = [0.2, 0.0, 0.2]
    assert 'cameras[0].normalisation.std: got' in refusal(model, document)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'Expecting value'),
        ('[]', 'expected an object'),
        ('{"name": "a", "name": "b"}', 'a key stands twice'),
        ('{"dt_s": NaN}', 'NaN is not JSON'),
        ('[' * 100_000, 'recursion'),
        (' ' * 1_000_001, 'more than 1000000 bytes'),
    ],
    ids=['empty', 'array', 'twice', 'nan', 'deep', 'big'],
)
def test_text_that_is_no_manifest(model, text, reason):
    assert reason in refusal(model, text)


def test_bytes_that_are_no_text(model):
    model.with_suffix('.json').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ConfigurationError, match='decode'):
        read_manifest(model)


def test_manifest_command_and_paths_need_neither_torch_nor_ros():
    modules = 'vla_ros.pipeline.manifest, vla_ros.pipeline.command, vla_ros.paths'
    code = f'import sys, {modules}; print({{"torch", "rclpy"}} & set(sys.modules))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'set()'


def test_the_text_encoder_that_a_policy_was_trained_with_passes(model):
    model.with_suffix('.json').write_text(to_json(MANIFEST))
    check_text_encoder(model, 'words', 'a' * 64)


@pytest.mark.parametrize(('id', 'sha256'), [('words', 'b' * 64), ('other', 'a' * 64)])
def test_another_text_encoder_is_refused_by_both_names(model, id, sha256):
    model.with_suffix('.json').write_text(to_json(MANIFEST))
    with pytest.raises(ConfigurationError, match=f'words .a+..*{id} .{sha256[:12]}'):
        check_text_encoder(model, id, sha256)
