import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.models.fusion.registry import build_fusion, fusion_names

NAMES = {
    *('early', 'late', 'intermediate', 'cross_attention', 'bidirectional'),
    *('perceiver', 'mixture'),
}


def test_all_fusions_are_known_by_name():
    assert set(fusion_names()) == NAMES


def test_an_unknown_fusion_is_answered_with_those_there_are():
    with pytest.raises(ConfigurationError, match="no fusion 'erly'; valid: .*early"):
        build_fusion('erly', 8, {})


def test_an_unknown_option_is_answered_with_those_there_are():
    with pytest.raises(ConfigurationError, match="late has no option 'latents'; valid: heads, "):
        build_fusion('late', 8, {'latents': 3})


def test_options_reach_the_fusion():
    assert build_fusion('perceiver', 8, {'latents': 3}).latents.shape == (3, 8)


@pytest.mark.parametrize('name', sorted(NAMES))
@pytest.mark.parametrize('layers', ['2', 2.0, True, [2]])
def test_an_option_of_another_type_is_told(name, layers):
    with pytest.raises(ConfigurationError, match=rf'^fusion {name}: layers: got .*, expected a n'):
        build_fusion(name, 8, {'layers': layers})


@pytest.mark.parametrize('name', sorted(NAMES))
def test_no_fusion_goes_without_layers(name):
    with pytest.raises(ValueError, match='0 layers'):
        build_fusion(name, 8, {'layers': 0})
