"""Promises about model files: a wrong one is refused in one line. Without ROS."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys

from faults.hostile import mutate
from faults.ledger import promise, Tally

#: Loads each file of a list in turn and answers with one JSON line each.
LOADER = """
import json, sys
from vla_ros.errors import ConfigurationError
from vla_ros.pipeline import policy
from vla_ros.pipeline.policy import load_policy
policy.TRIAL_S = 10.0
for path in sys.stdin:
    try:
        load_policy(path.rstrip('\\n'))
        answer = ['loaded', '']
    except ConfigurationError as error:
        answer = ['refused', str(error)]
    except Exception as error:
        answer = ['threw', f'{type(error).__name__}: {error}']
    print(json.dumps(answer), flush=True)
"""


class Loader:
    """A process that loads policies, so that a crash is seen and survived."""

    def __init__(self) -> None:
        self.deaths = -1
        self._begin()

    def _begin(self) -> None:
        self.deaths += 1
        self._process = subprocess.Popen(
            [sys.executable, '-c', LOADER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def load(self, path: Path) -> tuple[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f'{path}\n')
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._begin()
            return 'died', ''
        outcome, text = json.loads(answer)
        return outcome, text

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def _write_good(folder: Path) -> Path:
    from tiny_policy import write_policy

    folder.mkdir(parents=True, exist_ok=True)
    return write_policy(folder / 'tiny.pt')


@promise('D1', 'a damaged model file is refused in one line, and a good one then loads', 60, 1_000)
def damaged_models(tally: Tally, size: int) -> None:
    good = _write_good(tally.folder / 'good')
    data = good.read_bytes()
    loader, folder = Loader(), tally.folder / 'damaged'
    folder.mkdir(exist_ok=True)
    bad = folder / 'tiny.pt'
    shutil.copy(good.with_suffix('.json'), bad.with_suffix('.json'))
    refused = loaded = 0
    for i in range(size):
        damaged = mutate(data, tally.rng)
        if damaged == data:
            continue
        bad.write_bytes(damaged)
        outcome, text = loader.load(bad)
        one_line = text.startswith(str(bad)) and '\n' not in text and 'export' in text
        tally.expect(outcome == 'refused' and one_line, f'{outcome}: {text}')
        refused += outcome == 'refused'
        if i % 20 == 19:
            outcome, text = loader.load(good)
            loaded += outcome == 'loaded'
            tally.expect(outcome == 'loaded', f'the good file after a bad one: {text}')
    loader.close()
    tally.expect(loader.deaths == 0, f'{loader.deaths} deaths of the loader')
    tally.notes |= {'refused': refused, 'good ones loaded': loaded}


def _pinned(folder: Path, name: str, data: bytes, **changes: object) -> Path:
    """Write a file with a manifest that pins just these bytes."""
    good = json.loads((folder / 'good' / 'tiny.json').read_text())
    path = folder / f'{name}.pt'
    path.write_bytes(data)
    pin = {'sha256': hashlib.sha256(data).hexdigest(), 'size_bytes': len(data)}
    path.with_suffix('.json').write_text(json.dumps({**good, **pin, **changes}))
    return path


def named_files(folder: Path) -> dict[str, Path]:
    """Return 25 wrong files by what is wrong with each."""
    good = _write_good(folder / 'good')
    data, manifest = good.read_bytes(), good.with_suffix('.json').read_text()

    def plain(name: str, make) -> Path:
        path = folder / f'{name}.pt'
        path.with_suffix('.json').write_text(manifest)
        make(path)
        return path

    def edited(name: str, text: str | bytes) -> Path:
        path = folder / f'{name}.pt'
        path.write_bytes(data)
        path.with_suffix('.json').write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    fields = json.loads(manifest)
    lonely = folder / 'lonely.pt'
    lonely.write_bytes(data)
    return {
        'missing': folder / 'missing.pt',
        'no manifest': lonely,
        'directory': plain('directory', lambda p: p.mkdir()),
        'fifo': plain('fifo', os.mkfifo),
        'endless device': plain('device', lambda p: p.symlink_to('/dev/zero')),
        'dangling link': plain('dangling', lambda p: p.symlink_to('/nowhere')),
        'link to itself': plain('loop', lambda p: p.symlink_to(p)),
        'empty': plain('empty', lambda p: p.write_bytes(b'')),
        'truncated': plain('cut', lambda p: p.write_bytes(data[:-1])),
        'one bit flipped': plain('bit', lambda p: p.write_bytes(data[:-9] + b'\1' + data[-8:])),
        'longer': plain('longer', lambda p: p.write_bytes(data + b'\0')),
        'other suffix': folder / 'm.onnx',
        'wrong hash': edited('hash', json.dumps({**fields, 'sha256': '0' * 64})),
        'short hash': edited('short', json.dumps({**fields, 'sha256': 'abc'})),
        'claims 10 GB': edited('huge', json.dumps({**fields, 'size_bytes': 10 * 2**30})),
        'negative size': edited('negative', json.dumps({**fields, 'size_bytes': -1})),
        'manifest is no JSON': edited('nojson', manifest[:-20]),
        'manifest is no text': edited('notext', b'\xff\xfe\x00'),
        'manifest is a list': edited('list', '[]'),
        'field missing': edited('field', json.dumps({k: fields[k] for k in list(fields)[:-3]})),
        'dt is NaN': edited('nan', manifest.replace('"dt_s": 0.1', '"dt_s": NaN')),
        'other version': edited('version', json.dumps({**fields, 'format_version': 99})),
        'pinned rubbish': _pinned(folder, 'rubbish', b'PK\3\4' + bytes(200)),
        'pinned script': _pinned(folder, 'script', b'#!/bin/sh\ntouch owned\n'),
        'other horizon': _pinned(folder, 'horizon', data, horizon=7),
    }


@promise('D1.named', '25 wrong model files, each by its name', 25, 25)
def named_models(tally: Tally, size: int) -> None:
    folder = tally.folder / 'named'
    folder.mkdir(exist_ok=True)
    files, loader = named_files(folder), Loader()
    for name, path in files.items():
        outcome, text = loader.load(path)
        stem = str(path.with_suffix(''))
        told = text.startswith(stem) and '\n' not in text
        tally.expect(outcome == 'refused' and told, f'{name}: {outcome} {text}')
        outcome, text = loader.load(folder / 'good' / 'tiny.pt')
        tally.expect(outcome == 'loaded', f'good one after {name}: {text}')
    loader.close()
    tally.expect(loader.deaths == 0 and len(files) == 25, f'{loader.deaths} deaths, {len(files)}')


@promise('D1.output', 'a model that returns nonsense, throws or never returns is refused', 7, 7)
def nonsense_models(tally: Tally, size: int) -> None:
    from faults.models import NONSENSE
    from tiny_policy import write_policy

    folder, loader = tally.folder / 'nonsense', Loader()
    folder.mkdir(exist_ok=True)
    good = _write_good(tally.folder / 'good')
    for name, module in NONSENSE.items():
        path = write_policy(folder / f'{name}.pt', module())
        outcome, text = loader.load(path)
        tally.expect(outcome == 'refused' and '\n' not in text, f'{name}: {outcome} {text}')
        tally.expect(loader.load(good)[0] == 'loaded', f'good one after {name}')
    loader.close()
    tally.expect(loader.deaths == 0, f'{loader.deaths} deaths')


@promise('D3', 'the bytes that are hashed are the bytes that are loaded', 10, 200)
def swapped_models(tally: Tally, size: int) -> None:
    """Put another file in place between any two reads: what loads is what was pinned."""
    from unittest.mock import patch

    from tiny_policy import TinyPolicy, write_policy
    import torch

    from vla_ros.pipeline import pinned
    from vla_ros.pipeline.policy import load_policy

    good = _write_good(tally.folder / 'swap')
    other = write_policy(tally.folder / 'other.pt', TinyPolicy().double()).read_bytes()
    data, hasher, reads = good.read_bytes(), hashlib.sha256, []
    load = torch.jit.load

    def hash_then_swap(content: bytes):
        good.write_bytes(other if len(reads) % 2 else bytes(len(data)))
        return hasher(content)

    def load_noted(buffer, **options):
        reads.append(bytes(buffer.getbuffer()))
        return load(buffer, **options)

    for _ in range(size):
        good.write_bytes(data)
        with (
            patch.object(pinned.hashlib, 'sha256', hash_then_swap),
            patch.object(torch.jit, 'load', load_noted),
        ):
            load_policy(good)
        tally.expect(reads[-1] == data, 'other bytes were loaded than were hashed')
