"""What there is to say of policies that were trained alike: one row each, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Any

import numpy as np

from vla_ros.bench.policy import time_calls
from vla_ros.evaluation.report import read_report, Report, THROUGH_ROS
from vla_ros.evaluation.splits import rows, SPLITS
from vla_ros.evaluation.statistics import Rate
from vla_ros.models.contract import example_inputs
from vla_ros.pipeline.policy import load_policy
from vla_ros.training.config import TrainConfig

_CALLS = 50
#: By this split policies are put in order.
_FIRST = 'known'


@dataclass(frozen=True)
class Member:
    """
    One policy: its size, what it cost and what it can do.

    ``minutes`` of training on one thread; ``chunk_ms``: the median of a chunk on one thread;
    ``grid``: rows and columns of its attention.
    """

    name: str
    parameters: int
    minutes: float
    chunk_ms: float
    grid: tuple[int, int]
    report: Report

    @staticmethod
    def of(name: str, path: Path, minutes: float) -> Member:
        """Return what there is to say of the policy at ``path``, its report beside it."""
        policy = load_policy(path)
        module: Any = policy.module  # TorchScript, as every policy is trained into
        taken_s, _ = time_calls(module, example_inputs(policy.manifest), _CALLS)
        return Member(
            name,
            sum(parameter.numel() for parameter in module.parameters()),
            minutes,
            float(np.median(taken_s)) * 1e3,
            policy.manifest.grid,
            read_report(path),
        )

    def rate(self, split: str) -> Rate | None:
        """Return the success on a split, None if it was not measured."""
        found = self.report.splits.get(split)
        return found.rate if found else None

    def measure(self, split: str, name: str) -> Rate | None:
        found = self.report.splits.get(split)
        return found.measures.get(name) if found else None


def episodes_of_rows(split: str, episodes: int) -> int:
    """Return what to ask ``splits.specs`` for, to get at least ``episodes`` in all."""
    return -(-episodes // len(rows(split))) if split == _FIRST else episodes


def best_first(members: Sequence[Member]) -> list[Member]:
    """Return the members by their success on known phrasings, then by name."""

    def key(member: Member) -> tuple[float, str]:
        rate = member.rate(_FIRST)
        return (-rate.success if rate else 1.0), member.name

    return sorted(members, key=key)


@dataclass(frozen=True)
class Budget:
    """
    What every policy was given: the configuration, and so many demonstrated ``frames``.

    ``command`` makes it again. ``parts`` tells whose eyes and reading were kept, '' if all was
    learned.
    """

    config: TrainConfig
    frames: int
    command: str
    parts: str = ''


def to_json(members: Sequence[Member], budget: Budget) -> str:
    """Return everything as JSON: {"budget": {...}, "policies": {name: {...}}}."""
    config = budget.config
    document = {
        'budget': {
            'command': budget.command,
            'steps': config.trainer.steps,
            'frames_per_step': config.batch.frames,
            'commands_per_frame': config.batch.commands,
            'demonstrated_frames': budget.frames,
            'seed': config.seed,
            'parts_of': budget.parts,
        },
        'policies': {
            member.name: {k: v for k, v in asdict(member).items() if k != 'name'}
            for member in best_first(members)
        },
    }
    return json.dumps(document, indent=1, allow_nan=False) + '\n'


def page(members: Sequence[Member], budget: Budget) -> str:
    """Return the text of the page; the rows are the members, the best first."""
    ordered = best_first(members)
    found = dict.fromkeys(name for member in ordered for name in member.report.splits)
    splits = [name for name in SPLITS if name in found]
    through = f'{_FIRST}{THROUGH_ROS}'
    header = ['policy', 'parameters', 'minutes', 'ms a chunk', *splits, 'attention', 'grid']
    header += [through] if through in found else []
    table = [header, ['---'] * len(header)]
    for member in ordered:
        attention = _told(member.measure(_FIRST, 'attention'))
        cells = [f'`{member.name}`', f'{member.parameters / 1e6:.2f} M', f'{member.minutes:.0f}']
        cells += [f'{member.chunk_ms:.1f}', *(_told(member.rate(split)) for split in splits)]
        cells += [attention, f'{member.grid[0]} x {member.grid[1]}']
        if through in found:
            cells.append(_counted(member.rate(through)))
        table.append(cells)
    lines = '\n'.join(f'| {" | ".join(row)} |' for row in table)
    return f'{_INTRODUCTION}\n{_given(budget)}\n{lines}\n\n{_meanings(splits)}'


_INTRODUCTION = """# The zoo: every policy, taught and measured alike

Written by `vla-ros zoo`; do not edit. Everything about the splits: [policy.md](policy.md).
"""


def _given(budget: Budget) -> str:
    config, batch = budget.config, budget.config.batch
    kept = (
        ' The conv map, and what looks at words in their context, are those of '
        f'{budget.parts}, and did not learn; `keypoint` has its whole reader of it, and a ViT '
        'learns from nothing.'
    )
    return (
        f'Each policy saw {batch.frames} pictures with {batch.commands} commands each in each of '
        f'{config.trainer.steps} steps, out of the same {budget.frames} demonstrated frames, in '
        f'the same order (seed {config.seed}), on one thread.{kept if budget.parts else ""} '
        'Success is told in per cent with its 95 % interval (Wilson), over episodes of these very '
        'weights, of one training with one seed each: trained again, a policy may differ by more. '
        '`keypoint` learns its words apart, from sentences alone, the others from the commands '
        f'about the pictures.\n\n    {budget.command}\n'
    )


def _meanings(splits: Sequence[str]) -> str:
    lines = [f'- {name}: {SPLITS[name]}' for name in splits]
    lines += [
        '- minutes: of training; other policies may have been trained beside it',
        '- ms a chunk: the median on one thread, a batch of one',
        f'- attention: frames of the approach with the peak on the named object, of '
        f'{_FIRST}; a cell of a coarser grid covers more of the table',
    ]
    return '\n'.join(lines) + '\n'


def _told(rate: Rate | None) -> str:
    if rate is None or rate.n == 0:
        return '-'
    return f'{100 * rate.success:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]'


def _counted(rate: Rate | None) -> str:
    return '-' if rate is None else f'{round(rate.success * rate.n)} of {rate.n}'
