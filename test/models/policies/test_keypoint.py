import io

import numpy as np
import pytest
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import REFUSALS
from vla_ros.models.grounding import ground
from vla_ros.models.meaning import Meaning
from vla_ros.models.policies.keypoint import _beyond
from vla_ros.models.registry import build_policy, policy_names, PolicySpec
from vla_ros.models.text.reader import Reading
from vla_ros.models.vision.cells import cell_pixels
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import Look

TASKS = (*REFUSALS, 'point', 'pick', 'push', 'put')
SMALL = {'image_width': 8, 'text_width': 8, 'heads': 2, 'key_width': 4, 'hidden': 8}
LOW, HIGH = (0.3, -0.2, 0.02), (0.6, 0.2, 0.25)
COLOURS, SHAPES = 6, 3
OPEN_COLOUR, OTHER_COLOUR, OPEN_SHAPE, OTHER_SHAPE = COLOURS, COLOURS + 1, SHAPES, SHAPES + 1
OTHER_ZONE = COLOURS


@pytest.fixture
def spec():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return PolicySpec(
        camera=camera_model(Look(), 32, 32),
        text_width=6,
        tasks=TASKS,
        zone_tasks=('push', 'put'),
        colours=COLOURS,
        shapes=SHAPES,
        workspace_min=LOW,
        workspace_max=HIGH,
        horizon=4,
        dt_s=0.1,
        speed_m_s=0.2,
        angular_speed_rad_s=0.5,
    )


@pytest.fixture
def policy(spec):
    return build_policy('keypoint', spec, SMALL).eval()


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    image = torch.randint(0, 256, (2, 1, 3, 32, 32), dtype=torch.uint8)
    text, mask = torch.randn(2, 5, 6), torch.tensor([[True] * 3 + [False] * 2] * 2)
    state = torch.tensor([[0.4, 0.1, 0.15, 1.0, 0.0, 0.0, 0.0, 0.2]] * 2)
    return image, text, mask, state


def meaning(*rows):
    """Return the Meaning of rows of (task, colour, shape, zone)."""
    return Meaning(*torch.tensor(rows).unbind(dim=1))


def certain(classes, count):
    return torch.nn.functional.one_hot(torch.tensor([classes]), count) * 30.0


def read(task, colour=0, shape=0, zone=0):
    """Return the Reading of one sentence that means these classes for sure."""
    return Reading(
        certain(0 if task == 'none' else TASKS.index(task) - 2, 5),
        certain(colour, COLOURS + 2),
        certain(shape, SHAPES + 2),
        certain(zone, COLOURS + 1),
        words=torch.ones(1, 4, 1),
    )


def judged(policy, reading, object_there=True, zone_there=True):
    """Return the probability of each task for a reading and what is in the picture."""
    things = torch.full((1, COLOURS + 1, SHAPES + 1), float(object_there))
    zones = torch.full((1, COLOURS), float(zone_there))
    grounded = ground(reading, things, zones, policy.names_zone)
    logits = policy._task_logits(reading.task, grounded)[0]
    return dict(zip(TASKS, logits.softmax(dim=0).tolist(), strict=True))


def surely(task):
    return {name: pytest.approx(float(name == task), abs=1e-3) for name in TASKS}


def test_the_output_keeps_the_contract(policy, inputs):
    output = policy(*inputs)
    assert output.actions.shape == (2, 4, 8)
    assert output.termination.shape == (2, 4)
    assert output.task_logits.shape == (2, len(TASKS))
    assert output.attention.shape == (2, 5, 8, 8)
    assert (output.attention >= 0).all()


def test_the_first_action_is_the_measured_pose(policy, inputs):
    torch.testing.assert_close(policy(*inputs).actions[:, 0, :7], inputs[3][:, :7])


def test_masked_tokens_change_nothing_and_get_no_attention(policy, inputs):
    image, text, mask, state = inputs
    before = policy(image, text, mask, state)
    after = policy(image, text + 9.0 * ~mask[:, :, None], mask, state)
    assert torch.equal(before.actions, after.actions)
    assert torch.equal(before.task_logits, after.task_logits)
    assert (before.attention[:, 3:] == 0).all()


def test_other_meanings_give_other_decisions(policy, inputs):
    seen = policy.see(inputs[0][:1])
    asked = meaning((1, 0, 0, -1), (1, 1, 0, -1), (1, 0, 1, -1), (2, 0, 0, -1), (4, 0, 0, 3))
    decision = policy.decide(seen, asked, inputs[3][:1].expand(5, -1))
    different = (decision.position[:, None] != decision.position[None]).any(dim=-1)
    assert (different | torch.eye(5).bool()).all()


def test_a_row_of_a_batch_is_as_if_it_were_alone(policy, inputs):
    together = policy(*inputs)
    alone = policy(*(tensor[1:] for tensor in inputs))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-5, rtol=1e-4)


def test_several_commands_of_one_picture_equal_one_command_each(policy, inputs):
    state = inputs[3]
    seen = policy.see(inputs[0][:1])
    rows = (3, 2, -1, 4), (1, -1, 2, -1)
    together = policy.decide(seen, meaning(*rows), state)
    alone = policy.decide(seen, meaning(rows[1]), state[1:])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-5, rtol=1e-4)


def test_the_rows_of_each_picture_stand_together(policy, inputs):
    image, state = inputs[0], inputs[3]
    rows = (3, 2, 1, 4), (1, 0, 2, -1)
    both = policy.decide(policy.see(image), meaning(*rows, *rows), state.repeat(2, 1))
    second = policy.decide(policy.see(image[1:]), meaning(*rows), state)
    torch.testing.assert_close(both.position[2:], second.position, atol=1e-5, rtol=1e-4)


def test_a_colour_left_open_has_no_say_in_where_to_look(policy, inputs):
    image, state = inputs[0][:1], inputs[3][:1]
    left_open = policy.decide(policy.see(image), meaning((2, -1, 1, -1)), state)
    with torch.no_grad():
        policy.colour_keys.zero_()
    without = policy.decide(policy.see(image), meaning((2, 5, 1, -1)), state)
    torch.testing.assert_close(left_open.object_attention, without.object_attention)


def test_with_nothing_named_every_place_is_as_good(policy, inputs):
    decision = policy.decide(policy.see(inputs[0][:1]), meaning((2, -1, -1, -1)), inputs[3][:1])
    torch.testing.assert_close(decision.object_attention, torch.full((1, 64), 1.0 / 64))
    torch.testing.assert_close(decision.zone_attention, torch.full((1, 64), 1.0 / 64))


def test_the_hand_is_looked_for_whatever_the_command(policy, inputs):
    asked = meaning((1, 0, 0, -1), (4, 3, 2, 5))
    hand = policy.decide(policy.see(inputs[0][:1]), asked, inputs[3]).hand_attention
    assert torch.equal(hand[0], hand[1])


def test_the_scripted_file_computes_the_same(policy, inputs):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(policy), buffer)
    buffer.seek(0)
    for a, b in zip(policy(*inputs), torch.jit.load(buffer)(*inputs), strict=True):
        torch.testing.assert_close(a, b)


def test_gradients_reach_every_parameter(policy, inputs):
    output = policy.train()(*inputs)
    sum(part.square().sum() for part in output).backward()
    assert [n for n, p in policy.named_parameters() if p.grad is None] == []


def test_no_task_stays_where_the_robot_is(policy, inputs):
    with torch.no_grad():
        policy.reader.to_task.bias.copy_(torch.tensor([50.0, 0.0, 0.0, 0.0, 0.0]))
    actions = policy(*inputs).actions
    torch.testing.assert_close(actions[:, -1, :3], inputs[3][:, :3])


@pytest.mark.parametrize('sign', [-1.0, 1.0])
def test_no_target_leaves_the_workspace(policy, inputs, sign):
    with torch.no_grad():
        for parameter in policy.head.parameters():
            parameter.mul_(sign * 100.0)
    places = torch.tensor([[0.4, 0.1, 0.15], [0.1, -0.9, 0.9], [0.9, 0.9, 0.0]])
    state = torch.cat([places, inputs[3][:1, 3:].expand(3, -1)], dim=1)
    for task in range(1, 5):
        asked = meaning(*[(task, 1, 2, 3)] * 3)
        position = policy.decide(policy.see(inputs[0][:1]), asked, state).position
        assert (position >= torch.tensor(LOW) - 1e-6).all()
        assert (position <= torch.tensor(HIGH) + 1e-6).all()


# What is meant, and what is refused.


def test_probabilities_of_all_tasks_sum_to_one(policy, inputs):
    for scale in (0.1, 1.0, 10.0):
        image, text, mask, state = inputs
        logits = policy(image, scale * text, mask, state).task_logits
        torch.testing.assert_close(logits.exp().sum(dim=-1), torch.ones(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize('task', ['point', 'pick', 'push', 'put'])
def test_what_is_clear_and_there_is_done(policy, task):
    assert judged(policy, read(task)) == surely(task)


@pytest.mark.parametrize('there', [True, False])
def test_no_task_is_none_whatever_is_there(policy, there):
    reading = read('none', OTHER_COLOUR, OTHER_SHAPE, OTHER_ZONE)
    assert judged(policy, reading, there, there) == surely('none')


@pytest.mark.parametrize(
    'reading',
    [
        read('pick', OTHER_COLOUR),
        read('pick', 0, OTHER_SHAPE),
        read('pick', OPEN_COLOUR, OTHER_SHAPE),
        read('pick', OPEN_COLOUR, OPEN_SHAPE),
        read('put', zone=OTHER_ZONE),
        read('push', zone=OTHER_ZONE),
    ],
)
@pytest.mark.parametrize('there', [True, False])
def test_what_nobody_can_tell_is_unclear_whether_there_or_not(policy, reading, there):
    assert judged(policy, reading, there, there) == surely('unclear')


@pytest.mark.parametrize(
    'reading',
    [read('pick', OPEN_COLOUR, 1), read('pick', 1, OPEN_SHAPE), read('pick', zone=OTHER_ZONE)],
)
def test_what_may_be_left_out_is_not_missed(policy, reading):
    assert judged(policy, reading) == surely('pick')


@pytest.mark.parametrize('there', [(False, True), (True, False), (False, False)])
def test_what_is_not_there_is_absent(policy, there):
    assert judged(policy, read('put'), *there) == surely('absent')


def test_a_zone_that_nobody_named_may_be_absent(policy):
    assert judged(policy, read('point'), zone_there=False) == surely('point')


def test_a_threshold_becomes_a_half_and_order_stays():
    probability = torch.linspace(0.0, 1.0, 11)
    for threshold in (0.1, 0.5, 0.9):
        beyond = _beyond(probability, torch.tensor(threshold))
        assert (beyond.diff() > 0).all()
        assert torch.equal(beyond > 0.5, probability > threshold + 1e-6)
    torch.testing.assert_close(_beyond(probability, torch.tensor(0.5)), probability)


def test_cells_look_where_the_camera_says(policy, spec):
    row, column = 5, 3
    cell = row * 8 + column
    pixel = cell_pixels(spec.camera, 4)[cell]
    np.testing.assert_allclose(pixel, [column * 4 + 1.5, row * 4 + 1.5])
    back = spec.camera.project([*policy.xy[cell, 0].tolist(), 0.022])[0]
    np.testing.assert_allclose(back, pixel, atol=1e-3)


def test_the_registry_knows_it():
    assert 'keypoint' in policy_names()


def test_an_unknown_policy_is_refused_with_the_known_ones(spec):
    with pytest.raises(ConfigurationError, match='valid: .*keypoint'):
        build_policy('nonsense', spec, {})


def test_an_unknown_option_is_refused_with_the_known_ones(spec):
    with pytest.raises(ConfigurationError, match="no option 'depth'; valid: image_width"):
        build_policy('keypoint', spec, {'depth': 3})
