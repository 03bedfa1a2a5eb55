"""
What an evaluation found: rates with intervals, as data, as JSON and as a table.

``NAME.eval.json`` beside a policy holds what it was measured to do; the model card is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
import json
from pathlib import Path
from statistics import median

from vla_ros.evaluation.episodes import Episode, swaps
from vla_ros.evaluation.judging import STOP_WITHIN_S
from vla_ros.evaluation.metrics import (
    Calibration,
    calibration,
    Gap,
    largest_gap,
    ModalityUse,
    success_by,
)
from vla_ros.evaluation.splits import IN_TEST_WORDS
from vla_ros.evaluation.statistics import Rate
from vla_ros.pipeline.strict_json import read_json
from vla_ros.sim.scene import split_name
from vla_ros.training.grammar import first_said

#: Further measures of a split, and what each says.
MEASURES = {
    'attention': 'frames of the approach with the attention on the named object',
    'stops': f'successes after which it stopped by itself within {STOP_WITHIN_S:.0f} s',
    'false stops': 'episodes in which it said that it was done without success',
}
#: What the chances that a policy tells are of.
EVENTS = {'termination': 'the goal holds as the chunk is made'}
#: Words of a command that decide whether it is understood, by the grammar's keys for them.
_WORDS = {'colour': 'colours', 'shape': 'shapes'}
#: What trials are told apart by, beside their row.
GROUPS = ('task', 'colour', 'shape', 'zone')
#: Splits that differ in nothing but the words.
PHRASINGS = ('known', 'patterns', 'words', 'both')
#: What is added to a split's name for the same trials in the running graph.
THROUGH_ROS = ' through ros'


@dataclass(frozen=True)
class SplitReport:
    """
    What was measured on one split; ``command`` does it again.

    ``n`` to ``high`` are the rate of success with its interval, ``tasks`` those of the rows,
    ``measures`` those of ``MEASURES`` that were taken. ``numbers``: medians over the successes of
    ``seconds`` and ``path_m``, and the largest ``speed_m_s``, ``angular_speed_rad_s`` and
    ``outside_m`` (of the workspace) that the robot was told. ``text_encoder`` begins the hash of
    what read the words, '' if that was not kept. ``gaps``: the groups of each of ``GROUPS`` that
    fare best and worst, where there are two. ``calibrations``: of the chances of ``EVENTS``, chunk
    by chunk. ``by_words``: of a split in test words, the rate of success with its interval over
    words for a colour, or for a shape, instead of over trials.
    """

    command: str
    n: int
    success: float
    low: float
    high: float
    tasks: Mapping[str, Rate]
    measures: Mapping[str, Rate]
    numbers: Mapping[str, float]
    text_encoder: str = ''
    gaps: Mapping[str, Gap] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    by_words: Mapping[str, Rate] = field(default_factory=dict)

    @property
    def rate(self) -> Rate:
        return Rate(self.n, self.success, self.low, self.high)

    @staticmethod
    def of(episodes: Sequence[Episode], command: str, text_encoder: str) -> SplitReport:
        """Return the report on the episodes, at least one, of one split."""
        rows = dict.fromkeys(episode.spec.row for episode in episodes)
        tasks = {row: success_rate([e for e in episodes if e.spec.row == row]) for row in rows}
        return SplitReport(
            command=command,
            **success_rate(episodes).to_dict(),  # type: ignore[arg-type]
            tasks=tasks,
            measures=_measures(episodes),
            numbers=_numbers(episodes),
            text_encoder=text_encoder,
            gaps=_gaps(episodes),
            calibrations=_calibrations(episodes),
            by_words=_by_words(episodes),
        )


@dataclass(frozen=True)
class Report:
    """
    What a policy, known by its name and hash, was measured to do.

    ``refusals`` are the shares of commands of each sort that are refused at the first look (see
    ``abstention``). ``speed`` is of one call with one CPU thread: ``median_ms``, ``p95_ms``, and
    ``of_eager``, the median over that of the same model in plain Python. ``balance`` is what each
    modality is worth, see ``evaluation.balance``.
    """

    policy: str
    sha256: str
    splits: Mapping[str, SplitReport] = field(default_factory=dict)
    refusals: Mapping[str, Rate] = field(default_factory=dict)
    speed: Mapping[str, float] = field(default_factory=dict)
    balance: Mapping[str, ModalityUse] = field(default_factory=dict)

    def with_split(self, name: str, split: SplitReport) -> Report:
        return replace(self, splits={**self.splits, name: split})

    def phrasing_gap(self) -> Gap | None:
        """
        Return the largest gap between ways of putting the same tasks, of those measured.

        Its interval is that of separate trials. Scenes of one seed are the same in all of these
        splits, so it is rather too wide.
        """
        rates = {name: self.splits[name].rate for name in PHRASINGS if name in self.splits}
        return largest_gap(rates) if len(rates) > 1 else None

    def metrics(self) -> dict[str, float]:
        """Return the success of each split, for the manifest."""
        return {name: round(split.success, 4) for name, split in self.splits.items()}

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, allow_nan=False) + '\n'


def report_path(policy_path: Path) -> Path:
    """Return where the report on a policy lies."""
    return policy_path.with_suffix('.eval.json')


def read_report(policy_path: Path) -> Report:
    """Return the report beside a policy; raises ConfigurationError without a right one."""
    return read_json(
        Report, report_path(policy_path), 'write it with "vla-ros eval --split all --card PATH"'
    )


def success_rate(episodes: Sequence[Episode]) -> Rate:
    """Return the rate of ``successes``."""
    won = successes(episodes)
    return Rate.of(sum(won), len(won))


def successes(episodes: Sequence[Episode]) -> list[bool]:
    """Return which trials succeeded, in order; a swap is one, and does if both episodes do."""
    return [all(episode.success for episode in group) for group in swaps(episodes)]


def table(name: str, split: SplitReport) -> str:
    """Return the report on one split as plain text."""
    lines = {**split.tasks, 'all': split.rate, **split.measures}
    width = max(map(len, (name, *lines)))
    text = [f'{name:<{width}}  {"n":>5}  rate, 95 % interval']
    text += [f'{row:<{width}}  {rate.n:>5}  {rate}' for row, rate in lines.items()]
    shown = ', '.join(f'{key} {value:.2f}' for key, value in split.numbers.items())
    text.append(f'({shown})')
    text += [f'over words for a {part}: {over}' for part, over in split.by_words.items()]
    text += [f'by {group}: {gap_text(gap)}' for group, gap in split.gaps.items()]
    text += [calibration_text(of, found) for of, found in split.calibrations.items()]
    return '\n'.join(text)


def calibration_text(of: str, found: Calibration) -> str:
    """Return how true a chance was: at its worst, and over all chunks, most of which are easy."""
    text = (
        f'{of}, told as the chance that {EVENTS[of]}: {100 * found.expected_error:.1f} points '
        f'from what happens over all chunks, Brier {found.brier:.3f}'
    )
    worst = found.worst()
    if worst is None:
        return text
    return (
        f'{text}; at worst {100 * worst.predicted:.0f} % where it happened in '
        f'{100 * worst.happened.success:.0f} % of {worst.happened.n}'
    )


def gap_text(gap: Gap) -> str:
    return f'{gap.best} is ahead of {gap.worst} by {gap.difference}'


def balance_table(balance: Mapping[str, ModalityUse]) -> str:
    """Return what each modality is worth as plain text."""
    text = [
        f'{"without":<8}  success, 95 % interval        falls by                      gradient'
    ]
    for name, use in balance.items():
        share = f'{100 * use.gradient_share:.0f} %'
        text.append(f'{name:<8}  {use.without!s:<28}  {use.loss!s:<28}  {share}')
    return '\n'.join(text)


def _measures(episodes: Sequence[Episode]) -> dict[str, Rate]:
    rates = {}
    seen = [e for e in episodes if e.frames]
    if seen:
        # Frames of one episode are alike: the interval is that of as many trials as episodes.
        share = sum(e.on_object for e in seen) / sum(e.frames for e in seen)
        rates['attention'] = Rate.of(share * len(seen), len(seen))
    asked = [e for e in episodes if e.task]
    reached = [e for e in asked if e.success]
    if reached:
        rates['stops'] = Rate.of(sum(e.stopped for e in reached), len(reached))
    if asked:
        rates['false stops'] = Rate.of(sum(e.false_stop for e in asked), len(asked))
    return rates


def _gaps(episodes: Sequence[Episode]) -> dict[str, Gap]:
    """
    Return the largest gap for each of ``GROUPS`` that tells some trials apart.

    The two episodes of a swap that name the same are one trial of it, in which both succeed.
    """
    gaps = {}
    for group in GROUPS:
        told: list[tuple[str, bool]] = []
        for trial in swaps(episodes):
            won: dict[str, bool] = {}
            for episode in trial:
                if named := _group_of(episode, group):
                    won[named] = won.get(named, True) and episode.success
            told += won.items()
        rates = success_by([name for name, _ in told], [success for _, success in told])
        if len(rates) > 1:
            gaps[group] = largest_gap(rates)
    return gaps


def _group_of(episode: Episode, group: str) -> str | None:
    """Return the task that was meant, or a part of it; None if there is none."""
    if not episode.task:
        return None
    kind, name, zone = episode.task.split('|')
    colour, shape = split_name(name)
    return {'task': kind, 'colour': colour, 'shape': shape, 'zone': zone}[group] or None


def _by_words(episodes: Sequence[Episode]) -> dict[str, Rate]:
    """Return the rate of success in test words, trials that say the same word taken together."""
    told = [e for e in episodes if e.task and e.spec.split in IN_TEST_WORDS]
    rates = {}
    for part, key in _WORDS.items() if told else ():
        groups: dict[str, list[bool]] = {}
        for episode in told:
            meant = _group_of(episode, part)
            word = first_said(episode.text, key, str(meant), split='test')
            groups.setdefault(word, []).append(episode.success)
        rates[part] = Rate.of_groups(list(groups.values()))
    return rates


def _calibrations(episodes: Sequence[Episode]) -> dict[str, Calibration]:
    told = [pair for episode in episodes for pair in episode.done]
    if not told:
        return {}
    probable, happened = zip(*told, strict=True)
    return {'termination': calibration(probable, happened)}


def _numbers(episodes: Sequence[Episode]) -> dict[str, float]:
    numbers = {}
    reached = [e for e in episodes if e.success]
    if reached:
        numbers['seconds'] = median(e.seconds for e in reached)
        numbers['path_m'] = median(e.path_m for e in reached)
    motions = [e.motion for e in episodes if e.motion is not None]
    for f in fields(motions[0]) if motions else ():
        numbers[f.name] = max(getattr(motion, f.name) for motion in motions)
    return {name: round(value, 4) for name, value in numbers.items()}
