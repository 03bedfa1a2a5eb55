"""What the shipped policy looks at, and whether that matters to it."""

from dataclasses import replace
import shutil

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.looking import judge, Onlooker
from vla_ros.evaluation.rollouts import Roller
from vla_ros.evaluation.splits import specs
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import manifest_path, read_manifest, to_json


@pytest.mark.parametrize('load', [Onlooker, Roller.load])
def test_a_policy_for_another_text_encoder_is_refused(tmp_path, load):
    path = tmp_path / 'mine.pt'
    shutil.copy(shipped_policy_path(), path)
    manifest = read_manifest(shipped_policy_path())
    other = replace(manifest.text_encoder, sha256='a' * 64)
    manifest_path(path).write_text(to_json(replace(manifest, text_encoder=other)))
    with pytest.raises(ConfigurationError, match='got a policy for the text encoder .*aaaaaaaaa'):
        load(path)


@pytest.fixture(scope='module')
def verdicts():
    return judge(shipped_policy_path(), specs('known', 3, seed=100))


def test_hiding_what_is_looked_at_changes_the_action_far_more_than_hiding_other_cells(verdicts):
    for verdict in verdicts:
        assert verdict.attended_more >= 0.75 * verdict.frames, verdict.source
        assert verdict.attended_m > 5.0 * verdict.elsewhere_m, verdict.source


def test_the_peak_is_within_15_mm_of_what_the_command_names_on_nine_of_ten_frames(verdicts):
    attention = verdicts[0]
    assert attention.on_named >= 0.9 * attention.frames


def test_the_attention_is_not_diffuse_where_the_command_names_something_there(verdicts):
    attention = verdicts[0]
    assert attention.source == 'attention'
    assert attention.diffuse <= 0.25 * attention.frames


def test_a_verdict_is_told_with_both_numbers(verdicts):
    text = '\n'.join(verdicts[0].lines())
    assert f'{verdicts[0].attended_m * 1e3:.1f} mm' in text
    assert f'{verdicts[0].elsewhere_m * 1e3:.1f} mm' in text
