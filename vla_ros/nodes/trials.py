"""
The trials of the evaluation in the running graph: real nodes, real middleware, real time.

Calls: the sim node's ~/set_parameters and ~/reset
"""

from __future__ import annotations

import numpy as np
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from vla_ros.evaluation.episodes import Episode
from vla_ros.evaluation.judging import Judge, RefusalJudge, TaskJudge
from vla_ros.evaluation.splits import build, Spec
from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import State
from vla_ros.sim.scene import SceneSpec
from vla_ros.sim.scene_json import scene_to_json
from vla_ros.sim.tasks import TIME_LIMIT_S

_SET_PARAMETERS = wiring.ServiceName('~/set_parameters', SetParameters, 'sim', 'of every node')
#: After a reset, for the first frames of the new scene to pass through the graph.
_SETTLE_S = 1.0
#: The simulator tells its state ten times a second.
_SILENCE_S = 10.0


def run_trial(user: Client, spec: Spec) -> Episode:
    """
    Show the scene of ``spec``, give its command as a user would, and judge what happens.

    Raises TimeoutError if the simulator falls silent.
    """
    trial = build(spec)
    _show(user, trial.scene)
    judge: Judge = TaskJudge(TIME_LIMIT_S[trial.task.kind]) if trial.task else RefusalJudge()
    truth, before_ns = _next_state(user), user.status.command_stamp_ns
    start_s, path_m, is_over = truth['time_s'], 0.0, False
    reason = Reason.NO_COMMAND
    user.publish(trial.text)
    while not is_over:
        before, truth = truth['end_effector'][:3], _next_state(user)
        path_m += float(np.linalg.norm(np.subtract(truth['end_effector'][:3], before)))
        holds = trial.task is not None and truth['success'][trial.task.key]
        # Until the pose node has heard the command it tells about the one before.
        state = State.IDLE
        if user.status.command_stamp_ns != before_ns:
            state = State(user.status.state)
            reason = Reason(user.status.reason)  # type: ignore[call-arg]  # by its code
        is_over = judge.observe(truth['time_s'] - start_s, holds, state, reason, path_m)
    return Episode(
        spec=spec,
        text=trial.text,
        task=trial.task.key if trial.task else '',
        success=judge.success,
        stopped=judge.stopped,
        false_stop=judge.false_stop,
        seconds=judge.seconds,
        path_m=judge.path_m,
        reason=reason.value,
    )


def _show(user: Client, scene: SceneSpec) -> None:
    """Hold, build ``scene``, and wait until the graph sees it."""
    user.say('stop')
    value = Parameter('scene', value=scene_to_json(scene)).to_parameter_msg()
    user.call(_SET_PARAMETERS, SetParameters.Request(parameters=[value]))
    _next_state(user)
    user.new_scene()
    user.wait(lambda: False, _SETTLE_S)


def _next_state(user: Client) -> dict:
    """Return the next ground truth; raises TimeoutError if there is none for long."""
    count = user.sim_state_count
    if not user.wait(lambda: user.sim_state_count > count, _SILENCE_S):
        raise TimeoutError(f'the simulator has told nothing for {_SILENCE_S:.0f} s')
    assert user.sim_state is not None
    return user.sim_state
