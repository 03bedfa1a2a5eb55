"""How often the scripted expert succeeds: the ceiling for every policy trained from it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
import multiprocessing
import os

import numpy as np

from vla_ros.evaluation.statistics import Rate
from vla_ros.pipeline.motion import Limits, MotionLimiter
from vla_ros.sim.environment import CONTROL_DT_S, TabletopEnv, WORKSPACE_MAX, WORKSPACE_MIN
from vla_ros.sim.expert import waypoint
from vla_ros.sim.tasks import KINDS, possible_tasks, succeeded, Task, TIME_LIMIT_S


@dataclass(frozen=True)
class ExpertEpisode:
    task: Task
    seed: int
    success: bool
    seconds: float


def run_episode(seed: int, kind: str) -> ExpertEpisode:
    """Let the expert do a task of that kind in the scene of ``seed``, under the gate's limits."""
    env = TabletopEnv(32, seed=seed)
    tasks = possible_tasks(env.scene, (kind,))
    task = tasks[int(np.random.default_rng([seed, KINDS.index(kind)]).integers(len(tasks)))]
    limiter = MotionLimiter(Limits(WORKSPACE_MIN, WORKSPACE_MAX), env.end_effector)
    while env.time_s < TIME_LIMIT_S[kind]:
        advice = waypoint(env, task)
        env.step(limiter.step(advice.pose, CONTROL_DT_S), advice.gripper)
        if advice.done and succeeded(env, task):
            return ExpertEpisode(task, seed, True, env.time_s)
    return ExpertEpisode(task, seed, False, env.time_s)


def evaluate_expert(episodes: int, seed: int) -> list[ExpertEpisode]:
    """Run ``episodes`` of every task over all cores; the result depends on the seed alone."""
    context = multiprocessing.get_context('spawn')
    seeds = range(seed, seed + episodes)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        runs = [pool.map(partial(run_episode, kind=k), seeds, chunksize=10) for k in KINDS]
        return [episode for run in runs for episode in run]


def success_rates(episodes: list[ExpertEpisode]) -> dict[str, Rate]:
    """Return the success rate of each task kind."""
    rates = {}
    for kind in KINDS:
        chosen = [e.success for e in episodes if e.task.kind == kind]
        rates[kind] = Rate.of(sum(chosen), len(chosen))
    return rates
