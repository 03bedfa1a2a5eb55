"""Hidden words of a command, guessed from the others: masked language modelling (BERT)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn, Tensor

from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import Table, Words
from vla_ros.models.text.transformer import TextTransformer
from vla_ros.training.losses import mask_words, masked_language_loss, WordMasking
from vla_ros.training.sentences import new_sentences


@dataclass(frozen=True)
class Config(Budget):
    width: int
    layers: int
    sentences: int  # to train on; a tenth as many are held out


class Guesser(nn.Module):
    """Ids (b, n) and their mask to logits (b, n, words)."""

    def __init__(self, words: int, config: Config) -> None:
        super().__init__()
        self.read = TextTransformer(words, config.width, heads=4, layers=config.layers)
        self.to_word = nn.Linear(config.width, words)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.to_word(self.read(ids, mask))


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    random = torch.Generator().manual_seed(seed)
    texts = list(dict.fromkeys(s.text for s in new_sentences(11 * config.sentences // 10, seed)))
    new, known = texts[: len(texts) // 11], texts[len(texts) // 11 :]
    words = Words(known)
    ids, mask = words(known)
    model = Guesser(len(words), config)
    rows = rows_at(len(ids), config.batch, seed)

    def losses_at(step: int) -> dict[str, Tensor]:
        chosen = rows(step)
        read, wanted = mask_words(ids[chosen], mask[chosen], words.MASK, len(words), random)
        return {'words': masked_language_loss(model(read, mask[chosen]), wanted)}

    trained = train(model, losses_at, config, folder, {'words': 1.0})

    ids, mask = words(new)
    read, wanted = mask_words(ids, mask, words.MASK, len(words), random, WordMasking(hidden=1.0))
    asked = wanted >= 0
    with torch.no_grad():
        guessed = trained(read, mask)[asked].argmax(dim=-1)
    right = float((guessed == wanted[asked]).float().mean())
    # The tokenizer numbers words by how often they are said.
    most_common = float((wanted[asked] == words.UNKNOWN + 1).float().mean())
    return [Figure('hidden words guessed', right, most_common, 'the commonest word (unigram)')]


STUDY = Study(
    name='masked_language',
    claims='guesses hidden words of sentences never read',
    config=Config,
    run=run,
    pictures={},
)
