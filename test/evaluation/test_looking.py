"""What the shipped policy looks at, and whether that matters to it."""

import pytest

from vla_ros.evaluation.looking import judge
from vla_ros.evaluation.splits import specs
from vla_ros.paths import shipped_policy_path


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
