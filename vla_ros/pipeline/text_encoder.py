"""
The pretrained text encoder, exported once to TorchScript in the cache folder.

The first use takes seconds, every later one only reads, checks and loads that file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from vla_ros.pipeline.backends import load_module
from vla_ros.pipeline.command import CommandError
from vla_ros.pipeline.lexicon import Lexicon, read_lexicon_file
from vla_ros.pipeline.manifest import (
    check_text_encoder,
    read_manifest,
    read_text_encoder_manifest,
    TextEncoderManifest,
)
from vla_ros.pipeline.policy import WARM_UP_CALLS

#: Tokens of a command, the first and last special ones included, of policies that are trained now.
MAX_TOKENS = 48
_BATCH = 64


class TorchTextEncoder:
    """
    Normalised text to token features, rare words by plainer ones (see ``pipeline.lexicon``).

    ``id`` and ``sha256`` (of the weights and the lexicon) are what policies pin, ``width`` is
    that of a token; a text has ``max_tokens`` at most.
    """

    def __init__(
        self,
        manifest: TextEncoderManifest,
        module: Any,
        tokenizer: Tokenizer,
        lexicon: Lexicon,
        max_tokens: int,
    ) -> None:
        self.id = manifest.id
        pinned = manifest.weights_sha256 + lexicon.sha256
        self.sha256 = hashlib.sha256(pinned.encode()).hexdigest()
        self.width = manifest.width
        self.max_tokens = max_tokens
        self._lexicon = lexicon
        self._module = module
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def encode(self, text: str) -> NDArray[np.float32]:
        """Return (n, width), the features of its tokens; raises CommandError if too many."""
        read = self._tokenizer.encode(self._lexicon.plain(text))
        cut_off = sum(rest.special_tokens_mask.count(0) for rest in read.overflowing)
        if cut_off:  # the robot would obey the first part alone
            size = len(read.ids) + cut_off
            raise CommandError('too_long', f'command has {size} tokens; {self.max_tokens} fit')
        return self.encode_all([text])[0]

    def pieces(self, text: str) -> tuple[str, ...]:
        """Return the pieces of words (n,) that ``encode`` encodes, rare words replaced."""
        return tuple(self._tokenizer.encode(self._lexicon.plain(text)).tokens)

    def encode_all(self, texts: Sequence[str], look_up: bool = True) -> list[NDArray[np.float32]]:
        """
        Return what ``encode`` does for each text; many at once take less time.

        Of one that is too long the first ``max_tokens`` are encoded. Unless words are to be
        looked up, rare ones are encoded as they are.
        """
        said = [self._lexicon.plain(text) for text in texts] if look_up else texts
        ids = [self._tokenizer.encode(text).ids for text in said]
        features: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(ids)
        by_length = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(ids), _BATCH):
            rows = by_length[start : start + _BATCH]
            padded = torch.nn.utils.rnn.pad_sequence(
                [torch.tensor(ids[row]) for row in rows], batch_first=True
            )
            lengths = torch.tensor([len(ids[row]) for row in rows])
            with torch.inference_mode():
                mask = torch.arange(padded.shape[1])[None] < lengths[:, None]
                encoded = self._module(padded, mask).numpy()
            for row, tokens in zip(rows, encoded, strict=True):
                features[row] = tokens[: len(ids[row])]
        return features


def text_encoder_of(
    policy_path: str | Path, cache_dir: str = '', num_threads: int = 1
) -> TorchTextEncoder:
    """
    Return the text encoder for a policy, of no more tokens than that takes.

    Raises ConfigurationError if the policy was trained with another, or as ``load_text_encoder``.
    """
    most = read_manifest(policy_path).text_encoder.max_tokens
    encoder = load_text_encoder(cache_dir, num_threads, most)
    check_text_encoder(policy_path, encoder.id, encoder.sha256)
    return encoder


def load_text_encoder(
    cache_dir: str = '', num_threads: int = 1, max_tokens: int = MAX_TOKENS
) -> TorchTextEncoder:
    """
    Return the text encoder, ready to encode; the first use exports it to the cache.

    ``cache_dir`` '' is the user's cache folder; ``num_threads`` is torch's, for the whole
    process; a text has ``max_tokens`` at most. Raises ConfigurationError if the weights are
    missing or the cache cannot be written.
    """
    # The tokenizer's own threads gain nothing on one line and warn after a fork.
    os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
    path = paths.cache_dir(cache_dir) / f'{minilm.ID}-{minilm.package_version()}' / 'encoder.pt'
    try:
        return _load(path, num_threads, max_tokens)
    except ConfigurationError:  # first use, or the file is damaged or of another version
        pass
    with paths.writing_to(path.parent), _locked(path.parent):
        try:
            return _load(
                path, num_threads, max_tokens
            )  # another process made it while this one waited
        except ConfigurationError:
            _export(path)
    return _load(path, num_threads, max_tokens)


def _load(path: Path, num_threads: int, max_tokens: int) -> TorchTextEncoder:
    manifest = read_text_encoder_manifest(path)
    module = load_module(path, 'torchscript', manifest.sha256, manifest.size_bytes, num_threads)
    try:
        data = path.with_name('tokenizer.json').read_bytes()
    except OSError as error:
        raise ConfigurationError(f'{path.parent}: no tokenizer.json ({error.strerror})') from error
    if hashlib.sha256(data).hexdigest() != manifest.tokenizer_sha256:
        raise ConfigurationError(f'{path.parent}: tokenizer.json is not the one of the manifest')
    lexicon = read_lexicon_file(paths.lexicon_path())
    tokenizer = Tokenizer.from_str(data.decode('utf-8'))
    encoder = TorchTextEncoder(manifest, module, tokenizer, lexicon, max_tokens)
    # The last as long as any command: one longer than all before takes new memory.
    for text in (*['warm up'] * WARM_UP_CALLS, 'warm up ' * max_tokens):
        encoder.encode_all([text])
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
