"""How trials ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vla_ros.evaluation.pictures import Scene
from vla_ros.evaluation.splits import Spec
from vla_ros.evaluation.watching import Motion


@dataclass(frozen=True, eq=False)
class Episode:
    """
    How one trial ended; see ``judging.Judge`` for the first fields.

    ``task`` is what was meant, '' for nothing. ``reason`` is that of the controller at the end.
    ``frames`` are those of the approach, ``on_object`` of them with the attention's peak on the
    named object; both 0 where nobody looked. ``done`` tells of each chunk how probably the policy
    was done, and whether it was; none where nobody asked. ``film`` shows a failure.
    """

    spec: Spec
    text: str
    task: str
    success: bool
    stopped: bool
    false_stop: bool
    seconds: float
    path_m: float
    reason: str
    frames: int = 0
    on_object: int = 0
    done: tuple[tuple[float, bool], ...] = ()
    motion: Motion | None = None
    film: Scene | None = None

    def __str__(self) -> str:
        """Return one line with what a reader needs to see the episode again."""
        spec = self.spec
        wanted = self.task or 'no motion'
        return (
            f'{spec.split} ({spec.row}) seed {spec.seed}: {self.text!r} means {wanted}: '
            f'{"obeyed" if self.success else "failed"} after {self.seconds:.1f} s and '
            f'{self.path_m:.2f} m, {self.reason}'
        )


def swaps(episodes: Sequence[Episode]) -> list[list[Episode]]:
    """Return the episodes in groups that count as one: the two of a swap, else one each."""
    groups: dict[tuple, list[Episode]] = {}
    for number, episode in enumerate(episodes):
        spec = episode.spec
        key = (spec.row, spec.seed) if spec.split == 'swap' else (number,)
        groups.setdefault(key, []).append(episode)
    return list(groups.values())
