from every_policy import POSE, SPEC
import pytest
import torch
from torch import nn

from vla_ros.models.heads.waypoint import WaypointHead
from vla_ros.models.layers.gaze import LOOKS, Looks, NAMED
from vla_ros.models.layers.pointing import ground_behind
from vla_ros.models.vision.cells import OBJECT_PLANE_M

WIDTH = 8
PICK, PUT = SPEC.tasks.index('pick'), SPEC.tasks.index('put')


@pytest.fixture
def head():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return WaypointHead(WIDTH, 2, SPEC).eval()


def given(points=((0.4, 0.1), (0.5, -0.1)), camera_error=(0.0, 0.0)):
    tokens, there = torch.randn(1, 3, WIDTH), torch.ones(1, 3, dtype=torch.bool)
    seen = torch.randn(1, LOOKS, WIDTH)
    camera_position = torch.from_numpy(SPEC.camera.base_from_camera.position).float()
    hand = ground_behind(POSE[None], camera_position, OBJECT_PLANE_M)
    at = torch.cat([torch.tensor(points), hand]) + torch.tensor(camera_error)
    looks = Looks(torch.zeros(1, LOOKS, 4), at[None], seen)
    put = 50.0 * torch.nn.functional.one_hot(torch.tensor([PUT]), len(SPEC.tasks))
    return tokens, there, looks, put, POSE[None]


@pytest.mark.parametrize('look', range(NAMED))
def test_the_way_leads_to_where_it_looks(head, look):
    nn.init.zeros_(head.act.out.weight)
    nn.init.zeros_(head.act.out.bias)
    head.act.out.bias.data[look] = 50.0
    tokens, there, looks, task, state = given()
    way = head(tokens, there, looks, task, state).position[0, -1, :2] - POSE[:2]
    wanted = looks.points[0, look] - POSE[:2]
    assert torch.cosine_similarity(way, wanted, dim=0).item() > 0.999


def test_a_camera_that_is_off_moves_nothing_once_its_error_is_trusted(head):
    nn.init.zeros_(head.act.out.weight)
    nn.init.zeros_(head.act.out.bias)
    head.act.out.bias.data[0] = 50.0
    nn.init.ones_(head.trust)
    torch.manual_seed(1)
    one = head(*given())
    torch.manual_seed(1)
    other = head(*given(camera_error=(0.02, -0.01)))
    torch.testing.assert_close(one.position, other.position)


def test_nothing_that_it_reads_takes_it_out_of_the_workspace(head):
    tokens, *others = given(((5.0, 5.0), (-5.0, 0.0)))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(50.0)
    position = head(100.0 * tokens, *others).position
    assert bool((position >= head.low - 1e-6).all())
    assert bool((position <= head.high + 1e-6).all())


def test_where_the_zone_is_changes_nothing_for_a_task_that_names_none(head):
    tokens, there, looks, put, state = given()
    pick = 200.0 * torch.nn.functional.one_hot(torch.tensor([PICK]), head.tasks)
    other = looks._replace(points=looks.points + torch.tensor([[0.0], [0.1], [0.0]]))
    torch.testing.assert_close(
        head(tokens, there, looks, pick, state).position,
        head(tokens, there, other, pick, state).position,
    )
    moved = head(tokens, there, other, put, state).position
    assert not torch.allclose(moved, head(tokens, there, looks, put, state).position)


def test_what_is_done_teaches_nothing_about_the_task(head):
    tokens, there, looks, task, state = given()
    task.requires_grad_()
    head(tokens, there, looks, task, state).position.sum().backward()
    assert task.grad is None
    assert head.act.first.weight.grad is not None


def test_what_is_rehearsed_is_what_is_done_when_nothing_else_is_read(head):
    tokens, there, looks, _, state = given()
    nn.init.zeros_(head.act.first.weight[:, :WIDTH])
    sure = 50.0 * torch.nn.functional.one_hot(torch.tensor([PICK]), head.tasks)
    done = head(tokens, there, looks, sure, state)
    for one, other in zip(
        done, head.rehearse(torch.tensor([PICK]), looks.points, state), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_it_scripts_and_computes_the_same(head):
    inputs = given()
    for one, other in zip(head(*inputs), torch.jit.script(head)(*inputs), strict=True):
        torch.testing.assert_close(one, other)
