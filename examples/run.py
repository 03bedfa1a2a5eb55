"""
Train the examples on the tabletop and measure what they claim.

``python -m examples.run contrastive vq_vae`` runs two of them, no name all; ``--out`` gets
``results.json`` and the pictures. The first call lets the scripted expert demonstrate.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
import os
from pathlib import Path
import sys
import time
from typing import Any

import torch

from examples import (
    contrastive,
    elastic_weights,
    masked_autoencoder,
    masked_language,
    masked_region,
    matching,
    multitask_weights,
    token_sequence,
    vq_vae,
)
from examples.study import lines_of, Study
from examples.table import demonstrate, load_table, Table, TableConfig
from vla_ros import paths
from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.strict_json import parse
from vla_ros.training.config import merged

#: Where the expert demonstrates for the examples.
OWN_DATA = Path('runs/objectives/demonstrations')
STUDIES = {
    module.STUDY.name: module.STUDY
    for module in (
        contrastive,
        matching,
        masked_language,
        masked_region,
        masked_autoencoder,
        vq_vae,
        token_sequence,
        multitask_weights,
        elastic_weights,
    )
}


def run_study(study: Study, document: dict[str, Any], table: Table, work: Path, out: Path) -> dict:
    """Return the results of every seed together, as JSON; the first one's pictures are kept."""
    config = parse(study.config, document)
    runs, started_s = [], time.process_time()
    for seed in range(config.seeds):
        print(f'{study.name}, seed {seed}', file=sys.stderr)
        folder = work / study.name / f'seed{seed}'
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        runs.append(study.run(config, table, seed, folder))
    lines = lines_of(runs)
    out.mkdir(parents=True, exist_ok=True)
    first = work / study.name / 'seed0'
    for name in study.pictures:
        (out / f'{study.name}-{name}').write_bytes((first / name).read_bytes())
    return {
        'claims': study.claims,
        'frames': len(table),
        'scenes': int(table.scene.max()) + 1,
        'minutes': round((time.process_time() - started_s) / 60.0, 1),
        'config': asdict(config),
        'lines': [{**asdict(line), 'holds': line.holds} for line in lines],
        'pictures': {f'{study.name}-{name}': text for name, text in study.pictures.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='examples.run', description=__doc__)
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'of {", ".join(STUDIES)}')
    parser.add_argument('--config', type=Path, help='changes to config/train/objectives.yaml')
    parser.add_argument(
        '--data',
        type=Path,
        help=f'demonstrations, as of a training run; if left, made in {OWN_DATA}',
    )
    parser.add_argument('--work', type=Path, default=Path('runs/objectives'), help='for logs')
    parser.add_argument('--out', type=Path, default=Path('out/objectives'), help='for results')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes')
    args = parser.parse_args(arguments)
    try:
        return _run(args)
    except ConfigurationError as error:
        print(f'examples.run: {error}', file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    names = args.names or list(STUDIES)
    for name in names:
        if name not in STUDIES:
            raise ConfigurationError(f'no example {name!r}; valid: {", ".join(STUDIES)}')
    document = merged(paths.share_dir() / 'config' / 'train' / 'objectives.yaml', args.config)
    torch.set_num_threads(1)
    try:
        config, data = parse(TableConfig, document['table']), args.data or OWN_DATA
        if args.data is None:
            demonstrate(data, config, args.workers)
        table = load_table(data, config)
        for name in names:
            result = run_study(STUDIES[name], document[name], table, args.work, args.out)
            _keep(name, result, args.out / 'results.json')
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f'{args.config}: {error}') from error
    return 0


def _keep(name: str, result: dict, path: Path) -> None:
    """Put the result of one example beside those of the others; print it."""
    results = json.loads(path.read_text()) if path.exists() else {}
    results[name] = result
    ordered = {known: results[known] for known in STUDIES if known in results}
    path.write_text(json.dumps(ordered, indent=1) + '\n')
    for line in result['lines']:
        value, against = line['value'], line['against']
        text = f'{line["what"]}: {value["value"]:.3f} [{value["low"]:.3f}, {value["high"]:.3f}]'
        if against:
            text += f', {line["beside"]} {against["value"]:.3f}: '
            text += 'holds' if line['holds'] else 'DOES NOT HOLD'
        print(f'{name}  {text}')


if __name__ == '__main__':
    sys.exit(main())
