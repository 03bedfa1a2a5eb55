"""
The BERT encoder, for inference on one segment (Devlin et al., arXiv 1810.04805).

Token ids (b, n) become the last hidden states (b, n, d). Post-norm transformer layers with exact
GELU; no dropout, no pooler. Reads the weights of any model of the family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn import functional

from vla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class BertConfig:
    """Sizes of the encoder, named after what they count; from the model's ``config.json``."""

    vocabulary: int
    positions: int
    width: int
    feedforward: int
    layers: int
    heads: int
    epsilon: float

    @staticmethod
    def of(document: Mapping[str, Any]) -> BertConfig:
        """Return the config of a ``config.json``; raises ConfigurationError for another kind."""
        kind = (document.get('model_type'), document.get('hidden_act'))
        position = document.get('position_embedding_type', 'absolute')
        if kind != ('bert', 'gelu') or position != 'absolute':
            raise ConfigurationError(
                f'got a model of type {kind[0]} with {kind[1]} and {position} positions; '
                'expected bert with gelu and absolute positions'
            )
        return BertConfig(
            vocabulary=document['vocab_size'],
            positions=document['max_position_embeddings'],
            width=document['hidden_size'],
            feedforward=document['intermediate_size'],
            layers=document['num_hidden_layers'],
            heads=document['num_attention_heads'],
            epsilon=document['layer_norm_eps'],
        )


class BertLayer(nn.Module):
    """Self-attention and a feed-forward net, each added to its input and then normed."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        d = config.width
        self.heads = config.heads
        self.query = nn.Linear(d, d)
        self.key = nn.Linear(d, d)
        self.value = nn.Linear(d, d)
        self.out = nn.Linear(d, d)
        self.attention_norm = nn.LayerNorm(d, config.epsilon)
        self.widen = nn.Linear(d, config.feedforward)
        self.narrow = nn.Linear(config.feedforward, d)
        self.norm = nn.LayerNorm(d, config.epsilon)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (b, n, d) to (b, n, d); ``mask`` (b, 1, 1, n) bool tells which tokens count."""
        b, n, d = x.shape
        shape = [b, n, self.heads, d // self.heads]
        q = self.query(x).view(shape).transpose(1, 2)  # (b, h, n, d/h)
        k = self.key(x).view(shape).transpose(1, 2)
        v = self.value(x).view(shape).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.attention_norm(x + self.out(mixed.transpose(1, 2).reshape(b, n, d)))
        return self.norm(x + self.narrow(functional.gelu(self.widen(x))))


class BertEncoder(nn.Module):
    """Token ids (b, n) int64 and mask (b, n) bool to features (b, n, d) float32."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.norm = nn.LayerNorm(config.width, config.epsilon)
        self.layers = nn.ModuleList([BertLayer(config) for _ in range(config.layers)])

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        position = torch.arange(token_ids.shape[1], device=token_ids.device)
        x = self.norm(self.tokens(token_ids) + self.positions(position))
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        return x

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """
        Load weights under the names they are published with.

        The embedding of the one segment is folded into the positions. Raises
        ConfigurationError naming the first weight that is missing or has another shape.
        """
        own = {name: _published(name) for name in self.state_dict()}
        segment = 'embeddings.token_type_embeddings.weight'
        for name in (*own.values(), segment):
            if name not in weights:
                raise ConfigurationError(f'the text encoder weights lack {name}')
        state = {name: weights[published] for name, published in own.items()}
        state['positions.weight'] = state['positions.weight'] + weights[segment][0]
        for name, tensor in self.state_dict().items():
            if state[name].shape != tensor.shape:
                raise ConfigurationError(
                    f'the text encoder weight {own[name]} has shape {list(state[name].shape)}, '
                    f'expected {list(tensor.shape)}'
                )
        self.load_state_dict(state)


_EMBEDDINGS = {
    'tokens': 'word_embeddings',
    'positions': 'position_embeddings',
    'norm': 'LayerNorm',
}
_LAYER = {
    'query': 'attention.self.query',
    'key': 'attention.self.key',
    'value': 'attention.self.value',
    'out': 'attention.output.dense',
    'attention_norm': 'attention.output.LayerNorm',
    'widen': 'intermediate.dense',
    'narrow': 'output.dense',
    'norm': 'output.LayerNorm',
}


def _published(name: str) -> str:
    """Return the published name of one of our parameters."""
    parts = name.split('.')
    if parts[0] == 'layers':
        return f'encoder.layer.{parts[1]}.{_LAYER[parts[2]]}.{parts[3]}'
    return f'embeddings.{_EMBEDDINGS[parts[0]]}.{parts[1]}'
