"""What really is on the table, as plain data for whoever judges."""

from __future__ import annotations

from typing import Any

from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.tasks import possible_tasks, succeeded


def ground_truth(env: TabletopEnv, seed: int) -> dict[str, Any]:
    """
    Return time, scene, and for each task that can be asked whether its goal holds now.

    ``success`` is keyed by ``Task.key``; positions are in metres in the base frame, rounded to
    0.1 mm; the end effector is x, y, z, qx, qy, qz, qw.
    """
    return {
        'time_s': round(env.time_s, 3),
        'seed': seed,
        'end_effector': [round(float(v), 4) for v in env.end_effector.vector()],
        'gripper': round(env.gripper_closing, 3),
        'objects': {
            spec.name: [round(float(v), 4) for v in env.object_position(spec.name)]
            for spec in env.scene.objects
        },
        'zones': {spec.name: [spec.x, spec.y] for spec in env.scene.zones},
        'success': {task.key: succeeded(env, task) for task in possible_tasks(env.scene)},
    }
