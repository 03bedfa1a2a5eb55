"""Chunks played by time."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import angle_between, Pose, quaternion_from_axis_angle
from vla_ros.interfaces import ActionChunk, GRIPPER_CHANNEL, POSE_CHANNELS
from vla_ros.pipeline.chunk import BLEND_MODES, ChunkPlayer, INTERPOLATIONS, Playback
from vla_ros.pipeline.gate import Candidate, Gate, Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.reason import Reason

DT_S = 0.1
NS = 1_000_000_000
DOWN = np.array([1.0, 0.0, 0.0, 0.0])


def at(seconds: float) -> Instant:
    return Instant(seconds, round(seconds * NS))


def chunk(positions, quaternions=None, gripper=None, stamp_s=10.0, command=1) -> ActionChunk:
    positions = np.atleast_2d(np.asarray(positions, dtype=float))
    if quaternions is None:
        quaternions = np.tile(DOWN, (len(positions), 1))
    if gripper is None:
        gripper = np.zeros(len(positions))
    return ActionChunk(
        stamp_ns=round(stamp_s * NS),
        command_stamp_ns=command,
        frame_id='base_link',
        channels=(*POSE_CHANNELS, GRIPPER_CHANNEL),
        values=np.column_stack([positions, quaternions, gripper]),
        dt_s=DT_S,
    )


def line(start: float, speed: float, rows: int = 10, **options) -> ActionChunk:
    """Return a chunk that goes along x at ``speed``."""
    x = start + speed * DT_S * np.arange(rows)
    return chunk(np.column_stack([x, 0 * x, 0 * x]), **options)


def playing(
    made: ActionChunk, now_s: float | None = None, lead_s: float = 0.0, **options
) -> ChunkPlayer:
    player = ChunkPlayer(lead_s, Playback(**options))
    assert player.accept(made, at(made.stamp_ns / NS if now_s is None else now_s))
    return player


def sample(player: ChunkPlayer, now_s: float) -> Candidate:
    candidate = player.sample(round(now_s * NS))
    assert isinstance(candidate, Candidate)
    return candidate


def x_at(player: ChunkPlayer, now_s: float) -> float:
    return sample(player, now_s).pose.position[0]


def test_without_a_chunk_there_is_no_action():
    assert ChunkPlayer().sample(0) is Reason.NO_ACTION


def test_positions_between_rows_lie_on_the_line_between_them():
    assert x_at(playing(line(0.0, 1.0)), 10.25) == pytest.approx(0.25)


def test_steps_that_inference_took_too_long_for_are_skipped():
    assert x_at(playing(line(0.0, 1.0), now_s=10.6), 10.6) == pytest.approx(0.6)


def test_the_lead_plays_ahead_but_not_past_the_last_row():
    player = playing(line(0.0, 1.0), lead_s=0.2)
    assert x_at(player, 10.3) == pytest.approx(0.5)
    assert x_at(player, 10.85) == pytest.approx(0.9)


def test_orientation_turns_along_the_arc():
    turned = quaternion_from_axis_angle((0, 0, 1), 1.0)
    start = quaternion_from_axis_angle((0, 0, 1), 0.0)
    player = playing(chunk(np.zeros((2, 3)), np.stack([start, turned])))
    middle = sample(player, 10.05).pose.quaternion
    assert angle_between(start, middle) == pytest.approx(0.5)


def test_rows_that_flip_the_sign_of_their_quaternion_do_not_turn():
    player = playing(chunk(np.zeros((4, 3)), np.array([DOWN, -DOWN, DOWN, -DOWN])))
    for now_s in np.arange(10.0, 10.3, 0.02):
        assert sample(player, now_s).pose.quaternion == pytest.approx(DOWN)


def test_the_gripper_steps_at_its_row_without_lead():
    player = playing(chunk(np.zeros((3, 3)), gripper=[0.0, 1.0, 0.5]), lead_s=0.1)
    assert [sample(player, t).gripper for t in (10.09, 10.11, 10.19)] == [0.0, 1.0, 1.0]


def test_a_chunk_without_a_gripper_leaves_it_alone():
    made = line(0.0, 1.0)
    made = replace(made, channels=POSE_CHANNELS, values=made.values[:, :7])
    assert sample(playing(made), 10.0).gripper is None


def test_past_its_last_row_a_chunk_has_ended():
    player = playing(line(0.0, 1.0))
    assert isinstance(player.sample(round(10.9 * NS)), Candidate)
    assert player.sample(round(10.91 * NS)) is Reason.CHUNK_ENDED


def test_a_candidate_carries_stamp_frame_and_time_of_receipt():
    candidate = sample(playing(line(0.0, 1.0), now_s=10.2), 10.3)
    assert (candidate.stamp_ns, candidate.frame_id) == (10 * NS, 'base_link')
    assert candidate.received_s == 10.2


def test_a_new_chunk_takes_over_within_the_crossfade():
    player = playing(chunk(np.zeros((10, 3))))
    player.accept(chunk(np.ones((10, 3)), stamp_s=10.1), at(10.2))
    xs = [x_at(player, t) for t in (10.2, 10.25, 10.3, 10.5)]
    assert xs == pytest.approx([0.0, 0.5, 1.0, 1.0])


def test_a_new_chunk_in_the_middle_of_a_crossfade_causes_no_jump():
    player = playing(chunk(np.zeros((10, 3))))
    player.accept(chunk(np.ones((10, 3)), stamp_s=10.1), at(10.2))
    before = x_at(player, 10.25)
    player.accept(chunk(3 * np.ones((10, 3)), stamp_s=10.15), at(10.25))
    assert x_at(player, 10.25) == before
    assert x_at(player, 10.4) == pytest.approx(3.0)


@pytest.mark.parametrize('options', [{'crossfade_s': 0.0}, {'blend_mode': 'latest'}])
def test_without_a_crossfade_the_newest_is_played_at_once(options):
    player = playing(chunk(np.zeros((10, 3))), **options)
    player.accept(chunk(np.ones((10, 3)), stamp_s=10.1), at(10.2))
    assert x_at(player, 10.2) == 1.0


@pytest.mark.parametrize('blend_mode', BLEND_MODES)
def test_a_chunk_of_another_command_is_not_blended(blend_mode):
    player = playing(chunk(np.zeros((10, 3))), blend_mode=blend_mode)
    player.accept(chunk(np.ones((10, 3)), stamp_s=10.1, command=2), at(10.2))
    assert x_at(player, 10.2) == 1.0


def test_a_chunk_from_an_older_image_is_refused():
    player = playing(line(0.0, 1.0))
    assert not player.accept(line(5.0, 1.0, stamp_s=9.9), at(10.1))
    assert x_at(player, 10.1) == pytest.approx(0.1)


def test_after_the_clock_jumped_back_new_chunks_are_played():
    player = playing(line(0.0, 1.0, stamp_s=100.0))
    assert player.accept(line(5.0, 1.0, stamp_s=1.0), at(1.1))
    assert x_at(player, 1.4) == pytest.approx(5.4)


@pytest.mark.parametrize(('blend_mode', 'most'), [('linear', 4), ('temporal_ensemble', 16)])
def test_a_flood_of_chunks_keeps_only_the_last_few(blend_mode, most):
    player = playing(line(0.0, 1.0), blend_mode=blend_mode)
    for i in range(1000):
        player.accept(line(0.0, 1.0), at(10.0 + i * 1e-6))
    assert len(player._tracks) == most


def ensemble(count: int, decay: float) -> ChunkPlayer:
    """Return a player of chunks that stand still at 0, 1, 2, ..., one every 0.1 s from 10 s on."""
    player = ChunkPlayer(0.0, Playback(blend_mode='temporal_ensemble', ensemble_decay=decay))
    for i in range(count):
        stamp_s = 10.0 + 0.1 * i
        player.accept(chunk(np.full((10, 3), float(i)), stamp_s=stamp_s), at(stamp_s))
    return player


def test_an_ensemble_weighs_the_oldest_most_as_in_act():
    weights = np.exp(-0.5 * np.arange(3))
    expected = weights @ [0.0, 1.0, 2.0] / weights.sum()
    assert x_at(ensemble(3, 0.5), 10.2) == pytest.approx(expected)


def test_only_chunks_that_still_play_are_of_the_ensemble():
    player = ensemble(20, 0.0)
    assert x_at(player, 11.9) == pytest.approx(np.mean(np.arange(10, 20)))
    assert x_at(player, 12.75) == pytest.approx(19.0)
    assert player.sample(round(12.9 * NS)) is Reason.CHUNK_ENDED


def test_an_ensemble_is_between_its_rotations_whatever_their_signs():
    turned = -np.tile(quaternion_from_axis_angle((0, 0, 1), 1.0), (10, 1))
    straight = np.tile(quaternion_from_axis_angle((0, 0, 1), 0.0), (10, 1))
    options = {'blend_mode': 'temporal_ensemble', 'ensemble_decay': 0.0}
    player = playing(chunk(np.zeros((10, 3)), straight), **options)
    player.accept(chunk(np.zeros((10, 3)), turned, stamp_s=10.1), at(10.1))
    mean = quaternion_from_axis_angle((0, 0, 1), 0.5)
    assert angle_between(sample(player, 10.2).pose.quaternion, mean) < 1e-9


def test_cubic_playback_begins_and_ends_at_the_end_rows():
    player = playing(chunk([[0, 0, 0], [1, 2, 0], [3, 1, 1], [2, 2, 2]]), interpolation='cubic')
    assert sample(player, 10.0).pose.position == pytest.approx([0, 0, 0])
    assert sample(player, 10.3).pose.position == pytest.approx([2, 2, 2])


def test_cubic_playback_of_a_line_is_that_line_and_of_one_row_that_row():
    player = playing(line(0.0, 1.0), interpolation='cubic')
    for now_s in np.arange(10.0, 10.9, 0.07):
        assert x_at(player, now_s) == pytest.approx(now_s - 10.0)
    assert x_at(playing(chunk([[0.3, 0, 0]]), interpolation='cubic'), 10.0) == 0.3


def test_cubic_playback_turns_a_corner_without_a_jump_of_the_velocity():
    corner = chunk([[0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 1, 0], [2, 2, 0]])
    jumps = {}
    for interpolation in INTERPOLATIONS:
        player = playing(corner, interpolation=interpolation)
        path = [sample(player, t).pose.position for t in np.arange(10.0, 10.4, 0.001)]
        velocity = np.diff(path, axis=0) / 0.001
        jumps[interpolation] = np.linalg.norm(np.diff(velocity, axis=0), axis=1).max()
    assert jumps['linear'] > 10.0
    assert jumps['cubic'] < 0.3


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'blend_mode': 'newest'}, 'valid: latest, linear, temporal_ensemble'),
        ({'interpolation': 'quintic'}, 'valid: linear, cubic'),
        ({'crossfade_s': -1.0}, 'crossfade_s is -1.0'),
        ({'ensemble_decay': np.nan}, 'ensemble_decay is nan'),
    ],
)
def test_a_senseless_playback_is_refused_with_what_is_valid(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Playback(**options)


def test_clear_forgets():
    player = playing(line(0.0, 1.0))
    player.clear()
    assert player.sample(10 * NS) is Reason.NO_ACTION


def with_value(row: int, column: int, value: float) -> ActionChunk:
    made = line(0.0, 1.0)
    made.values[row, column] = value
    return made


@pytest.mark.parametrize(
    ('made', 'message'),
    [
        (with_value(9, 1, np.nan), 'not a finite number'),
        (with_value(0, 7, np.inf), 'not a finite number'),
        (with_value(0, 0, -1.1e6), 'no pose is there'),
        (with_value(2, 7, 1e308), 'no pose is there'),
        (with_value(5, 3, 0.5), 'norms 0.5 to 1'),
        (with_value(5, 3, 0.0), 'norms 0 to 1'),
        (replace(line(0.0, 1.0), values=np.zeros((0, 8))), 'shape'),
        (replace(line(0.0, 1.0), values=np.zeros(8)), 'shape'),
        (replace(line(0.0, 1.0), values=np.zeros((3, 7))), 'shape'),
        (replace(line(0.0, 1.0), values=np.full((3, 8), None)), 'not a finite number'),
        (replace(line(0.0, 1.0), channels=tuple('abcdefgh')), 'position.x'),
        (replace(line(0.0, 1.0), dt_s=0.0), '0.0 s apart'),
        (replace(line(0.0, 1.0), dt_s=np.nan), 'nan s apart'),
    ],
)
def test_a_chunk_with_any_unusable_value_is_refused_and_the_old_one_plays_on(made, message):
    player = playing(line(0.0, 1.0))
    with pytest.raises(ValueError, match=message):
        player.accept(made, at(10.1))
    assert x_at(player, 10.1) == pytest.approx(0.1)


rows = st.lists(
    st.tuples(*[st.floats(-1.0, 1.0)] * 3, st.floats(-3.0, 3.0)), min_size=2, max_size=10
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(rows, st.floats(0.0, 0.3), st.sampled_from(INTERPOLATIONS), st.sampled_from(BLEND_MODES))
def test_playback_moves_no_faster_than_the_rows_imply(rows, lead_s, interpolation, blend_mode):
    values = np.array(rows)
    turns = np.stack([quaternion_from_axis_angle((0, 1, 1), a) for a in values[:, 3]])
    player = playing(
        chunk(values[:, :3], turns),
        None,
        lead_s,
        interpolation=interpolation,
        blend_mode=blend_mode,
    )
    fastest = np.linalg.norm(np.diff(values[:, :3], axis=0), axis=1).max() / DT_S
    fastest_turn = max(angle_between(a, b) for a, b in zip(turns, turns[1:], strict=False)) / DT_S
    poses = [sample(player, t).pose for t in np.arange(10.0, 10.0 + (len(rows) - 1) * DT_S, 0.02)]
    for a, b in zip(poses, poses[1:], strict=False):
        assert np.linalg.norm(b.position - a.position) <= fastest * 0.02 + 1e-9
        assert angle_between(a.quaternion, b.quaternion) <= fastest_turn * 0.02 + 1e-6
        assert abs(np.linalg.norm(b.quaternion) - 1.0) < 1e-9


coordinates = st.tuples(*[st.floats(-1.0, 1.0)] * 3)
angles = st.floats(-3.0, 3.0)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(coordinates, angles, st.sampled_from(INTERPOLATIONS), st.sampled_from(BLEND_MODES))
def test_chunks_that_are_constant_give_a_constant_pose(at_m, angle, interpolation, blend_mode):
    turn = np.tile(quaternion_from_axis_angle((1, 0, 2), angle), (10, 1))
    player = ChunkPlayer(0.1, Playback(blend_mode=blend_mode, interpolation=interpolation))
    for now_s in np.arange(10.0, 11.5, 0.02):
        if round((now_s - 10.0) / 0.02) % 6 == 0:
            player.accept(chunk(np.tile(at_m, (10, 1)), turn, stamp_s=now_s), at(now_s))
        pose = sample(player, now_s).pose
        assert pose.position == pytest.approx(at_m, abs=1e-12)
        assert angle_between(pose.quaternion, turn[0]) < 1e-6


@pytest.mark.parametrize('interpolation', INTERPOLATIONS)
@pytest.mark.parametrize('blend_mode', BLEND_MODES)
def test_a_policy_at_3_hz_becomes_a_smooth_stream_that_keeps_up(blend_mode, interpolation):
    limits = Limits(
        (-1.0, -1.0, -1.0), (5.0, 1.0, 1.0), camera_timeout_s=0.6, action_timeout_s=0.6
    )
    playback = Playback(blend_mode=blend_mode, interpolation=interpolation)
    gate, player = Gate(limits), ChunkPlayer(limits.lead_s, playback)
    speed, path = 0.2, [Pose.of((0.0, 0.0, 0.0), DOWN)]
    for tick in range(150):
        now = at(10.0 + tick * 0.02)
        if tick % 17 == 0:  # a chunk from an image 0.1 s ago
            made = line(speed * (tick * 0.02 - 0.1), speed, stamp_s=10.0 + tick * 0.02 - 0.1)
            player.accept(made, now)
        measured = Measured(path[-1], 'base_link', now.steady_s)
        path.append(gate.tick(now, player.sample(now.stamp_ns), measured).pose)
    x = np.array([p.position[0] for p in path])
    velocity = np.diff(x) / 0.02
    assert np.abs(np.diff(velocity)).max() / 0.02 <= limits.max_acceleration_m_s2 + 1e-6
    assert velocity[50:] == pytest.approx(speed, abs=0.01)
    assert x[-1] == pytest.approx(speed * 149 * 0.02, abs=0.01)
