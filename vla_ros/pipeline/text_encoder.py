"""
The pretrained text encoder, exported once to TorchScript in the cache folder.

The first use takes seconds, every later one only reads, checks and loads that file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
import torch

from vla_ros import paths
from vla_ros.errors import ConfigurationError
from vla_ros.models.text import minilm
from vla_ros.pipeline.manifest import read_text_encoder_manifest, TextEncoderManifest
from vla_ros.pipeline.policy import load_torchscript, WARM_UP_CALLS

#: Tokens of a command, the first and last special ones included; more are cut off.
MAX_TOKENS = 24


class TorchTextEncoder:
    """
    Normalised text to token features.

    ``id`` and ``sha256`` (of the weights) are what policies pin, ``width`` is that of a token.
    """

    def __init__(self, manifest: TextEncoderManifest, module: Any, tokenizer: Tokenizer) -> None:
        self.id = manifest.id
        self.sha256 = manifest.weights_sha256
        self.width = manifest.width
        self._module = module
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def encode(self, text: str) -> NDArray[np.float32]:
        """Return (n, width), the features of at most MAX_TOKENS tokens."""
        token_ids = torch.tensor([self._tokenizer.encode(text).ids])
        with torch.inference_mode():
            features = self._module(token_ids, torch.ones_like(token_ids, dtype=torch.bool))
        return features[0].numpy()


def load_text_encoder(cache_dir: str = '', num_threads: int = 1) -> TorchTextEncoder:
    """
    Return the text encoder, ready to encode; the first use exports it to the cache.

    ``cache_dir`` '' is the user's cache folder; ``num_threads`` is torch's, for the whole
    process. Raises ConfigurationError if the weights are missing or the cache cannot be written.
    """
    # The tokenizer's own threads gain nothing on one line and warn after a fork.
    os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
    torch.set_num_threads(num_threads)
    path = paths.cache_dir(cache_dir) / f'{minilm.ID}-{minilm.package_version()}' / 'encoder.pt'
    try:
        return _load(path)
    except ConfigurationError:  # first use, or the file is damaged or of another version
        pass
    with paths.writing_to(path.parent), _locked(path.parent):
        try:
            return _load(path)  # another process made it while this one waited
        except ConfigurationError:
            _export(path)
    return _load(path)


def _load(path: Path) -> TorchTextEncoder:
    manifest = read_text_encoder_manifest(path)
    module = load_torchscript(path, manifest.sha256, manifest.size_bytes)
    try:
        data = path.with_name('tokenizer.json').read_bytes()
    except OSError as error:
        raise ConfigurationError(f'{path.parent}: no tokenizer.json ({error.strerror})') from error
    if hashlib.sha256(data).hexdigest() != manifest.tokenizer_sha256:
        raise ConfigurationError(f'{path.parent}: tokenizer.json is not the one of the manifest')
    encoder = TorchTextEncoder(manifest, module, Tokenizer.from_str(data.decode('utf-8')))
    for _ in range(WARM_UP_CALLS):
        encoder.encode('warm up')
    return encoder


def _export(path: Path) -> None:
    # The exporter is only needed on first use.
    from vla_ros.models.export import export_text_encoder

    encoder, weights_sha256, tokenizer = minilm.load_minilm()
    fields = {
        'id': minilm.ID,
        'weights_sha256': weights_sha256,
        'width': encoder.tokens.embedding_dim,
        'licence': minilm.LICENCE,
    }
    export_text_encoder(encoder, tokenizer, fields, path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out; the system releases the lock of one that dies."""
    with (folder / 'lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
