from dataclasses import replace
from pathlib import Path
import shutil

import pytest

from vla_ros.evaluation.card import GOALS, model_card, pictures_folder
from vla_ros.evaluation.report import Report, report_path, SplitReport, THROUGH_ROS
from vla_ros.evaluation.statistics import Rate
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import manifest_path, read_manifest
from vla_ros.training.config import load_config, save_config

NUMBERS = {'speed_m_s': 0.25, 'angular_speed_rad_s': 0.5, 'outside_m': 0.0}


def split(name, successes, n=100, tasks=(), **measures):
    rate = Rate.of(successes, n)
    return SplitReport(
        command=f'vla-ros eval --split {name} --episodes {n} --seed 0',
        **rate.to_dict(),
        tasks=dict.fromkeys(tasks, rate),
        measures=measures,
        numbers=NUMBERS,
    )


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'tabletop.pt'
    shutil.copy(manifest_path(shipped_policy_path()), manifest_path(path))
    return path


def card(policy, refusals=None, speed=None, **splits):
    manifest = read_manifest(policy)
    report = Report(manifest.name, manifest.sha256, splits, refusals or {}, speed or {})
    report_path(policy).write_text(report.to_json())
    return model_card(policy, policy.with_name('policy.md'))


def row(text, start):
    """Return the cells of the table's row that starts so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f'| {start}')]
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_a_rate_stands_with_its_interval_beside_its_goal(policy):
    text = card(policy, known=split('known', 98, tasks=('pick',)), words=split('words', 80))
    assert row(text, 'known, pick')[1:] == ['100', '98.0 %', '93.0 .. 99.4 %', '≥ 97 %', 'yes']
    assert row(text, '**words**')[-2:] == ['≥ 90 %', '**no**']


def test_what_other_words_were_read_by_is_told(policy):
    now = read_manifest(policy).text_encoder.short
    before, after = split('known', 98), replace(split('words', 80), text_encoder=now)
    assert f'than the one of now (`{now}`): known.' in card(policy, known=before, words=after)
    assert 'Measured with an earlier' not in card(policy, words=after)


def test_the_speed_of_a_call_is_told_where_it_was_measured(policy):
    text = card(policy, speed={'median_ms': 4.26, 'p95_ms': 6.04, 'of_eager': 0.713})
    assert 'One call takes 4.3 ms on one CPU thread (95 % of calls at most 6.0 ms' in text
    assert ', 0.71 of what' in text
    assert 'One call' not in card(policy)


def test_few_false_stops_are_the_goal(policy):
    text = card(policy, known=split('known', 98, **{'false stops': Rate.of(1, 100)}))
    assert row(text, 'known, false stops')[-2:] == ['≤ 2 %', 'yes']


def test_the_running_graph_is_compared_with_the_same_trials(policy):
    found = split('known', 90, direct=Rate.of(97, 100))
    text = card(policy, **{f'known{THROUGH_ROS}': found})
    assert row(text, '**known through ros**')[-2:] == ['within 5 points of 97.0 %', '**no**']


def test_every_disturbance_and_refusal_has_a_line(policy):
    text = card(
        policy,
        disturbed=split('disturbed', 50, tasks=('blur', 'no state')),
        refuse=split('refuse', 99, tasks=('nonsense',)),
        refusals={'unrelated': Rate.of(97, 100)},
    )
    assert row(text, 'blur')[1:] == ['100', '50.0 %', '40.4 .. 59.6 %']
    assert row(text, 'nonsense')[2] == '99.0 %'
    assert row(text, 'unrelated')[2] == '97.0 %'
    assert 'at most 0.250 m/s and 0.500 rad/s' in text
    assert 'never left its workspace' in text


def test_few_words_make_an_interval_that_holds_for_these_alone(policy):
    words = split('words', 80)
    text = card(policy, known=split('known', 98), words=words)
    assert 'The intervals of `words` are for these words.' in text
    assert 'over words the interval is wider.\n' in text
    over = {'colour': Rate.of_groups([[True] * 40, [True, False] * 20])}
    text = card(policy, words=replace(words, by_words=over))
    told = str(over['colour']).strip()
    assert f'words, over words for a colour: {told}.' in text
    assert 'over words' not in card(policy, known=split('known', 98))


def test_what_a_policy_is_never_asked_is_told_apart(policy):
    refuse = split('refuse', 90, tasks=('nonsense', 'unrelated'))
    assert 'is never asked' not in card(policy, refuse=refuse)
    rows = {'empty': Rate.of(100, 100), **refuse.tasks}
    text = card(policy, refuse=replace(refuse, tasks=rows))
    assert 'Without them, of the other rows: 90.0 % [85.1, 93.4].' in text


def test_a_false_state_is_not_told_as_a_missing_one(policy):
    text = card(policy, disturbed=split('disturbed', 50, tasks=('no state',)))
    assert 'the policy is told that the gripper is open and at the base' in text
    assert 'whatever the policy says' not in text
    assert 'In `no state`' not in card(policy, disturbed=split('disturbed', 50, tasks=('blur',)))


def test_it_names_what_the_policy_is_worst_at(policy):
    text = card(policy, words=split('words', 30, tasks=('push',)))
    assert 'worst at: words, push (30.0 %)' in text


def test_the_training_of_another_policy_is_not_told_as_that_of_the_shipped_one(policy):
    text = card(policy, known=split('known', 98))
    assert read_manifest(policy).training_data in text
    assert 'The expert drove' not in text
    assert 'There is no configuration of its training beside it.' in text
    save_config(replace(load_config(), episodes=321), policy.with_name('config.yaml'))
    assert 'The expert drove 321 episodes' in card(policy, known=split('known', 98))


def test_it_tells_how_to_train_and_measure_again(policy):
    save_config(load_config(), policy.with_name('config.yaml'))
    text = card(policy, known=split('known', 98), words=split('words', 80))
    for part in (
        read_manifest(policy).training_data,
        '    vla-ros eval --split known --episodes 100 --seed 0',
        '    vla-ros eval --split words --episodes 100 --seed 0',
        'vla-ros train',
    ):
        assert part in text


def test_a_command_names_the_splits_that_are_of_it_alone(policy):
    old, new = 'vla-ros eval --split known words --seed 0', 'vla-ros eval --split known --seed 0'
    text = card(
        policy,
        known=replace(split('known', 98), command=new),
        words=replace(split('words', 80), command=old),
    )
    assert f'    {new}\n    vla-ros eval --split words --seed 0\n' in text


def test_pictures_of_failures_are_shown(policy):
    folder = pictures_folder(policy.with_name('policy.md'))
    folder.mkdir()
    (folder / 'words.jpg').touch()
    assert '![failures: words](policy/words.jpg)' in card(policy, words=split('words', 80))


def test_every_goal_is_about_a_line_of_the_card(policy):
    measures = {goal.line: Rate.of(50, 100) for goal in GOALS}
    splits = {goal.split: split(goal.split, 50, **measures) for goal in GOALS}
    text = card(policy, **splits)
    assert text.count('**no**') + text.count('| yes |') == len(GOALS)
    assert Path(report_path(policy)).name == 'tabletop.eval.json'
