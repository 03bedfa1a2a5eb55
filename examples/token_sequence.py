"""Command, picture and action as one sequence of tokens, a loss for each: as in RT-2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor

from examples.commands import all_words
from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import Table, Words
from examples.vq_vae import Config as TokenizerConfig
from examples.vq_vae import train_tokenizer
from vla_ros.models.action.sequence import SequenceProcessor
from vla_ros.models.layers.position import SinusoidPosition
from vla_ros.models.tokenizers.action_bins import ActionBins
from vla_ros.models.tokenizers.vq_vae import VqVae
from vla_ros.sim.environment import WORKSPACE_MAX, WORKSPACE_MIN
from vla_ros.training.grammar import every_plain_sentence, plain_sentence
from vla_ros.training.losses import token_losses, TokenKind


@dataclass(frozen=True)
class Config(Budget):
    width: int
    layers: int
    bins: int  # of each number of an action
    tokenizer: TokenizerConfig
    language_weight: float
    vision_weight: float
    action_weight: float


class Reader(nn.Module):
    """Tokens (b, n) int64 of one vocabulary to logits (b, n, tokens) of those that come next."""

    def __init__(self, tokens: int, config: Config) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, config.width)
        self.position = SinusoidPosition(config.width)
        self.process = SequenceProcessor(config.width, 4, config.layers)
        self.to_token = nn.Linear(config.width, tokens)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.to_token(self.process(self.position(self.embed(tokens)), mask))


class Sequences:
    """Frames as tokens: words of the command, codes of the picture, what the expert aims at."""

    def __init__(self, tokenizer: VqVae, config: Config) -> None:
        self._words = words = all_words()
        # Every picture begins at the same place, however short its command.
        self._length = max(len(words.pieces(plain.text)) for plain in every_plain_sentence())
        self._tokenizer, self._size_px = tokenizer, config.tokenizer.size_px
        self._bins = ActionBins.uniform((*WORKSPACE_MIN, 0.0), (*WORKSPACE_MAX, 1.0), config.bins)
        # Words come first, then codes, then the bins of x, y, z and the gripper.
        self._first_code = len(words)
        self._first_bin = self._first_code + config.tokenizer.codes
        self.count = self._first_bin + 4 * config.bins
        self._offset = self._first_bin + torch.arange(4) * config.bins

    @torch.no_grad()
    def __call__(self, table: Table) -> tuple[Tensor, Tensor]:
        """Return tokens (n, t) int64 and their TokenKind (n, t)."""
        ids, _ = self._words([plain_sentence(task) for task in table.tasks()])
        ids = nn.functional.pad(ids, [0, self._length - ids.shape[1]], value=Words.PADDING)
        pictures = table.pictures(self._size_px).split(256)
        codes = torch.cat([self._tokenizer(part).tokens.flatten(1) for part in pictures])
        label = table.frames['labels'][:, 0]
        target = np.concatenate([label['position'], label['gripper'][:, None]], axis=1)
        action = self._bins(torch.from_numpy(target))
        language = torch.where(ids != Words.PADDING, TokenKind.LANGUAGE, TokenKind.PADDING)
        kinds = [
            language,
            torch.full_like(codes, TokenKind.VISION),
            torch.full_like(action, TokenKind.ACTION),
        ]
        tokens = [ids, codes + self._first_code, action + self._offset]
        return torch.cat(tokens, dim=1), torch.cat(kinds, dim=1)


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    known, new = table.split(seed)
    tokenizer = train_tokenizer(
        config.tokenizer, known.pictures(config.tokenizer.size_px), seed, folder / 'tokenizer'
    )
    sequences = Sequences(tokenizer, config)
    tokens, kinds = sequences(known)
    model = Reader(sequences.count, config)
    rows = rows_at(len(known), config.batch, seed)

    def losses(model: nn.Module, tokens: Tensor, kinds: Tensor) -> dict[str, Tensor]:
        logits = model(tokens[:, :-1], kinds[:, :-1] != TokenKind.PADDING)
        return token_losses(logits, tokens[:, 1:], kinds[:, 1:])

    def losses_at(step: int) -> dict[str, Tensor]:
        chosen = rows(step)
        return losses(model, tokens[chosen], kinds[chosen])

    weights = {
        'language': config.language_weight,
        'vision': config.vision_weight,
        'action': config.action_weight,
    }
    trained = train(model, losses_at, config, folder, weights)
    new_tokens, new_kinds = sequences(new.one_a_scene())
    with torch.no_grad():
        surprise = losses(trained, new_tokens, new_kinds)
    return [
        Figure(
            f'surprise of a token of {name} (nats)',
            float(value),
            _by_place(tokens, kinds, new_tokens, new_kinds, TokenKind[name.upper()]),
            'how often each stands there',
            lower_is_better=True,
        )
        for name, value in surprise.items()
    ]


def _by_place(
    tokens: Tensor, kinds: Tensor, new_tokens: Tensor, new_kinds: Tensor, kind: TokenKind
) -> float:
    """Return the mean surprise of new tokens by how often each stood at its place before."""
    surprises, most = [], int(torch.cat([tokens, new_tokens]).max())
    for place in range(1, tokens.shape[1]):  # nothing foresees the first one
        said = new_tokens[new_kinds[:, place] == kind, place]
        before = tokens[kinds[:, place] == kind, place]
        counts = before.bincount(minlength=most + 1) + 0.1
        surprises.append(-(counts / counts.sum()).log()[said])
    return float(torch.cat(surprises).mean())


STUDY = Study(
    name='token_sequence',
    claims='foresees words, codes of the picture and actions of new scenes, by one model',
    config=Config,
    run=run,
    pictures={},
)
