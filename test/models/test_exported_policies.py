"""Policies can be written for ONNX Runtime, and compute there what they do here."""

from dataclasses import replace

from every_policy import small_policy, SPEC, TEXT_WIDTH, WORDS
import pytest
from tiny_policy import FIELDS
import torch

from vla_ros.models.convert import convert
from vla_ros.pipeline.manifest import Camera, POLICY_FORMAT, PolicyManifest

for package in ('onnx', 'onnxscript', 'onnxruntime'):
    pytest.importorskip(package, reason='the extra fast is not installed')

#: What is hardest to export: a recurrence, experts chosen by the token, tokens guessed one by one.
#: A policy takes 20 s; the parts of the others are among those of these.
CASES = [('early', {'head': 'recurrent'}), ('mixture', {}), ('rt2_tokens', {})]


def manifest_of(policy):
    traits = policy.traits()
    size = SPEC.camera.width, SPEC.camera.height
    pin = replace(FIELDS['text_encoder'], width=TEXT_WIDTH, max_tokens=WORDS)
    changes = {
        'cameras': (Camera('front', *size, traits.normalisation),),
        'text_encoder': pin,
        'horizon': SPEC.horizon,
        'grid': traits.grid,
        'attention': traits.attention,
        'tasks': SPEC.tasks,
    }
    fields = {**FIELDS, **changes}
    return PolicyManifest(format_version=POLICY_FORMAT, sha256='0' * 64, size_bytes=1, **fields)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ('name', 'options'), CASES, ids=['-'.join([n, *o.values()]) for n, o in CASES]
)
def test_it_can_be_written_for_onnx(name, options, tmp_path):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    policy = small_policy(name, **options).eval()
    written = convert(policy, manifest_of(policy), 'onnx', tmp_path / 'policy.onnx')
    assert written.metrics['export_difference'] <= 1e-4
