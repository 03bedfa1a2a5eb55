"""The network of a policy file is the one that it was made of, or it is refused."""

from dataclasses import replace

from fresh_policy import write_fresh_policy
import pytest
from tiny_policy import write_policy
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.contract import example_inputs
from vla_ros.models.export import largest_difference
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.policy import load_policy
from vla_ros.training.config import load_config, save_config
from vla_ros.training.rebuild import rebuild

EARLY = replace(load_config(), policy='early', options={'width': 16, 'heads': 2})


@pytest.fixture(scope='module')
def early(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    save_config(EARLY, folder / 'config.yaml')
    return write_fresh_policy(folder / 'early.pt', EARLY)


def test_it_computes_what_the_file_does():
    manifest, module = rebuild(shipped_policy_path())
    inputs = example_inputs(manifest)
    with torch.no_grad():
        found = load_policy(shipped_policy_path()).module(*inputs)
        assert largest_difference(found, module(*inputs)) < 1e-5


def test_the_configuration_beside_it_is_that_of_its_training(early):
    assert rebuild(early)[1].state_dict().keys()


ANOTHER = r'what it computes, .* away, is not of the network of .*other.yaml; give the config'


def test_weights_that_fit_other_heads_are_not_taken_for_theirs(early, tmp_path):
    options = {**EARLY.options, 'heads': 4}
    save_config(replace(EARLY, options=options), tmp_path / 'other.yaml')
    with pytest.raises(ConfigurationError, match=ANOTHER):
        rebuild(early, tmp_path / 'other.yaml')


@pytest.mark.parametrize('changes', [{'speed_m_s': 0.1}, {'dt_s': 0.05}, {'horizon': 5}])
def test_nor_those_of_another_move(tmp_path, changes):
    config = load_config()
    made = replace(config.demonstrations, **changes)
    save_config(replace(config, demonstrations=made), tmp_path / 'other.yaml')
    with pytest.raises(ConfigurationError, match=ANOTHER):
        rebuild(shipped_policy_path(), tmp_path / 'other.yaml')


def test_of_a_policy_written_by_hand_there_is_no_network(tmp_path):
    path = write_policy(tmp_path / 'tiny.pt')
    with pytest.raises(ConfigurationError, match='Only policies of "vla-ros train"'):
        rebuild(path)
