"""The tables of docs/models.md and docs/objectives.md, from code and measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
import importlib
import inspect
import json
import math
from pathlib import Path
import pkgutil
import re
from types import ModuleType
from typing import Any

from torch import nn

import vla_ros.models
from vla_ros.models.fusion import registry as fusions
from vla_ros.models.registry import build_policy, policy_names, policy_options
from vla_ros.models.text.minilm import load_minilm
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest
from vla_ros.training.config import load_config
from vla_ros.training.run import policy_spec

FAMILIES = ('layers', 'vision', 'text', 'state', 'action', 'fusion', 'heads', 'tokenizers')


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ['| ' + ' | '.join(header) + ' |', '|' + '---|' * len(header)]
    lines += ['| ' + ' | '.join(row) + ' |' for row in rows]
    return '\n'.join(lines)


def family_table(family: str) -> str:
    """Return every module of a family, its shapes, and the idea of its file."""
    rows = []
    for module in modules(family):
        file = (paragraph(module), papers(module))
        for cls in module_classes(module):
            unused = '' if cls in used() else ' *In no policy.*'
            rows.append((f'`{cls.__name__}`', paragraph(cls) + unused, *file))
            file = ('', '')
    return table(('module', 'what it does', 'idea of its file', 'paper'), rows)


def modules(family: str) -> Iterator[ModuleType]:
    package = importlib.import_module(f'{vla_ros.models.__name__}.{family}')
    for info in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f'{package.__name__}.{info.name}')


def module_classes(module: ModuleType) -> list[type]:
    """Return the public modules that are defined there, in their order."""
    classes = [
        cls
        for name, cls in vars(module).items()
        if isinstance(cls, type) and issubclass(cls, nn.Module) and not name.startswith('_')
    ]
    # A base without a forward of its own is what others are made of.
    classes = [cls for cls in classes if cls.forward is not nn.Module.forward]
    return [cls for cls in classes if cls.__module__ == module.__name__]


def paragraph(documented: object) -> str:
    """Return the first paragraph of a docstring, on one line of a table."""
    text = (inspect.getdoc(documented) or '').split('\n\n')[0]
    return ' '.join(text.split()).replace('``', '`').replace('|', '\\|')


def papers(module: ModuleType) -> str:
    """Return what the docstring of a file cites, as in 'Vaswani et al. 2017'."""
    name = r'(?:van den )?[A-Z][\w-]+(?: (?:and|&) [A-Z][\w-]+| et al\.)'
    when = r'(?:(?:19|20)\d\d\b|arXiv [\d.]+\d)'
    cited = re.findall(rf'({name}),? \(?({when})', ' '.join((module.__doc__ or '').split()))
    return ', '.join(dict.fromkeys(f'{who} {year}' for who, year in cited))


@cache
def used() -> set[type]:
    """Return the classes of all that policies are built of, whatever their options."""
    made = [(name, {}) for name in policy_names()]
    made += [('early', {'head': head}) for head in ('chunk', 'recurrent', 'flow')]
    # What reads the words before any policy does is in use as well.
    roots = [load_minilm()[0], *(built(*given) for given in made)]
    return {cls for root in roots for part in root.modules() for cls in type(part).__mro__}


def built(name: str, options: dict[str, Any]) -> nn.Module:
    spec = policy_spec(load_config(), read_manifest(shipped_policy_path()).text_width)
    return build_policy(name, spec, options)


def policies_table() -> str:
    """Return every registered policy: its idea, its size and its options."""
    rows = []
    for name in policy_names():
        policy = built(name, {})
        inner = getattr(policy, 'fusion', None) if name in fusions.fusion_names() else policy
        file = importlib.import_module(type(inner).__module__)
        millions = sum(p.numel() for p in policy.parameters()) / 1e6
        options = ', '.join(f'`{key}: {json.dumps(v)}`' for key, v in policy_options(name).items())
        rows.append((f'`{name}`', paragraph(file), papers(file), f'{millions:.2f}', options))
    header = ('policy', 'idea', 'paper', 'parameters, M', 'options and their defaults')
    return table(header, rows)


def objectives_section(folder: Path) -> str:
    """Return what the examples measured, and their pictures, from a folder beside the page."""
    path = folder / 'results.json'
    if not path.exists():
        return '*No full run has been made yet.*'
    results = json.loads(path.read_text())
    rows = [
        (f'[{name}](../examples/{name}.py)' if i == 0 else '', *line_cells(line))
        for name, result in results.items()
        for i, line in enumerate(result['lines'])
    ]
    parts = [table(('example', 'measured', 'seeds', 'mean, 95 % interval', 'against', ''), rows)]
    for name, result in results.items():
        parts.append(f'### {name}')
        config = {key: value for key, value in result['config'].items() if key != 'tokenizer'}
        seeds = config.pop('seeds')
        settings = ', '.join(f'{key} {value}' for key, value in config.items())
        cost = f' {result["minutes"]} minutes of one core.' if 'minutes' in result else ''
        parts.append(
            f'It {result["claims"]}. {seeds} seeds, each: {settings}; {result["frames"]} frames '
            f'of {result["scenes"]} scenes, a fifth of them held out.{cost}'
        )
        parts += [f'![{text}]({folder.name}/{file})' for file, text in result['pictures'].items()]
        parts += [f'*{text.capitalize()}.*' for text in result['pictures'].values()]
    return '\n\n'.join(parts)


def line_cells(line: dict[str, Any]) -> tuple[str, ...]:
    value, against = line['value'], line['against']
    interval = f'{number(value["value"])}, {number(value["low"])} .. {number(value["high"])}'
    beaten = f'{number(against["value"])}: {line["beside"]}' if against else ''
    verdict = {None: '', True: 'holds', False: '**does not hold**'}[line['holds']]
    return line['what'], str(value['n']), interval, beaten, verdict


def number(value: float) -> str:
    """Return three digits that count, without an exponent."""
    if value == 0.0 or not math.isfinite(value):
        return f'{value:g}'
    return f'{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}'
