"""
Write the tables of docs/ and README.md from the code that they describe.

``python docs/generate.py`` rewrites them, ``--check`` exits with 1 if any is out of date.
Between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` stands what this script writes.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
import json
from pathlib import Path
import re
import sys

from model_tables import FAMILIES, family_table, objectives_section, policies_table, table
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from vla_ros.evaluation.card import results_table
from vla_ros.evaluation.report import read_report
from vla_ros.nodes import params, wiring
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.reason import Reason

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    'README.md',
    'docs/dataflow.md',
    'docs/models.md',
    'docs/nodes.md',
    'docs/objectives.md',
    'docs/safety.md',
)
#: What ``make faults`` found at full size.
LEDGER = ROOT / 'docs' / 'faults.jsonl'


def type_name(message: type) -> str:
    return f'{message.__module__.split(".")[0]}/{message.__name__}'


def qos_name(qos: QoSProfile) -> str:
    words = ['best effort' if qos.reliability == ReliabilityPolicy.BEST_EFFORT else 'reliable']
    if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        words.append('transient local')
    return ', '.join([*words, f'depth {qos.depth}'])


def topics_table() -> str:
    return table(
        ('topic', 'type', 'from', 'to', 'what it carries'),
        (
            (f'`{t.name}`', type_name(t.type), t.publishers, t.subscribers, t.doc)
            for t in wiring.TOPICS
        ),
    )


def limits(metadata: dict[str, object]) -> str:
    if 'one_of' in metadata:
        return ', '.join(f'`{v}`' for v in metadata['one_of'])  # type: ignore[attr-defined]
    if 'ge' in metadata:
        return f'{metadata["ge"]} .. {metadata["le"]}'
    return ''


def default(value: object) -> str:
    if isinstance(value, tuple) and all(v != v for v in value):
        return '(none)'
    return f'`{value!r}`'


def run_time(metadata: dict[str, object]) -> str:
    if metadata.get('tunable'):
        return ' (tunable)'
    return ' (may be lowered at run time)' if metadata.get('lowerable') else ''


def reasons_table() -> str:
    return table(('reason', 'meaning'), ((f'`{r.value}`', r.doc) for r in Reason))


def faults_table() -> str:
    def told(value: float, unit: str) -> str:
        return f'{value:.3g} {unit}'.strip()

    lines = [json.loads(line) for line in LEDGER.read_text().splitlines()]
    return table(
        ('', 'what holds', 'tried', 'violations', 'worst', 'limit'),
        (
            (
                line['id'],
                line['promise'],
                f'{line["tried"]:,}',
                str(line['violations']),
                told(line['worst'], line['unit']) if line['limit'] else '',
                told(line['limit'], '') if line['limit'] else '',
            )
            for line in lines
        ),
    )


def node_section(node: str) -> str:
    def named(names: str) -> bool:
        return node in re.split(r',\s*', names) or names == 'all'

    parts = [f'## {node}']
    read = [(t, t.subscriber_qos or t.qos) for t in wiring.TOPICS if named(t.subscribers)]
    written = [(t, t.qos) for t in wiring.TOPICS if named(t.publishers)]
    for title, topics in (('Subscribes', read), ('Publishes', written)):
        if topics:
            rows = [(f'`{t.name}`', type_name(t.type), qos_name(q), t.doc) for t, q in topics]
            parts.append(f'### {title}\n\n' + table(('topic', 'type', 'QoS', 'what'), rows))
    services = [s for s in wiring.SERVICES if s.server == node]
    if services:
        rows = [(f'`{s.name}`', type_name(s.type), s.doc) for s in services]
        parts.append('### Services\n\n' + table(('service', 'type', 'what'), rows))
    cls = params.NODE_PARAMS[node]
    values = cls()
    rows = [
        (
            f'`{f.name}`',
            default(getattr(values, f.name)),
            limits(dict(f.metadata)),
            f.metadata['doc'] + run_time(dict(f.metadata)),
        )
        for f in fields(cls)
    ]
    parts.append('### Parameters\n\n' + table(('parameter', 'default', 'valid', 'meaning'), rows))
    return '\n\n'.join(parts)


def generated() -> dict[str, str]:
    return {
        'topics': topics_table(),
        'reasons': reasons_table(),
        'faults': faults_table(),
        'results': results_table(read_report(shipped_policy_path())),
        'nodes': '\n\n'.join(node_section(node) for node in params.NODE_PARAMS),
        'policies': policies_table(),
        'objectives': objectives_section(ROOT / 'docs' / 'objectives'),
        **{family: family_table(family) for family in FAMILIES},
    }


def filled(page: str, parts: dict[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return f'<!-- begin {name} -->\n{parts[name]}\n<!-- end {name} -->'

    return re.sub(r'<!-- begin (\w+) -->.*?<!-- end \1 -->', replace, page, flags=re.S)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='only compare')
    check = parser.parse_args().check
    parts = generated()
    stale = []
    for name in PAGES:
        path = ROOT / name
        old = path.read_text()
        new = filled(old, parts)
        if old != new:
            stale.append(name)
            if not check:
                path.write_text(new)
    if check and stale:
        sys.stderr.write(f'{", ".join(stale)} out of date: run "make docs"\n')
    return 1 if check and stale else 0


if __name__ == '__main__':
    sys.exit(main())
