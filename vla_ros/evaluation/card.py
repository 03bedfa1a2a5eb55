"""
The model card: what a policy was made of and measured to do, as a page that nobody writes by hand.

Everything in it comes from the manifest, the training configuration and the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
import re

from vla_ros.evaluation.disturbances import NO_STATE
from vla_ros.evaluation.judging import HOLD_S, STILL_M
from vla_ros.evaluation.report import (
    MEASURES,
    read_report,
    Report,
    SplitReport,
    THROUGH_ROS,
)
from vla_ros.evaluation.splits import IN_TEST_WORDS, SPLITS, UNASKED
from vla_ros.evaluation.statistics import Rate
from vla_ros.evaluation.watching import NEAR_CELLS
from vla_ros.interfaces import REFUSALS
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import PolicyManifest, read_manifest
from vla_ros.pipeline.motion import Limits
from vla_ros.sim.scene import AREA_X_M, AREA_Y_M, COLOURS, HELD_OUT_PAIRS, SHAPES
from vla_ros.sim.tasks import TIME_LIMIT_S
from vla_ros.training.begun import config_of
from vla_ros.training.config import load_config, TrainConfig

ABSTENTION_PICTURE = 'abstention.png'


@dataclass(frozen=True)
class Goal:
    """What the project wants of one line of a split: a share, at least or at most."""

    split: str
    line: str
    share: float
    at_most: bool = False

    def __str__(self) -> str:
        return f'{"≤" if self.at_most else "≥"} {100 * self.share:.0f} %'

    def is_met_by(self, rate: Rate) -> bool:
        return rate.success <= self.share if self.at_most else rate.success >= self.share


#: Lines are rows of the split, ``all`` of them, or measures.
GOALS = (
    *(Goal('known', kind, 0.97) for kind in TIME_LIMIT_S),
    Goal('patterns', 'all', 0.90),
    Goal('words', 'all', 0.90),
    Goal('pairs', 'all', 0.85),
    Goal('swap', 'all', 0.95),
    Goal('refuse', 'all', 0.95),
    Goal('known', 'attention', 0.95),
    Goal('known', 'stops', 0.95),
    Goal('known', 'false stops', 0.02, at_most=True),
)
#: How far the running graph may be from the same trials done directly.
ROS_MARGIN = 0.05


def policy_config(policy_path: Path) -> TrainConfig | None:
    """Return how a policy was trained: by the file in its run, the shipped one by default."""
    path = config_of(policy_path)
    is_shipped = policy_path.resolve() == shipped_policy_path().resolve()
    return load_config(path) if path is not None or is_shipped else None


def pictures_folder(card_path: Path) -> Path:
    """Return where the pictures of a card lie: in a folder of its name, beside it."""
    return card_path.with_suffix('')


def model_card(policy_path: Path, card_path: Path) -> str:
    """Return the text of the card at ``card_path``; raises ConfigurationError without a report."""
    manifest, report = read_manifest(policy_path), read_report(policy_path)
    folder = pictures_folder(card_path)
    pictures = sorted(f'{folder.name}/{path.name}' for path in folder.glob('*.*'))
    sections = (
        f'# Policy `{manifest.name}`',
        'Written by `vla-ros eval --card`; do not edit.',
        _what(manifest),
        _data(manifest, policy_config(policy_path)),
        '## What it was measured to do',
        results_table(report),
        _read_otherwise(report, manifest),
        _meanings(),
        _over_words(report),
        _tables(report),
        _speed(report),
        _abstention(report, pictures),
        _failures(pictures),
        _limits(report),
        _again(report),
    )
    return '\n\n'.join(section for section in sections if section) + '\n'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ['| ' + ' | '.join(header) + ' |', '|' + '---|' * len(header)]
    return '\n'.join([*lines, *('| ' + ' | '.join(row) + ' |' for row in rows)])


def _what(manifest: PolicyManifest) -> str:
    tasks = [task for task in manifest.tasks if task not in REFUSALS]
    return (
        f'It reads one picture of {manifest.image_width} x {manifest.image_height} pixels, the '
        f"command as tokens of {manifest.text_encoder.id} and the gripper's pose and closing; it "
        f'returns {manifest.horizon} poses {manifest.dt_s} s apart, whether it is done, where it '
        f'looks and which task it understood. It can {", ".join(tasks[:-1])} and {tasks[-1]}, '
        f'and says when it will not. {manifest.size_bytes / 1e6:.1f} MB of TorchScript, '
        f'{manifest.licence}, sha256 `{manifest.sha256}`.'
    )


def _data(manifest: PolicyManifest, config: TrainConfig | None) -> str:
    said = f'## Data and training\n\nTrained on {manifest.training_data}.'
    if config is None:
        return f'{said} There is no configuration of its training beside it.'
    made, trainer, rounds = config.demonstrations, config.trainer, config.corrections
    corrected = (
        f', and {rounds.episodes} more at each of the steps '
        f'{", ".join(map(str, rounds.at_steps))} with the policy so far driving and the expert '
        'correcting'
        if rounds.at_steps
        else ''
    )
    return (
        f'{said} The expert drove '
        f'{config.episodes} episodes of {made.episode_s:.0f} s{corrected}; one in '
        f'{made.keep_every} pictures is kept. Scenes, looks, start poses and latencies vary. '
        f'Never demonstrated: {", ".join(HELD_OUT_PAIRS)}; but pictures with their colours '
        'exchanged, which teach shapes alone, may show such things, and a reader that learns from '
        'sentences alone has read some that name them.\n\n'
        f'{trainer.steps} steps of {config.batch.frames} pictures with {config.batch.commands} '
        f'commands each, seed {config.seed}; the words are those of the `train` splits of '
        '`vla_ros/training/language.yaml`. Again: `vla-ros train`.'
    )


def _line(report: Report, split: str, line: str) -> Rate | None:
    """Return a rate of the report, None where it was not measured."""
    if split not in report.splits:
        return None
    found = report.splits[split]
    return {**found.tasks, **found.measures, 'all': found.rate}.get(line)


def results_table(report: Report) -> str:
    """Return the table of every split and measure of a report, beside the goals."""
    goals = {(goal.split, goal.line): goal for goal in GOALS}
    wanted = {
        **dict.fromkeys(('known', line) for line in (*TIME_LIMIT_S, 'all')),
        **dict.fromkeys((split, 'all') for split in SPLITS),
        **dict.fromkeys(('known', measure) for measure in MEASURES),
    }
    rows = []
    for split, line in wanted:
        if (rate := _line(report, split, line)) is not None:
            goal = goals.get((split, line))
            met = ('', '') if goal is None else (str(goal), _yes(goal.is_met_by(rate)))
            meaning = SPLITS[split] if line == 'all' else MEASURES.get(line, '')
            name = f'**{split}**' if line == 'all' else f'{split}, {line}'
            what = f'{name}: {meaning}' if meaning else name
            rows.append((what, *_cells(rate), *met))
    for name, split_report in report.splits.items():
        direct = split_report.measures.get('direct')
        if name.endswith(THROUGH_ROS) and direct is not None:
            away = abs(split_report.success - direct.success)
            goal_text = f'within {100 * ROS_MARGIN:.0f} points of {100 * direct.success:.1f} %'
            what = f'**{name}**: the same trials in the running graph, in real time'
            met = (goal_text, _yes(away <= ROS_MARGIN))
            rows.append((what, *_cells(split_report.rate), *met))
    return _table(('what', 'n', 'share', '95 % interval', 'goal', 'met'), rows)


def _yes(met: bool) -> str:
    return 'yes' if met else '**no**'


def _cells(rate: Rate) -> tuple[str, str, str]:
    share = f'{100 * rate.success:.1f} %'
    return str(rate.n), share, f'{100 * rate.low:.1f} .. {100 * rate.high:.1f} %'


def _meanings() -> str:
    limits = ', '.join(f'{kind} {seconds:.0f} s' for kind, seconds in TIME_LIMIT_S.items())
    return (
        "Success is judged by the simulator's ground truth alone (`vla_ros/sim/tasks.py`): the "
        f'goal holds for {HOLD_S} s, or when the robot says that it is done, within {limits}. A '
        'swap counts once for both of its commands. A refusal succeeds if the gripper moves less '
        f'than {100 * STILL_M:.0f} cm and the status says that the robot will not, for whichever '
        'reason: whether it is the right one is not judged. Attention is on the object '
        f"if its heaviest cell is within {NEAR_CELLS} cells of the object's pixels and no nearer "
        "to another object's, from the command until the object is touched; the zone of a push or "
        'put has its own share of the attention, which is left out. Frames of one episode are '
        'alike, so its interval is that of as many trials as episodes. Intervals are Wilson.'
    )


def _over_words(report: Report) -> str:
    """Return how sure a rate is for words that were not tried, of which few were."""
    names = [name for name in report.splits if name.removesuffix(THROUGH_ROS) in IN_TEST_WORDS]
    if not names:
        return ''
    measured = [
        f'{name}, over words for a {part}: {str(rate).strip()}.'
        for name in names
        for part, rate in report.splits[name].by_words.items()
    ]
    told = [
        f'The intervals of {" and ".join(f"`{name}`" for name in names)} are for these words. '
        'They are a few dozen, each in many trials, and one that is misread fails in most of its '
        'own: over words the interval is wider.',
        *measured,
    ]
    return ' '.join(told)


def _read_otherwise(report: Report, manifest: PolicyManifest) -> str:
    now = manifest.text_encoder.short
    names = [name for name, split in report.splits.items() if split.text_encoder != now]
    if not names:
        return ''
    return (
        f'Measured with an earlier text encoder or lexicon than the one of now (`{now}`): '
        f'{", ".join(names)}.'
    )


def _tables(report: Report) -> str:
    parts = []
    for split in ('refuse', 'disturbed'):
        if split in report.splits:
            rows = [(row, *_cells(rate)) for row, rate in report.splits[split].tasks.items()]
            parts.append(_table((f'{split}', 'n', 'success', '95 % interval'), rows))
            parts += _said_of(split, report.splits[split])
    fast = [split.numbers for split in report.splits.values() if 'speed_m_s' in split.numbers]
    if fast:
        speed, turn, outside = (
            max(numbers[name] for numbers in fast)
            for name in ('speed_m_s', 'angular_speed_rad_s', 'outside_m')
        )
        limits = Limits((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        left = 'never left' if outside <= 1e-6 else f'left by {100 * outside:.1f} cm'
        parts.append(
            f'In all of this, disturbed or not, the robot was told at most {speed:.3f} m/s and '
            f'{turn:.3f} rad/s (limits {limits.max_speed_m_s} and '
            f'{limits.max_angular_speed_rad_s}), and {left} its workspace.'
        )
    return '\n\n'.join(parts)


def _said_of(split: str, found: SplitReport) -> list[str]:
    """Return what has to be known of the rows of a split to read them."""
    asked = [rate for row, rate in found.tasks.items() if row != UNASKED]
    if split == 'refuse' and asked and len(asked) < len(found.tasks):
        won = sum(round(rate.success * rate.n) for rate in asked)
        without = str(Rate.of(won, sum(rate.n for rate in asked))).strip()
        return [
            f'The texts of `{UNASKED}` are stops, which hold the robot whatever the policy is: it '
            f'is never asked. Without them, of the other rows: {without}.'
        ]
    if split == 'disturbed' and NO_STATE in found.tasks:
        return [
            f'In `{NO_STATE}` the policy is told that the gripper is open and at the base, while '
            'the controller has the measured pose: its chunks start where the robot is not. '
            'Without a measured pose nothing moves at all: [safety.md](safety.md).'
        ]
    return []


def _speed(report: Report) -> str:
    if not report.speed:
        return ''
    speed = report.speed
    return (
        f'One call takes {speed["median_ms"]:.1f} ms on one CPU thread (95 % of calls at most '
        f'{speed["p95_ms"]:.1f} ms; goal 10 ms), {speed["of_eager"]:.2f} of what the same model '
        'takes in plain Python: `vla-ros bench policy` measures it where you are.'
    )


def _abstention(report: Report, pictures: Sequence[str]) -> str:
    if not report.refusals:
        return ''
    rows = [(name, *_cells(rate)) for name, rate in report.refusals.items()]
    picture = [f'\n\n![ROC]({p})' for p in pictures if p.endswith(ABSTENTION_PICTURE)]
    return (
        '## When it says that it does not know\n\n'
        'A command is refused while its refusals have a probability above one half in all. How '
        'many are at the first look (dots in the picture), and how this would change with the '
        'threshold (lines). Only `unseen phrasing` and `unrelated` are in phrasings of '
        'validation; `known phrasing` and `impossible` are in those of training, which are '
        'easier:\n\n'
        + _table(('commands', 'n', 'refused', '95 % interval'), rows)
        + ''.join(picture)
    )


def _failures(pictures: Sequence[str]) -> str:
    shown = [p for p in pictures if not p.endswith(ABSTENTION_PICTURE)]
    if not shown:
        return ''
    lines = '\n\n'.join(f'![failures: {Path(p).stem}]({p})' for p in shown)
    return (
        '## Failures\n\nThe first ones of each split; below, where it looked. Words that mean '
        'nothing are there on purpose: a place may be called anything ("the green fnord"), and so '
        f'may what is not on the table.\n\n{lines}'
    )


def _limits(report: Report) -> str:
    lines = [
        'It has only ever been in this simulation, with this arm and camera: on a real robot it '
        'has to be trained anew.',
        f'It knows {len(COLOURS)} colours ({", ".join(COLOURS)}), {len(SHAPES)} shapes '
        f'({", ".join(SHAPES)}) and round zones, on a table from x {AREA_X_M[0]} to {AREA_X_M[1]} '
        f'and y {AREA_Y_M[0]} to {AREA_Y_M[1]} m.',
        'It understands English commands about one object, by colour and shape: no places ("the '
        'left one"), no counting, no two steps, nothing about what was said before.',
        'Whether it understood is decided once, when a command is given.',
    ]
    rated = {
        f'{name}, {row}': rate
        for name, split in report.splits.items()
        for row, rate in split.tasks.items()
    }
    worst = sorted(rated.items(), key=lambda item: item[1].success)[:3]
    if worst and worst[0][1].success < 1.0:
        shown = '; '.join(f'{name} ({100 * rate.success:.1f} %)' for name, rate in worst)
        lines.append(f'It is worst at: {shown}.')
    return '## Limits\n\n' + '\n'.join(f'- {line}' for line in lines)


def _again(report: Report) -> str:
    measured: dict[str, list[str]] = {}
    for name, split in report.splits.items():
        measured.setdefault(split.command, []).append(name.removesuffix(THROUGH_ROS))
    # A split that was measured once more since is of the later command alone.
    lines = '\n'.join(
        '    ' + re.sub('(?<=--split )[a-z ]+?(?= --)', ' '.join(names), command)
        for command, names in measured.items()
    )
    return f'## Measure it again\n\n{lines}'
