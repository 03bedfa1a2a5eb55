import pytest

from vla_ros.evaluation.splits import build, Spec
from vla_ros.nodes import trials
from vla_ros.nodes.client import client
from vla_ros.nodes.sim_node import SimNode

pytestmark = pytest.mark.ros


def in_graph(graph):
    """Return a client that keeps the graph under test running while it waits."""

    def spin():
        for _ in range(10):
            graph._executor.spin_once(timeout_sec=0.0)

    return client(on_spin=spin)


def test_the_simulator_shows_the_very_scene_and_a_still_robot_passes_a_refusal(graph):
    sim = graph.add(SimNode())
    spec = Spec('refuse', 'empty', 3)
    with in_graph(graph) as user:
        episode = trials.run_trial(user, spec)
    assert sim._env.scene == build(spec).scene
    assert (episode.success, episode.reason) == (True, 'no_command')
    assert episode.seconds == pytest.approx(3.0, abs=0.5)


def test_a_robot_that_does_nothing_fails_its_task(graph):
    graph.add(SimNode())
    with in_graph(graph) as user:
        episode = trials.run_trial(user, Spec('known', 'point', 3))
    assert not episode.success
    assert episode.task.startswith('point|')
    assert episode.seconds == pytest.approx(8.0, abs=0.5)


def test_a_simulator_that_falls_silent_is_told(graph, monkeypatch):
    monkeypatch.setattr(trials, '_SILENCE_S', 0.2)
    with in_graph(graph) as user, pytest.raises(TimeoutError, match='told nothing'):
        trials._next_state(user)
