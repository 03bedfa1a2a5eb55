"""Promises that the nodes that infer, encode, draw and simulate may be killed, stopped or hang."""

from __future__ import annotations

from collections import Counter
import signal
import time

from faults.bench import Bench, bench, node, Process
from faults.ledger import promise, Tally
from faults.models import write_roaming
from faults.promises_graph import (
    ACTION_TIMEOUT_S,
    burners,
    finish,
    hold_after,
    HOLD_S,
    MARGIN_S,
    PERIOD_S,
    time_hold,
)
import numpy as np

#: Every eighth fault kills, the others stop: a process that is stopped hangs, seen from outside.
KILL_EVERY = 8
#: Without these the robot has to go on.
SPARED = ('command', 'marker')
#: So long after their end it has to move, and if the machine is busy, a little later.
MISSED_S, PATIENCE_S = 0.3, 3.0


def _kind(i: int) -> signal.Signals:
    return signal.SIGKILL if i % KILL_EVERY == KILL_EVERY - 1 else signal.SIGSTOP


class Pipeline:
    """Every node of the pipeline beside a bench, with a policy that roams for ever."""

    def __init__(self, tally: Tally, b: Bench) -> None:
        self._tally, self._bench = tally, b
        self._nodes: dict[str, Process] = {}
        path = write_roaming(tally.folder / 'roaming.pt')
        self._parameters = {'inference': {'policy_path': str(path)}}
        self.faults: Counter[str] = Counter()
        self.held = 0
        b.player.see_through_camera_node()
        b.player.use_words()

    def run(self) -> None:
        """Start what has ended, and give commands until every node has done its part."""
        b = self._bench
        for name in ('camera', 'command', 'inference', 'marker'):
            if name not in self._nodes or not self._nodes[name].is_alive:
                started = node(self._tally.folder, name, self._parameters.get(name))
                self._nodes[name] = started
        b.others = list(self._nodes.values())
        b.run()
        count = b.player.markers
        b.wait(lambda: b.player.markers > count, 30.0, 'markers')

    def send(self, number: int, *names: str) -> float:
        """Send a signal; return when, on the steady clock. SIGCONT also buries the dead."""
        since_s = time.monotonic()
        for name in names:
            if self._nodes[name].is_alive:
                self._nodes[name].send(number)
        if number != signal.SIGCONT:
            self.faults.update(names)
        else:
            for name in names:
                if not self._nodes[name].is_alive:
                    self._nodes[name].end()
        return since_s

    def goes_on(self, what: str, since_s: float) -> None:
        """See that the robot moves without what ended then; a busy machine may hold it shortly."""
        b, tally = self._bench, self._tally
        time.sleep(MISSED_S)
        until_s = since_s + PATIENCE_S
        while b.state() != 'running' and time.monotonic() < until_s:
            time.sleep(0.02)
        tally.expect(b.state() == 'running', f'{what}: {b.ears.statuses[-1]}')
        self.held += b.ears.status_since(since_s, 'holding') is not None
        times = [record.t_s for record in b.ears.records if record.t_s >= since_s]
        gap_s = float(max(np.diff([since_s, *times]), default=PATIENCE_S))
        tally.expect(gap_s <= 10 * PERIOD_S, f'{what}: no pose for {gap_s:.3f} s')


@promise(
    'E4', 'without inference it holds, without command or marker node it goes on', 2, 92, 'ros'
)
def dead_nodes(tally: Tally, size: int) -> None:
    """``size`` faults of each node, of command and marker node at once; then all work again."""
    tally.limit, tally.unit = ACTION_TIMEOUT_S + MARGIN_S, 's to hold'
    with bench(tally.folder, with_policy=False) as b:
        pipeline = Pipeline(tally, b)
        for i in range(size):
            kind = _kind(i)
            pipeline.run()
            with burners(2 if i % 3 == 0 else 0):
                since_s = pipeline.send(kind, *SPARED)
                pipeline.goes_on(f'{kind.name} of {SPARED}', since_s)
                pipeline.send(signal.SIGCONT, *SPARED)  # before the middleware gives them up
                time.sleep(float(tally.rng.uniform(0.0, 0.2)))
                what = f'{kind.name} of inference'
                time_hold(tally, b, what, lambda k=kind: pipeline.send(k, 'inference'))
            pipeline.send(signal.SIGCONT, 'inference')
        pipeline.run()
        tally.notes |= {'faults': dict(pipeline.faults), 'held by load': pipeline.held}
        finish(tally, b)


@promise('E6', 'a robot that is killed or stopped leads to a hold', 2, 92, 'ros untimed')
def dead_sims(tally: Tally, size: int) -> None:
    """Of the robot, the sim node, only the pose is heard: it alone has to hold it."""
    tally.limit, tally.unit = HOLD_S, 's to hold'
    with bench(tally.folder, with_robot=False) as b:
        for i in range(size):
            if not (b.others and b.others[0].is_alive):
                b.others = [node(tally.folder, 'sim', {'camera_rate_hz': 1.0})]
            sim, kind = b.others[0], _kind(i)
            with burners(2 if i % 3 == 0 else 0):
                fault = lambda s=sim, k=kind: s.send(k)  # noqa: E731
                hold_after(tally, b, kind.name, fault, or_silence=True)
            if kind == signal.SIGSTOP:
                sim.send(signal.SIGCONT)
            else:
                sim.end()
        b.run()
        finish(tally, b)
