from dataclasses import replace

import numpy as np
import pytest
import torch

from vla_ros.interfaces import REFUSALS
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import COLOURS, HELD_OUT_PAIRS, Look, OBJECT_NAMES, SHAPES, split_name
from vla_ros.sim.tasks import KINDS
from vla_ros.training.batches import Batch, BatchConfig, Batches, mirror, on_table, TASKS
from vla_ros.training.config import load_config
from vla_ros.training.demonstrations import frame_dtype, ZONE_NAMES
from vla_ros.training.rehearsal import rehearsal_of

SIZE = 16
CONFIG = replace(load_config().demonstrations, image_size=SIZE, labels_per_frame=4)
HERE = ('red block', 'red ball', 'blue block', 'yellow cylinder')
ZONES = ('green', 'purple')


def frames(count=6):
    """Return frames of noise with four objects, two zones, and a label for each object."""
    rng = np.random.default_rng(0)
    some = np.zeros(count, frame_dtype(CONFIG))
    some['image'] = rng.integers(0, 256, some['image'].shape)
    some['state'] = rng.normal(size=(count, 8))
    some['gripper_target'] = rng.random(count)
    for part in ('object_px', 'object_xyz', 'zone_px', 'zone_xy'):
        some[part] = np.nan
    some['hand_px'] = (1.0, 2.0)
    for name in HERE:
        some['object_px'][:, OBJECT_NAMES.index(name)] = rng.integers(0, SIZE, (count, 2))
    for name in ZONES:
        some['zone_px'][:, ZONE_NAMES.index(name)] = rng.integers(0, SIZE, (count, 2))
    kinds = ('point', 'pick', 'push', 'put')
    some['labels']['kind'] = [KINDS.index(kind) for kind in kinds]
    some['labels']['object'] = [OBJECT_NAMES.index(name) for name in HERE]
    some['labels']['zone'] = [-1, -1, *(ZONE_NAMES.index(name) for name in ZONES)]
    some['labels']['position'] = rng.normal(size=(count, 4, 3))
    some['labels']['yaw'] = 0.3
    some['labels']['gripper'] = rng.random((count, 4))
    some['labels']['done'] = True
    return some


def batches(unrelated=0.0, absent=0.0, left_open=0.0, **sizes):
    config = BatchConfig(
        **{'frames': 8, 'commands': 3, 'sentences': 1, 'rehearsed': 0, **sizes},
        unrelated_share=unrelated,
        absent_share=absent,
        open_share=left_open,
    )
    return Batches([frames(4), frames(6)], config, seed=1)


def batch(step=0, **shares):
    return batches(**shares).batch(step)


def names(got: Batch) -> list[str]:
    """Return the objects that are asked for; where colour or shape is open, '-' stands."""
    colours, shapes = (*COLOURS, '-'), (*SHAPES, '-')
    return [
        f'{colours[colour]} {shapes[shape]}'
        for colour, shape in zip(got.meaning.colour, got.meaning.shape, strict=True)
    ]


def parts(got: Batch) -> list[torch.Tensor]:
    return [*(part for part in got if isinstance(part, torch.Tensor)), *got.meaning]


def test_each_picture_comes_with_several_commands():
    got = batch()
    assert got.image.shape == (8, 1, 3, SIZE, SIZE)
    assert got.state.shape == (24, 8)
    of_frames = ('image', 'colours_px', 'shapes_px')
    rows = [part for name, part in got._asdict().items() if name not in (*of_frames, 'meaning')]
    assert all(len(part) == 24 for part in [*rows, *got.meaning])
    assert got.colours_px.shape == (8, 6, 3, 2)
    assert got.shapes_px.shape == (8, 3, 6, 2)
    assert torch.equal(got.state[0], got.state[2])


def test_tasks_are_the_refusals_and_the_kinds():
    assert (*REFUSALS, *KINDS) == TASKS


def test_the_same_step_gives_the_same_batch():
    shares = {'unrelated': 0.2, 'absent': 0.3, 'left_open': 0.3}
    for a, b in zip(parts(batch(3, **shares)), parts(batch(3, **shares)), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_another_step_gives_another_batch():
    assert not torch.equal(batch(3).image, batch(4).image)


@pytest.mark.parametrize('ranks', [2, 3])
def test_the_batches_of_all_ranks_are_the_whole_batch(ranks):
    made = batches(unrelated=0.2, absent=0.3, left_open=0.3)
    whole = made.batch(5)
    shares = [made.batch(5, rank, ranks) for rank in range(ranks)]
    together = [torch.empty_like(part) for part in parts(whole)]
    for rank, share in enumerate(shares):
        for to, part in zip(together, parts(share), strict=True):
            by_frame = to.view(8, -1, *to.shape[1:])
            by_frame[rank::ranks] = part.view(-1, *by_frame.shape[1:])
    for a, b in zip(together, parts(whole), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_first_command_is_what_the_robot_was_on():
    assert names(batch())[::3] == ['red block'] * 8


def test_no_command_is_asked_twice_of_one_picture():
    asked = names(batch(commands=4))
    assert all(set(asked[i : i + 4]) == set(HERE) for i in range(0, len(asked), 4))


def test_the_meaning_says_what_the_label_is_for():
    got = batch(commands=4)
    zones = [None if zone < 0 else list(COLOURS)[zone] for zone in got.meaning.zone]
    wanted = {
        'red block': ('point', None),
        'red ball': ('pick', None),
        'blue block': ('push', 'green'),
        'yellow cylinder': ('put', 'purple'),
    }
    for name, task, zone in zip(names(got), got.meaning.task, zones, strict=True):
        assert (KINDS[task - 1], zone) == wanted[name]


def test_the_answer_is_that_of_the_expert():
    got = batch(commands=4)
    whole = np.concatenate([frames(4), frames(6)])
    known = {tuple(p) for p in np.float32(whole['labels']['position']).reshape(-1, 3)}
    known |= {(x, -y, z) for x, y, z in known}
    assert {tuple(p) for p in got.position.numpy()} <= known
    assert (got.yaw.abs() == np.float32(0.3)).all()
    assert (got.done == 1).all()
    assert (got.object_there == 1).all()
    assert got.object_px.isfinite().all()


def test_only_who_names_a_zone_learns_whether_it_is_there():
    got = batch(commands=4)
    named = got.meaning.zone >= 0
    assert (got.zone_there[named] == 1).all()
    assert got.zone_there[~named].isnan().all()
    assert got.zone_px[~named].isnan().all()


def test_told_something_unrelated_the_robot_is_to_stay():
    got = batch(unrelated=1.0)
    assert (got.meaning.task == 0).all()
    torch.testing.assert_close(got.position, got.state[:, :3])
    whole = np.concatenate([frames(4), frames(6)])
    assert set(got.gripper.tolist()) <= set(whole['gripper_target'].tolist())
    assert (got.done == 0).all()
    for part in (got.object_px, got.zone_px, got.object_there, got.zone_there, got.yaw):
        assert part.isnan().all()


def test_nobody_knows_an_answer_for_what_is_not_there():
    got = batch(absent=1.0)
    for part in (got.position, got.yaw, got.gripper, got.done):
        assert part.isnan().all()
    assert (got.meaning.task > 0).all()
    missing = (got.object_there == 0) | (got.zone_there == 0)
    assert missing.all()
    assert torch.equal(got.object_there == 0, got.object_px[:, 0].isnan())


def test_either_the_object_or_the_zone_is_absent():
    made = [batch(step, absent=1.0, commands=4) for step in range(10)]
    object_there, zone_there = (
        torch.cat([getattr(got, part) for got in made]) for part in ('object_there', 'zone_there')
    )
    named = zone_there.isfinite()
    assert (object_there[~named] == 0).all()
    assert (object_there[named] + zone_there[named] == 1).all()
    assert 0.3 < float(object_there[named].mean()) < 0.7


def test_held_out_pairs_are_never_asked_for_as_absent():
    asked = {
        name
        for step in range(60)
        for got in [batch(step, absent=1.0)]
        for name, there in zip(names(got), got.object_there, strict=True)
        if not there
    }
    assert asked == set(OBJECT_NAMES) - set(HERE) - set(HELD_OUT_PAIRS)


def test_colour_or_shape_is_left_open_only_where_the_rest_tells_which_one():
    asked = {name for step in range(20) for name in names(batch(step, left_open=1.0))}
    # Two are blocks and two are red, so these words alone would not tell.
    plain, vague = {'red block', 'red ball', 'blue block'}, {'- ball', 'blue -'}
    assert asked == plain | vague | {'- cylinder', 'yellow -'}


def test_what_is_left_open_is_answered_all_the_same():
    got = batch(left_open=1.0)
    assert ((got.meaning.colour < 0) | (got.meaning.shape < 0)).any()
    assert got.position.isfinite().all()
    assert (got.object_there == 1).all()


def test_shares_are_those_of_the_configuration():
    made = [batch(i, unrelated=0.1, absent=0.2, frames=64, commands=4) for i in range(10)]
    task = torch.cat([got.meaning.task for got in made])
    unknown = torch.cat([got.position[:, 0].isnan() for got in made])
    assert float((task == 0).float().mean()) == pytest.approx(0.1, abs=0.02)
    assert float(unknown.float().mean()) == pytest.approx(0.2, abs=0.03)


def test_objects_are_named_by_the_colour_and_shape_that_they_have():
    assert {split_name(name) for name in OBJECT_NAMES} == {(c, s) for c in COLOURS for s in SHAPES}
    assert tuple(ZONE_NAMES) == tuple(COLOURS)


def test_mirroring_twice_changes_nothing():
    some = frames()
    assert mirror(mirror(some)).tobytes() == some.tobytes()


def test_a_mirrored_pixel_follows_its_picture():
    some = frames(1)
    index = OBJECT_NAMES.index(HERE[0])
    u, v = some['object_px'][0, index].astype(int)
    other = mirror(some)
    mirrored_u, _ = other['object_px'][0, index].astype(int)
    np.testing.assert_array_equal(other['image'][0, v, mirrored_u], some['image'][0, v, u])


def test_a_mirrored_point_projects_to_the_mirrored_pixel():
    camera = camera_model(Look(), SIZE, SIZE)
    here, there = camera.project([[0.45, 0.12, 0.02], [0.45, -0.12, 0.02]])
    np.testing.assert_allclose(there, (SIZE - 1 - here[0], here[1]), atol=1e-9)


def test_about_half_of_the_pictures_are_mirrored():
    whole = np.concatenate([frames(4), frames(6)])['image'].transpose(0, 3, 1, 2)
    as_taken = {bytes(image.tobytes()) for image in whole}
    images = batch(frames=100).image[:, 0].numpy()
    share = np.mean([bytes(image.tobytes()) in as_taken for image in images])
    assert 0.3 < share < 0.7


def test_pixels_are_measured_on_the_table():
    camera = camera_model(Look(), SIZE, SIZE)
    pixels = torch.from_numpy(camera.project([[0.4, 0.1, 0.022]]))
    np.testing.assert_allclose(on_table(pixels, camera, 0.022), [[0.4, 0.1]], atol=1e-6)


@pytest.mark.parametrize('count', [1, 3])
def test_every_frame_can_be_drawn(count):
    config = BatchConfig(4, 1, 1, 0, unrelated_share=0.0, absent_share=0.0, open_share=0.0)
    drawn = Batches([frames(count)], config, seed=0)
    assert len(drawn) == count
    assert drawn.batch(0).image.shape[0] == 4


def test_a_rehearsal_has_every_answer_of_its_frames():
    got = batches(rehearsed=6).rehearsal(step=3)
    assert len(got.task) == 6 * 4
    assert [TASKS[task] for task in got.task[:4]] == ['point', 'pick', 'push', 'put']
    assert got.seen_px[:, 0].isfinite().all()
    assert got.seen_px[:4, 1].isfinite().all(dim=1).tolist() == [False, False, True, True]
    some = frames(4)
    known = {
        tuple(label['position'].round(4))
        for f in (some, frames(6))
        for label in f['labels'].ravel()
    }
    for position, yaw in zip(got.position.numpy(), got.yaw, strict=True):
        mirrored = -1.0 if yaw < 0.0 else 1.0
        assert tuple((position * (1.0, mirrored, 1.0)).astype(np.float32).round(4)) in known


def test_what_another_thing_in_the_hand_changes_is_not_rehearsed():
    some = frames(3)
    ball, block = OBJECT_NAMES.index('red ball'), OBJECT_NAMES.index('red block')
    some['state'][:, 7] = (0.5, 0.5, 0.0)
    for row, thing in enumerate((ball, block, block)):
        some['object_xyz'][row, thing] = some['state'][row, :3]
    told = [TASKS[task] for task in rehearsal_of(some).task]
    # The ball is to be picked up, the block to be pointed at; open fingers hold nothing.
    assert told == ['pick', 'point', 'pick', 'push', 'put']


def test_a_rehearsal_is_drawn_by_step_and_shared_by_processes():
    drawn = batches(rehearsed=4)
    whole, again, other = drawn.rehearsal(0), drawn.rehearsal(0), drawn.rehearsal(1)
    assert torch.equal(whole.position, again.position)
    assert not torch.equal(whole.position, other.position)
    shares = [drawn.rehearsal(0, rank, 2).position.view(2, 4, 3) for rank in (0, 1)]
    assert torch.equal(torch.stack(shares, dim=1).view(-1, 3), whole.position)
    assert batches().rehearsal(0) is None


def test_each_colour_and_shape_knows_the_places_of_all_its_objects():
    got = batch()
    for name in OBJECT_NAMES:
        colour, shape = list(COLOURS).index(name.split()[0]), SHAPES.index(name.split()[1])
        of_colour, of_shape = got.colours_px[:, colour, shape], got.shapes_px[:, shape, colour]
        assert torch.equal(of_colour.isfinite(), torch.full((8, 2), name in HERE))
        torch.testing.assert_close(of_colour, of_shape, equal_nan=True)
