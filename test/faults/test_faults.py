"""The fast tier of the fault campaign, and the proof that its bars can fail."""

import ast
from dataclasses import replace
import json
from pathlib import Path

from faults import campaign, ledger
from faults.defects import caught_by, DEFECTS
from faults.every_promise import PROMISES
from faults.ledger import keep
from faults.oracle import Envelope, judge_records, Oracle, Record, rest_s
import numpy as np
import pytest

DOWN = (1.0, 0.0, 0.0, 0.0)
HERE = Path(__file__).parent


@pytest.mark.filterwarnings('ignore::RuntimeWarning')
@pytest.mark.parametrize('id', [id for id, p in PROMISES.items() if not p.needs])
def test_a_promise_is_kept(id, tmp_path):
    line = keep(PROMISES[id], PROMISES[id].sizes[0], seed=1, folder=tmp_path)
    assert line['violations'] == 0, line['examples']
    assert line['tried'] > 0


@pytest.mark.parametrize('name', DEFECTS)
def test_a_seeded_defect_is_caught(name):
    assert caught_by(name)


def test_there_are_twelve_defects():
    assert len(DEFECTS) == 12


def test_the_oracle_shares_no_code_with_the_package():
    for name in ('oracle.py', 'oracle_process.py'):
        for node in ast.walk(ast.parse((HERE / name).read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith('vla_ros') for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or '').startswith('vla_ros')


def watched(path, quaternions=None, dt_s=0.02, **options) -> list[str]:
    """Return what the oracle says about positions published every ``dt_s``."""
    oracle = Oracle(Envelope())
    oracle.measure(path[0], DOWN)
    for i, position in enumerate(path):
        quaternion = DOWN if quaternions is None else quaternions[i]
        oracle.see(10.0 + i * dt_s, position, quaternion, **options)
    return oracle.violations


REST = [(0.4, 0.0, 0.2)] * 3


def test_the_oracle_says_nothing_about_rest():
    assert watched(REST) == []


@pytest.mark.parametrize(
    ('path', 'fault'),
    [
        ([*REST, (0.4, np.nan, 0.2)], 'not finite'),
        ([*REST, (0.7, 0.0, 0.2)], 'outside'),
        ([*REST, (0.4, 0.0051, 0.2)], 'speed'),
        ([*REST, (0.4, 0.0005, 0.2)], 'acceleration'),
    ],
)
def test_the_oracle_sees_a_pose_that_is_wrong(path, fault):
    assert any(fault in text for text in watched(path))


@pytest.mark.parametrize(
    ('last', 'fault'),
    [
        ((-1.0, 0.0, 0.0, 0.0), 'sign'),
        ((1.0 + 1e-6, 0.0, 0.0, 0.0), 'unit'),
        ((np.cos(0.01), np.sin(0.01), 0.0, 0.0), 'angular'),
    ],
)
def test_the_oracle_sees_a_rotation_that_is_wrong(last, fault):
    assert any(fault in text for text in watched(REST, [DOWN, DOWN, last]))


@pytest.mark.parametrize(
    ('options', 'fault'), [({'frame_id': 'map'}, 'frame'), ({'gripper': 1.01}, 'gripper')]
)
def test_the_oracle_sees_what_else_is_wrong(options, fault):
    assert any(fault in text for text in watched(REST, **options))


def test_the_oracle_sees_a_start_away_from_the_robot():
    oracle = Oracle()
    oracle.measure((0.4, 0.0, 0.2), DOWN)
    oracle.see(1.0, (0.4, 0.006, 0.2), DOWN)
    assert 'started' in oracle.violations[0]


def test_the_oracle_sees_motion_when_there_should_be_none():
    oracle = Oracle()
    oracle.measure(REST[0], DOWN)
    oracle.see(1.0, REST[0], DOWN)
    oracle.forbid_motion(1.01)
    oracle.see(1.02, (0.4, 0.0001, 0.2), DOWN)
    assert any('should rest' in text for text in oracle.violations)


def records(speed, count=100, jitter_s=0.0):
    rng = np.random.default_rng(0)
    late = rng.uniform(0.0, jitter_s, size=count)
    return [
        Record(
            t_s=i * 0.02 + late[i],
            stamp_ns=round((i * 0.02 + late[i]) * 1e9),
            frame_id='base_link',
            position=(0.3 + speed * i * 0.02, 0.0, 0.2),
            quaternion=DOWN,
        )
        for i in range(count)
    ]


def test_received_poses_may_be_stamped_a_little_late():
    assert judge_records(records(0.1, jitter_s=0.001), Envelope()).violations == []


def test_received_poses_that_are_too_fast_are_seen():
    assert judge_records(records(0.26, count=50), Envelope()).violations


@pytest.mark.parametrize(('speed', 'is_fine'), [(0.249, True), (0.27, False)])
def test_a_listener_that_had_to_wait_takes_no_robot_for_too_fast(speed, is_fine):
    # Of every twelve poses the first ten are heard at once.
    bursts = [
        replace(record, t_s=max(record.t_s, (i - i % 12 + 9) * 0.02))
        for i, record in enumerate(records(speed, count=120))
    ]
    wide = Envelope(high=(2.0, 1.0, 1.0))
    assert (judge_records(bursts, wide, by_stamp=False).violations == []) is is_fine


@pytest.mark.parametrize(('speed', 'is_fine'), [(0.249, True), (0.27, False)])
def test_a_gate_that_ticks_late_is_not_taken_for_too_fast(speed, is_fine):
    # Each seventh pose is late, and so is the robot on its way.
    made = records(speed, count=120)
    for i in range(0, 120, 7):
        x = made[i].position[0] + speed * 0.015
        made[i] = replace(made[i], t_s=made[i].t_s + 0.015, position=(x, 0.0, 0.2))
    wide = Envelope(high=(2.0, 1.0, 1.0), acceleration=10.0)
    assert (judge_records(made, wide, by_stamp=False).violations == []) is is_fine


def test_rest_is_timed_from_the_received_poses():
    moving = records(0.1, count=20)
    still = [
        Record(0.38 + i * 0.02, 0, 'base_link', moving[-1].position, DOWN) for i in range(1, 20)
    ]
    assert rest_s([*moving, *still], since_s=0.2) == pytest.approx(0.18)
    assert rest_s(moving, since_s=0.2) is None


def test_a_trial_that_throws_breaks_its_promise(tmp_path):
    def throws(tally, size):
        raise ZeroDivisionError('oops')

    line = keep(ledger.Promise('X', 'x', throws, (1, 1)), 1, 0, tmp_path)
    assert line['violations'] == 1
    assert 'oops' in line['examples'][0]


@pytest.mark.parametrize(('passed', 'refused', 'broken'), [(50, 50, 0), (99, 1, 1), (0, 0, 0)])
def test_a_trial_that_shows_nothing_breaks_its_promise(tmp_path, passed, refused, broken):
    tally = ledger.Tally(np.random.default_rng(0), tmp_path)
    tally.need_both(passed, refused)
    assert tally.violations == broken


def test_the_campaign_writes_one_line_a_promise_and_goes_on_where_it_was(tmp_path, capfd):
    arguments = ['--tier', 'fast', '--out', str(tmp_path / 'faults.jsonl'), '--only']
    assert campaign.main([*arguments, 'A0']) == 0
    assert campaign.main([*arguments, 'A0,A6', '--resume']) == 0
    lines = [json.loads(text) for text in (tmp_path / 'faults.jsonl').read_text().splitlines()]
    assert [line['id'] for line in lines] == ['A0', 'A6']
    assert {'tried', 'violations', 'worst', 'limit', 'p50', 'p99', 'max', 'seed'} <= set(lines[0])
    assert capfd.readouterr().out.count('A0: without a workspace') == 1


def test_after_a_silence_it_may_start_only_where_the_robot_is_on_its_way():
    def record(t_s: float, x: float) -> Record:
        return Record(t_s, round(t_s * 1e9), 'base_link', (x, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))

    before = [record(0.02 * i, 0.3) for i in range(10)]
    robot = [record(0.02 * i, 0.3) for i in range(10)] + [record(0.9, 0.4), record(1.0, 0.44)]
    for x, violations in ((0.42, 0), (0.446, 1), (0.444, 0), (0.39, 1)):
        after = [record(1.0 + 0.02 * i, x) for i in range(10)]
        assert (
            len(judge_records([*before, *after], Envelope(), measured=robot).violations)
            == violations
        ), x
    after = [record(2.0 + 0.02 * i, 0.42) for i in range(10)]
    unheard = judge_records([*before, *after], Envelope(), measured=robot)
    assert (unheard.unjudged, unheard.violations) == (1, [])
