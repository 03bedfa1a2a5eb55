import hashlib
import io
import json
import shutil
import sys
import zipfile

import numpy as np
import pytest
from tiny_policy import TinyPolicy, write_policy
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.models.convert import convert, FORMATS
from vla_ros.pipeline.backends import aotinductor
from vla_ros.pipeline.manifest import BACKENDS, manifest_path, read_manifest
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.saliency import gradient_saliency

ONNX = [name for name, form in FORMATS.items() if BACKENDS[form.backend] == '.onnx']


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """The tiny policy in every format that is an ONNX file, by name."""
    for package in ('onnx', 'onnxscript', 'onnxruntime', 'openvino'):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp('made')
    manifest = read_manifest(write_policy(folder / 'tiny.pt'))
    paths = {name: folder / f'{name}.onnx' for name in ONNX}
    for name, path in paths.items():
        convert(TinyPolicy(), manifest, name, path)
    return paths


@pytest.fixture
def path(made, tmp_path):
    """A copy of the ONNX file that may be spoilt."""
    copy = tmp_path / 'tiny.onnx'
    copy.write_bytes(made['onnx'].read_bytes())
    manifest_path(copy).write_text(manifest_path(made['onnx']).read_text())
    return copy


def observation():
    return Observation(
        stamp_ns=7,
        images=np.full((1, 8, 12, 3), 51, np.uint8),
        state=np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0, 0.0], np.float32),
        command=EncodedCommand('up', 9, np.full((2, 5), 0.1, np.float32)),
    )


def refusal(path):
    with pytest.raises(ConfigurationError) as caught:
        load_policy(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert '\n' not in message
    return message


def edit(path, **changes):
    document = json.loads(manifest_path(path).read_text())
    manifest_path(path).write_text(json.dumps({**document, **changes}))


def pin(path, data):
    """Write ``data`` as the file that the manifest means."""
    path.write_bytes(data)
    edit(path, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


@pytest.mark.parametrize('name', ONNX)
def test_a_converted_policy_infers_what_the_original_does(made, tmp_path, name):
    wanted = load_policy(write_policy(tmp_path / 'tiny.pt')).infer(observation())
    result = load_policy(made[name]).infer(observation())
    np.testing.assert_allclose(result.chunk.values, wanted.chunk.values, atol=1e-6)
    np.testing.assert_allclose(result.attention, wanted.attention, atol=1e-6)


@pytest.mark.parametrize('name', ONNX)
def test_the_manifest_names_the_backend_and_pins_the_file(made, name):
    manifest = read_manifest(made[name])
    assert manifest.backend == FORMATS[name].backend
    assert manifest.sha256 == hashlib.sha256(made[name].read_bytes()).hexdigest()
    assert list(manifest.metrics) == ['export_difference']


def test_any_other_bytes_are_refused_by_their_hash(path):
    path.write_bytes(path.read_bytes()[::-1])
    assert 'sha256' in refusal(path)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_a_pinned_file_that_is_no_model_is_one_line(path, backend):
    pin(path, b'not a model')
    edit(path, backend=backend)
    assert f'{backend} cannot load it' in refusal(path)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_weights_in_another_file_are_refused(path, backend):
    onnx = pytest.importorskip('onnx')
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value='elsewhere.bin')
    pin(path, model.SerializeToString())
    edit(path, backend=backend)
    assert 'some of its weights are in another file' in refusal(path)


def test_a_missing_runtime_is_named_with_the_fix(path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    assert 'the package onnxruntime is missing: install the extra "fast"' in refusal(path)


def test_saliency_without_gradients_is_refused(made):
    with pytest.raises(ConfigurationError, match='onnxruntime has no gradients'):
        gradient_saliency(load_policy(made['onnx']), observation())


def test_an_unknown_backend_is_answered_with_the_known_ones(tmp_path):
    path = write_policy(tmp_path / 'tiny.pt')
    edit(path, backend='magic')
    with pytest.raises(ConfigurationError, match="backend: got 'magic', expected torchscript,"):
        load_policy(path)


def test_a_manifest_from_before_there_were_backends_is_of_torchscript(tmp_path):
    path = write_policy(tmp_path / 'tiny.pt')
    document = json.loads(manifest_path(path).read_text())
    del document['backend']
    manifest_path(path).write_text(json.dumps(document))
    assert load_policy(path).manifest.backend == 'torchscript'


def package(machine, vectors):
    """What AOTInductor says of a package, in one."""
    buffer = io.BytesIO()
    made_for = {'AOTI_MACHINE': machine, 'AOTI_CPU_ISA': vectors}
    with zipfile.ZipFile(buffer, 'w') as file:
        file.writestr('p/data/aotinductor/model/a.wrapper_metadata.json', json.dumps(made_for))
    return buffer.getvalue()


def noted(monkeypatch):
    """Return the list of what torch would be told to load."""
    loaded = []
    loader = 'AOTIModelPackageLoader'
    monkeypatch.setattr(torch._C._aoti, loader, lambda *arguments: loaded.append(arguments))
    return loaded


@pytest.fixture
def processor(monkeypatch):
    """A machine with AVX2 and no more."""
    monkeypatch.setattr(aotinductor.platform, 'machine', lambda: 'x86_64')
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'AVX2')


@pytest.mark.parametrize(('machine', 'vectors'), [('x86_64', 'AVX512 AVX512_VNNI'), ('arm64', '')])
def test_machine_code_for_another_processor_is_never_loaded(
    processor, monkeypatch, machine, vectors
):
    loaded = noted(monkeypatch)
    with pytest.raises(ValueError, match=f'it was compiled for {machine}'):
        aotinductor.load(package(machine, vectors), 1)
    assert not loaded


@pytest.mark.parametrize('vectors', ['', 'AVX2'])
def test_machine_code_that_needs_no_more_than_there_is_is_loaded(processor, monkeypatch, vectors):
    loaded = noted(monkeypatch)
    aotinductor.load(package('x86_64', vectors), 1)
    assert len(loaded) == 1


def test_a_package_without_machine_code_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        file.writestr('p/models/model.json', '{}')
    with pytest.raises(ValueError, match='it holds no compiled model'):
        aotinductor.load(buffer.getvalue(), 1)


@pytest.mark.skipif(not shutil.which('g++'), reason='needs a C++ compiler')
@pytest.mark.timeout(600)  # compiling takes some 15 s on an idle core
def test_a_compiled_policy_infers_what_the_original_does_and_needs_no_compiler(
    tmp_path, monkeypatch
):
    source = write_policy(tmp_path / 'tiny.pt')
    wanted = load_policy(source).infer(observation())
    path = tmp_path / 'compiled.pt2'
    convert(TinyPolicy(), read_manifest(source), 'pt2', path)
    monkeypatch.setenv('PATH', '/nowhere')
    result = load_policy(path).infer(observation())
    np.testing.assert_allclose(result.chunk.values, wanted.chunk.values, atol=1e-6)


def test_every_format_runs_on_a_backend():
    assert {form.backend for form in FORMATS.values()} == set(BACKENDS)
