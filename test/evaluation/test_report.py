from dataclasses import replace
import json

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.episodes import Episode
from vla_ros.evaluation.metrics import ModalityUse
from vla_ros.evaluation.report import read_report, Report, report_path, SplitReport, table
from vla_ros.evaluation.splits import Spec
from vla_ros.evaluation.statistics import Difference, Rate
from vla_ros.evaluation.watching import Motion

PICK = Episode(
    spec=Spec('known', 'pick', 0),
    text='pick up the red block',
    task='pick|red block|',
    success=True,
    stopped=True,
    false_stop=False,
    seconds=2.0,
    path_m=0.3,
    reason='task_done',
    frames=10,
    on_object=10,
    motion=Motion(0.2, 0.4, 0.0),
)
FAILED = replace(PICK, success=False, stopped=False, on_object=4, motion=Motion(0.1, 0.5, 0.0))
PUT = replace(PICK, spec=Spec('known', 'put', 0), task='put|red block|green', seconds=4.0)


def report(*episodes):
    return SplitReport.of(episodes, 'vla-ros eval', '0123456789ab')


def swap(seed, turn, success):
    return replace(PICK, spec=Spec('swap', 'pick', seed, turn), success=success)


def test_rates_are_by_row_and_in_all():
    found = report(PICK, FAILED, PUT)
    assert (found.n, found.success) == (3, pytest.approx(2 / 3))
    assert {name: rate.success for name, rate in found.tasks.items()} == {'pick': 0.5, 'put': 1.0}


def test_a_swap_succeeds_only_if_both_objects_are_reached():
    found = report(swap(0, 0, True), swap(0, 1, True), swap(1, 0, True), swap(1, 1, False))
    assert (found.n, found.success) == (2, 0.5)


def test_attention_is_a_share_of_frames_and_as_certain_as_there_are_episodes():
    rate = report(PICK, FAILED, PUT).measures['attention']
    assert (rate.n, rate.success) == (3, pytest.approx(24 / 30))


def test_stops_are_of_successes_and_false_stops_of_all():
    late = replace(PICK, stopped=False)
    false = replace(FAILED, false_stop=True)
    measures = report(PICK, late, FAILED, false).measures
    assert (measures['stops'].n, measures['stops'].success) == (2, 0.5)
    assert (measures['false stops'].n, measures['false stops'].success) == (4, 0.25)


def test_what_was_not_measured_is_left_out():
    refused = replace(PICK, task='', success=True, frames=0, motion=None)
    found = report(refused)
    assert found.measures == {}
    assert set(found.numbers) == {'seconds', 'path_m'}


def test_numbers_are_medians_of_successes_and_the_largest_of_motion():
    assert report(PICK, FAILED, PUT).numbers == {
        'seconds': 3.0,
        'path_m': 0.3,
        'speed_m_s': 0.2,
        'angular_speed_rad_s': 0.5,
        'outside_m': 0.0,
    }


def test_the_groups_that_fare_best_and_worst_are_told_with_their_gap():
    ball = replace(FAILED, task='pick|blue ball|')
    gaps = report(PICK, PICK, ball, PUT).gaps
    assert {name: (gap.best, gap.worst) for name, gap in gaps.items()} == {
        'task': ('put', 'pick'),
        'colour': ('red', 'blue'),
        'shape': ('block', 'ball'),
    }
    assert gaps['colour'].difference.value == 1.0
    assert gaps['colour'].difference.low < 1.0


def test_the_two_episodes_of_a_swap_are_one_trial_of_what_they_both_name():
    def turn(seed, number, task, success):
        return replace(swap(seed, number, success), task=task)

    found = report(
        turn(0, 0, 'pick|red block|', True),
        turn(0, 1, 'pick|blue block|', False),
        turn(1, 0, 'push|red ball|', True),
        turn(1, 1, 'push|red cylinder|', True),
    ).gaps
    assert (found['task'].best, found['task'].worst) == ('push', 'pick')
    assert found['task'].difference == Difference.of(Rate.of(1, 1), Rate.of(0, 1))
    # Red was named in three episodes, of two scenes.
    assert found['colour'].difference == Difference.of(Rate.of(2, 2), Rate.of(0, 1))


def test_phrasings_are_compared_split_by_split():
    whole = Report('a', 'b').with_split('known', report(PICK, PICK))
    assert whole.phrasing_gap() is None
    gap = whole.with_split('words', report(PICK, FAILED)).phrasing_gap()
    assert (gap.best, gap.worst, gap.difference.value) == ('known', 'words', 0.5)


def test_termination_is_calibrated_chunk_by_chunk():
    told = replace(PICK, done=((0.0, False), (0.8, True), (0.8, True)))
    found = report(told, replace(PICK, done=((0.8, False), (0.8, True)))).calibrations
    assert found['termination'].expected_error == pytest.approx(4 / 5 * 0.05)
    assert report(PICK).calibrations == {}


def test_a_chance_is_told_with_its_event_and_where_it_is_worst():
    easy, wrong = ((0.0, False),) * 5000, ((0.2, True),) * 30 + ((0.2, False),) * 10
    found = table('known', report(replace(PICK, done=easy + wrong)))
    line = found.splitlines()[-1]
    assert line.startswith('termination, told as the chance that the goal holds as the chunk is')
    assert line.endswith('; at worst 20 % where it happened in 75 % of 40')


def test_words_of_test_are_few_so_their_rate_is_told_over_words_as_well():
    def said(text, success):
        spec = Spec('words', 'pick', 0)
        return replace(PICK, spec=spec, text=f'pick up the {text}', success=success)

    split = report(
        *[said('crimson brick', True)] * 5,
        *[said('maroon coffer', False)] * 4,
        *[said('coffer in maroon', True)],
    )
    assert split.by_words == {
        'colour': Rate.of_groups([[True] * 5, [False] * 4 + [True]]),
        'shape': Rate.of_groups([[True] * 5, [False] * 4 + [True]]),
    }
    assert split.by_words['colour'].low < split.low
    assert 'over words for a colour:  60.0 %' in table('words', split)
    assert report(PICK).by_words == {}


def test_what_was_found_is_read_back_from_the_file(tmp_path):
    told = replace(PICK, done=((0.5, True),))
    use = ModalityUse(Rate.of(1, 4), Difference(0.5, 0.1, 0.8), 0.25)
    whole = Report('a', 'b' * 64, balance={'text': use})
    whole = whole.with_split('known', report(told, replace(FAILED, task='pick|blue ball|')))
    path = tmp_path / 'a.pt'
    report_path(path).write_text(whole.to_json())
    assert read_report(path) == whole
    assert 'by colour: red is ahead of blue by +100.0 points' in table(
        'known', whole.splits['known']
    )


def test_the_json_holds_each_split_with_its_tasks():
    document = json.loads(Report('a', 'b').with_split('known', report(PICK, PUT)).to_json())
    known = document['splits']['known']
    assert {'n', 'success', 'low', 'high', 'tasks'} <= set(known)
    assert known['tasks']['put'] == {
        'n': 1,
        'success': 1.0,
        'low': pytest.approx(0.2065, abs=1e-4),
        'high': 1.0,
    }


def test_a_report_comes_back_from_beside_its_policy(tmp_path):
    whole = Report('a', 'b').with_split('known', report(PICK, FAILED))
    report_path(tmp_path / 'a.pt').write_text(whole.to_json())
    assert read_report(tmp_path / 'a.pt') == whole
    assert whole.metrics() == {'known': 0.5}


def test_a_policy_without_report_is_told_how_to_get_one(tmp_path):
    with pytest.raises(ConfigurationError, match='--split all --card'):
        read_report(tmp_path / 'a.pt')


def test_the_table_names_every_rate():
    text = table('known', report(PICK, FAILED, PUT))
    for name in ('pick', 'put', 'all', 'attention', 'stops', 'false stops', 'seconds 3.00'):
        assert name in text


def test_a_line_tells_how_to_see_an_episode_again():
    line = str(FAILED)
    for part in ('known (pick) seed 0', "'pick up the red block'", 'failed after 2.0 s'):
        assert part in line
