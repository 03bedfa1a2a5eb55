import io

import numpy as np
import pytest
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.policies.keypoint import _nearest_yaw, cell_pixels
from vla_ros.models.registry import build_policy, policy_names, PolicySpec
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import Look

TASKS = ('none', 'point', 'pick', 'push', 'put')
SMALL = {'image_width': 8, 'text_width': 8, 'heads': 2, 'key_width': 4, 'hidden': 8}


@pytest.fixture
def spec():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return PolicySpec(
        camera=camera_model(Look(), 32, 32),
        text_width=6,
        tasks=TASKS,
        zone_tasks=('push', 'put'),
        colours=6,
        shapes=3,
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


def test_the_output_keeps_the_contract(policy, inputs):
    output = policy(*inputs)
    assert output.actions.shape == (2, 4, 8)
    assert output.termination.shape == (2, 4)
    assert output.task_logits.shape == (2, 5)
    assert output.attention.shape == (2, 5, 8, 8)
    assert (output.attention >= 0).all()


def test_the_first_action_is_the_measured_pose(policy, inputs):
    torch.testing.assert_close(policy(*inputs).actions[:, 0, :7], inputs[3][:, :7])


def test_masked_tokens_change_nothing_and_get_no_attention(policy, inputs):
    image, text, mask, state = inputs
    before = policy(image, text, mask, state)
    after = policy(image, text + 9.0 * ~mask[:, :, None], mask, state)
    assert torch.equal(before.actions, after.actions)
    assert (before.attention[:, 3:] == 0).all()


def test_other_words_give_other_actions(policy, inputs):
    image, text, mask, state = inputs
    one, other = policy(image, text, mask, state), policy(image, -text, mask, state)
    assert not torch.allclose(one.actions, other.actions)


def test_a_row_of_a_batch_is_as_if_it_were_alone(policy, inputs):
    together = policy(*inputs)
    alone = policy(*(tensor[1:] for tensor in inputs))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-5, rtol=1e-4)


def test_several_commands_of_one_picture_equal_one_command_each(policy, inputs):
    image, text, mask, state = inputs
    seen = policy.see(image[:1])
    together = policy.decide(seen, text, mask, state)
    alone = policy.decide(seen, text[1:], mask[1:], state[1:])
    torch.testing.assert_close(together.position[1:], alone.position, atol=1e-5, rtol=1e-4)


def test_the_scripted_file_computes_the_same(policy, inputs):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(policy), buffer)
    buffer.seek(0)
    for a, b in zip(policy(*inputs), torch.jit.load(buffer)(*inputs), strict=True):
        torch.testing.assert_close(a, b)


def test_gradients_reach_every_parameter_that_acts(policy, inputs):
    output = policy.train()(*inputs)
    (output.actions.square().sum() + output.termination.sum() + output.attention.sum()).backward()
    supervised = ('to_colour', 'to_shape', 'to_zone')
    idle = [
        name
        for name, parameter in policy.named_parameters()
        if parameter.grad is None and not name.startswith(supervised)
    ]
    assert idle == []


def test_no_task_stays_where_the_robot_is(policy, inputs):
    with torch.no_grad():
        policy.to_task.bias.copy_(torch.tensor([50.0, 0.0, 0.0, 0.0, 0.0]))
    actions = policy(*inputs).actions
    torch.testing.assert_close(actions[:, -1, :3], inputs[3][:, :3])


def test_the_ground_behind_a_point_on_the_plane_is_that_point(policy):
    point = torch.tensor([[0.45, -0.1, 0.022]])
    torch.testing.assert_close(policy._ground_behind(point), point[:, :2])


def test_cells_look_where_the_camera_says(policy, spec):
    row, column = 5, 3
    cell = row * 8 + column
    pixel = cell_pixels(spec.camera, 4)[cell]
    np.testing.assert_allclose(pixel, [column * 4 + 1.5, row * 4 + 1.5])
    back = spec.camera.project([*policy.xy[cell, 0].tolist(), 0.022])[0]
    np.testing.assert_allclose(back, pixel, atol=1e-3)


@pytest.mark.parametrize(
    ('wanted_deg', 'now_deg', 'got_deg'), [(40, 0, 40), (-40, 40, 50), (0, 50, 0), (-20, 55, -20)]
)
def test_of_equal_quarter_turns_the_nearest_is_chosen(wanted_deg, now_deg, got_deg):
    yaw = torch.tensor([wanted_deg]).deg2rad()
    vector = torch.stack([torch.cos(4 * yaw), torch.sin(4 * yaw)], dim=-1)
    got = _nearest_yaw(vector, torch.tensor([now_deg]).deg2rad(), np.deg2rad(60.0))
    assert float(got.rad2deg()) == pytest.approx(got_deg, abs=1e-3)


def test_the_registry_knows_it():
    assert 'keypoint' in policy_names()


def test_an_unknown_policy_is_refused_with_the_known_ones(spec):
    with pytest.raises(ConfigurationError, match='valid: keypoint'):
        build_policy('nonsense', spec, {})


def test_an_unknown_option_is_refused_with_the_known_ones(spec):
    with pytest.raises(ConfigurationError, match="no option 'depth'; valid: image_width"):
        build_policy('keypoint', spec, {'depth': 3})
