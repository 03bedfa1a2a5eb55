"""Every policy on the same demonstrations for as many steps, several of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import replace
import json
import multiprocessing
from pathlib import Path

import torch

from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.report import read_report, Report, report_path
from vla_ros.pipeline.manifest import read_manifest
from vla_ros.training.begun import check_begun, config_path, differences
from vla_ros.training.collection import collect, load_frames
from vla_ros.training.config import save_config, TrainConfig
from vla_ros.training.kept import bring_source
from vla_ros.training.run import train
from vla_ros.training.sentences import sentence_bank

#: What policies share of a run's folder: files, so that what is missing is never made in there.
_SHARED = (
    'demonstrations/*.npy', 'corrections-*/*.npy', 'validation/*.npy', 'sentences-*.npz', 'parts.*'
)  # fmt: skip


def config_of(config: TrainConfig, policy: str) -> TrainConfig:
    """Return how a policy is trained; ``config.options`` are those of ``config.policy`` alone."""
    options = config.options if policy == config.policy else {}
    return replace(config, policy=policy, options=options)


def share(data: Path, folder: Path) -> None:
    """Let what a run or the zoo has of data be found in another folder as well."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, link in _links(data, folder):
        if link.is_symlink() and not link.exists():
            link.unlink()  # what it led to was removed
        if not link.exists():
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(path.resolve())


def borrow(config: TrainConfig, run: Path, data: Path) -> None:
    """
    Let the zoo find what a finished run, or another zoo, has of data in its own folder of them.

    Raises ConfigurationError, before anything is linked, if it is not what ``config`` makes, or
    if the zoo has data of another run.
    """
    if not (run / 'demonstrations').is_dir():
        raise ConfigurationError(f'{run} has no demonstrations: give a finished run')
    if not config_path(run).is_file():
        raise ConfigurationError(f'{run} has no {config_path(run).name}: give a finished run')
    if found := differences(config, run, _made_by(config)):
        raise ConfigurationError(
            f'{run} has other data: {found}; give its configuration with '
            f'--config {config_path(run)}, or leave --data to make new data'
        )
    _check_own(config, data)
    for path, link in _links(run, data):
        if link.is_symlink() and link.exists() and link.resolve() != path.resolve():
            raise ConfigurationError(
                f'{link} is of another run, {link.resolve().parent}: choose other --runs'
            )
    share(run, data)


def prepare(config: TrainConfig, data: Path, workers: int) -> int:
    """
    Make what is missing of the shared data; return the number of demonstrated frames.

    Raises ConfigurationError if what is there was made otherwise, or if there are to be
    corrections but are none: each policy would drive for its own.
    """
    _check_own(config, data)
    rounds = [data / f'corrections-{stage}' for stage in range(len(config.corrections.at_steps))]
    if missing := [path for path in rounds if not path.is_dir()]:
        raise ConfigurationError(
            f'{missing[0]} is not there: give the folder of a run that has corrections with '
            '--data, or leave corrections.at_steps empty'
        )
    data.mkdir(parents=True, exist_ok=True)
    save_config(config, config_path(data))
    bring_source(config.parts_of, data)
    sentence_bank(data, config.sentences, config.seed, workers)
    made = config.demonstrations
    shards = collect(data / 'demonstrations', made, config.episodes, config.seed, workers)
    return sum(len(shard) for shard in load_frames(shards, made))


def train_all(
    configs: Mapping[str, TrainConfig], folder: Path, data: Path, workers: int
) -> Iterator[tuple[str, Exception | None]]:
    """
    Train those policies that are not, each in a process of one thread; yield each with its error.

    Policy ``name`` is ``folder/name/name.pt``. What is finished is kept; a run that was killed
    goes on. Raises ConfigurationError if one was begun with another configuration.
    """
    waiting = {}
    for name, config in configs.items():
        if _is_trained(folder / name, name, config):
            yield name, None
        else:
            share(data, folder / name)
            waiting[name] = config
    context = multiprocessing.get_context('spawn')  # fork does not go with threads of torch
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        jobs = {pool.submit(_train, c, folder / name, name): name for name, c in waiting.items()}
        for job in as_completed(jobs):
            error = job.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield jobs[job], error


def policy_path(folder: Path, name: str) -> Path:
    return folder / name / f'{name}.pt'


def minutes(folder: Path) -> float:
    """Return how long a policy was trained, by its log: a run that was killed and went on adds."""
    total_s = last_s = 0.0
    for line in (folder / 'log.jsonl').read_text().splitlines():
        elapsed_s = json.loads(line)['elapsed_s']
        total_s += elapsed_s - last_s if elapsed_s > last_s else elapsed_s
        last_s = elapsed_s
    return total_s / 60.0


def _made_by(config: TrainConfig) -> tuple[str, ...]:
    """Return the settings that data depend on."""
    corrections = 'corrections' if config.corrections.at_steps else 'corrections.episodes'
    return 'seed', 'episodes', 'validation_episodes', 'demonstrations', corrections


def _check_own(config: TrainConfig, data: Path) -> None:
    if found := differences(config, data, _made_by(config)):
        raise ConfigurationError(f'{data} has other data: {found}; choose other --runs')


def _links(data: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each file of data, and where it is found in the other folder."""
    for pattern in _SHARED:
        for path in sorted(data.glob(pattern)):
            yield path, folder / path.relative_to(data)


def _train(config: TrainConfig, folder: Path, name: str) -> None:
    path = train(config, folder, name, workers=1)
    # The report pins the very file: that it is there says that the policy is finished.
    report = Report(name, read_manifest(path).sha256)
    report_path(path).write_text(report.to_json())


def _is_trained(folder: Path, name: str, config: TrainConfig) -> bool:
    check_begun(config, folder, '--runs')
    path = folder / f'{name}.pt'
    if not (path.is_file() and report_path(path).is_file()):
        return False
    return read_report(path).sha256 == read_manifest(path).sha256
