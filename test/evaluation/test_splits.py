from collections import Counter

import numpy as np
import pytest

from vla_ros.evaluation.splits import (
    build,
    COMMANDS,
    own_specs,
    random_of,
    rows,
    Spec,
    specs,
    SPLITS,
)
from vla_ros.pipeline.command import is_stop
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import HELD_OUT_PAIRS
from vla_ros.sim.tasks import KINDS, possible_tasks, succeeded, Task
from vla_ros.training import collection

SAID = (Task('put', 'blue ball', 'green'), 'blue ball, green zone')


@pytest.mark.parametrize('split', SPLITS)
def test_a_spec_always_names_the_same_trial(split):
    for spec in specs(split, 2, seed=7):
        assert build(spec) == build(spec)


@pytest.mark.parametrize('split', [name for name in SPLITS if name != 'refuse'])
def test_what_is_asked_for_can_be_done(split):
    for spec in specs(split, 8, seed=0):
        trial = build(spec)
        assert trial.text
        assert trial.task in possible_tasks(trial.scene)


@pytest.mark.parametrize('split', [name for name in SPLITS if name not in ('pairs', 'refuse')])
def test_objects_never_trained_on_are_not_asked_for(split):
    assert not {build(spec).task.object for spec in specs(split, 30, 0)} & set(HELD_OUT_PAIRS)


def test_in_pairs_only_objects_never_trained_on_are_asked_for():
    asked = {build(spec).task.object for spec in specs('pairs', 60, 0)}
    assert asked == set(HELD_OUT_PAIRS)


def test_no_trial_is_drawn_as_a_shard_of_training_or_a_simulation_is():
    trials = {
        random_of(Spec(split, row, seed)).bit_generator.seed_seq.generate_state(4).tobytes()
        for split in SPLITS
        for row in rows(split)
        for seed in range(50)
    }
    others = {
        random.bit_generator.seed_seq.generate_state(4).tobytes()
        for seed in range(50)
        for random in (collection.random_of(seed), np.random.default_rng(seed))
    }
    assert len(others) == 100
    assert not trials & others


def test_nothing_is_reached_before_it_begins():
    env = TabletopEnv(16)
    for spec in specs('known', 5, seed=3):
        env.reset(scene=build(spec).scene)
        assert not any(succeeded(env, task) for task in possible_tasks(env.scene))


def test_the_commands_of_a_swap_differ_in_the_object_alone():
    first, second = (build(Spec('swap', 'put', 5, turn)) for turn in (0, 1))
    assert first.scene == second.scene
    assert first.task.object != second.task.object
    assert (first.task.kind, first.task.zone) == (second.task.kind, second.task.zone)


def test_nothing_may_move_for_a_command_to_refuse():
    trials = [build(spec) for spec in specs('refuse', 20, 0)]
    assert {trial.task for trial in trials} == {None}


def test_an_empty_command_has_nothing_to_read_or_is_a_stop():
    assert all(is_stop(build(Spec('refuse', 'empty', seed)).text) for seed in range(20))


@pytest.mark.parametrize('row', rows('disturbed'))
def test_every_disturbance_meets_every_kind_of_task(row):
    trials = [build(Spec('disturbed', row, seed)) for seed in range(4)]
    assert {trial.disturbance for trial in trials} == {row}
    assert {trial.task.kind for trial in trials} == set(KINDS)


def test_known_has_all_episodes_of_each_task_and_other_splits_share_them():
    known, words = specs('known', 8, 0), specs('words', 8, 0)
    assert Counter(spec.row for spec in known) == dict.fromkeys(KINDS, 8)
    assert Counter(spec.row for spec in words) == dict.fromkeys(KINDS, 2)
    assert [spec.turn for spec in specs('swap', 4, 0)] == [0, 1] * 4


def test_scenes_are_the_same_in_the_splits_of_phrasings():
    scenes = [build(Spec(split, 'pick', 3)).scene for split in ('known', 'words', 'both')]
    assert scenes[0] == scenes[1] == scenes[2]


def test_own_commands_are_said_in_scenes_that_hold_what_they_name():
    made = own_specs([SAID, (Task('pick', 'red block'), 'red one')], episodes=3, seed=0)
    assert [spec.row for spec in made] == ['put'] * 3 + ['pick'] * 3
    trials = [build(spec) for spec in made]
    assert {trial.text for trial in trials} == {'blue ball, green zone', 'red one'}
    assert all(trial.task in possible_tasks(trial.scene) for trial in trials)
    places = np.array([trial.scene.object('blue ball').x for trial in trials[:3]])
    assert len(set(places)) == 3
    assert {spec.split for spec in made} == {COMMANDS}
