"""Fusions and policies of other packages are known by name wherever one is built."""

from every_policy import SPEC
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.models import registry
from vla_ros.models.fusion import registry as fusions
from vla_ros.models.own import load_own

FUSION = """
from vla_ros.models.fusion.early import EarlyFusion
from vla_ros.models.fusion.registry import register_fusion

@register_fusion({name!r})
class Mine(EarlyFusion):
    pass
"""
POLICY = """
from dataclasses import dataclass
from vla_ros.models.policies.fusion_policy import FusionConfig, FusionPolicy
from vla_ros.models.registry import register_policy

@register_policy({name!r}, FusionConfig, losses=('mine',))
class Mine(FusionPolicy):
    def __init__(self, spec, config):
        super().__init__('late', spec, config)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return what installs a package with one module, for the length of one test."""
    registry.policy_names()  # those of this package are known before the dictionaries are copied
    for of, name in ((registry, '_POLICIES'), (registry, '_LOSSES'), (fusions, '_FUSIONS')):
        monkeypatch.setattr(of, name, getattr(of, name).copy())

    def add(module, text):
        (tmp_path / f'{module}.py').write_text(text)
        meta = tmp_path / f'{module}-1.0.dist-info'
        meta.mkdir()
        (meta / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n')
        (meta / 'entry_points.txt').write_text(f'[vla_ros.policies]\nmine = {module}\n')
        monkeypatch.syspath_prepend(str(tmp_path))
        load_own.cache_clear()

    yield add
    load_own.cache_clear()


def test_a_fusion_of_another_package_is_a_policy_of_its_name(install):
    install('own_fusion', FUSION.format(name='mine'))
    assert 'mine' in fusions.fusion_names()
    assert 'mine' in registry.policy_names()
    policy = registry.build_policy('mine', SPEC, {'width': 8, 'heads': 2, 'image_width': 8})
    assert type(policy.fusion).__module__ == 'own_fusion'


def test_a_policy_of_another_package_is_known_with_its_losses(install):
    install('own_policy_module', POLICY.format(name='mine'))
    policy = registry.build_policy('mine', SPEC, {'width': 8, 'heads': 2, 'image_width': 8})
    assert type(policy).__module__ == 'own_policy_module'
    assert registry.own_losses() == registry.own_losses('mine') == ('mine',)
    assert registry.own_losses('late') == ()


@pytest.mark.parametrize(
    ('text', 'name', 'said'),
    [
        (FUSION, 'early', "fusion 'early': the name is that of EarlyFusion in "),
        (POLICY, 'keypoint', "policy 'keypoint': the name is that of KeypointPolicy in "),
        (POLICY, 'late', "policy 'late': the name is that of FusionPolicy in "),
        (FUSION, 'keypoint', "policy 'keypoint': the name is that of KeypointPolicy in "),
    ],
)
def test_a_name_that_is_taken_is_refused(install, text, name, said):
    install(f'taken_{name}_{len(text)}', text.format(name=name))
    with pytest.raises(ConfigurationError, match=said):
        registry.policy_names()


def test_the_policy_of_a_fusion_does_not_replace_one_that_was_there_before(install):
    del registry._POLICIES['late']
    registry.register_policy('late', dict)(install)
    with pytest.raises(ConfigurationError, match="policy 'late': the name is that of .*add"):
        registry.policy_names()
    assert registry._POLICIES['late'][0] is install


def test_what_cannot_be_loaded_is_told_with_its_entry(install):
    install('broken_module', 'raise RuntimeError("no licence")\n')
    with pytest.raises(
        ConfigurationError, match="^mine = 'broken_module' of the entry points vla"
    ):
        registry.policy_names()


def test_an_unknown_name_is_answered_with_how_to_make_it_known():
    with pytest.raises(ConfigurationError, match='the entry-point group vla_ros.policies'):
        registry.policy_options('mine')


def test_the_same_may_be_registered_twice():
    registry.policy_names()
    build, config = registry._POLICIES['keypoint']
    assert registry.register_policy('keypoint', config)(build) is build
