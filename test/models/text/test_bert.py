import pytest
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.text.bert import BertConfig, BertEncoder

CONFIG = BertConfig(
    vocabulary=11, positions=7, width=8, feedforward=16, layers=2, heads=2, epsilon=1e-12
)
DOCUMENT = {
    'model_type': 'bert',
    'hidden_act': 'gelu',
    'vocab_size': 11,
    'max_position_embeddings': 7,
    'hidden_size': 8,
    'intermediate_size': 16,
    'num_hidden_layers': 2,
    'num_attention_heads': 2,
    'layer_norm_eps': 1e-12,
}


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return BertEncoder(CONFIG).eval()


def published_weights(encoder):
    """Return the encoder's own weights under the published names, with a segment of ones."""
    names = {
        'tokens.': 'embeddings.word_embeddings.',
        'positions.': 'embeddings.position_embeddings.',
        'norm.': 'embeddings.LayerNorm.',
        '.query.': '.attention.self.query.',
        '.key.': '.attention.self.key.',
        '.value.': '.attention.self.value.',
        '.out.': '.attention.output.dense.',
        '.attention_norm.': '.attention.output.LayerNorm.',
        '.widen.': '.intermediate.dense.',
        '.narrow.': '.output.dense.',
        '.norm.': '.output.LayerNorm.',
    }
    weights = {'embeddings.token_type_embeddings.weight': torch.ones(2, 8)}
    for name, tensor in encoder.state_dict().items():
        key = name.replace('layers.', 'encoder.layer.')
        for own, published in names.items():
            if (own in key) if own.startswith('.') else key.startswith(own):
                key = key.replace(own, published)
                break
        weights[key] = tensor.clone()
    return weights


def test_features_have_one_row_a_token(encoder):
    assert encoder(torch.ones(3, 5, dtype=torch.long), torch.ones(3, 5).bool()).shape == (3, 5, 8)


def test_masked_tokens_change_nothing(encoder):
    short = encoder(torch.tensor([[1, 2, 3]]), torch.ones(1, 3).bool())
    padded = encoder(torch.tensor([[1, 2, 3, 9, 9]]), torch.arange(5)[None] < 3)
    torch.testing.assert_close(padded[:, :3], short, rtol=0, atol=1e-6)


def test_order_of_the_words_counts(encoder):
    mask = torch.ones(1, 2).bool()
    there = encoder(torch.tensor([[1, 2]]), mask)
    back = encoder(torch.tensor([[2, 1]]), mask)
    assert (there - back.flip(1)).abs().max() > 1e-3


def test_gradient_reaches_every_weight(encoder):
    encoder(torch.tensor([[1, 2, 3]]), torch.ones(1, 3).bool()).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_scripted_encoder_computes_the_same(encoder):
    inputs = (torch.tensor([[1, 2, 3]]), torch.ones(1, 3).bool())
    torch.testing.assert_close(torch.jit.script(encoder)(*inputs), encoder(*inputs))


def test_published_weights_load_with_the_segment_folded_in(encoder):
    other = BertEncoder(CONFIG)
    other.load_published(published_weights(encoder))
    for name, tensor in encoder.state_dict().items():
        shift = 1.0 if name == 'positions.weight' else 0.0
        torch.testing.assert_close(other.state_dict()[name], tensor + shift)


def test_missing_weight_is_named(encoder):
    weights = published_weights(encoder)
    del weights['encoder.layer.1.attention.self.key.bias']
    with pytest.raises(ConfigurationError, match=r'lack encoder\.layer\.1\.attention\.self\.key'):
        encoder.load_published(weights)


def test_weight_of_another_shape_is_named(encoder):
    weights = published_weights(encoder)
    weights['encoder.layer.0.output.dense.weight'] = torch.zeros(8, 15)
    with pytest.raises(ConfigurationError, match=r'output\.dense\.weight has shape \[8, 15\]'):
        encoder.load_published(weights)


def test_config_is_read_from_the_published_document():
    assert BertConfig.of(DOCUMENT) == CONFIG


@pytest.mark.parametrize(
    'change',
    [{'model_type': 'gpt2'}, {'hidden_act': 'relu'}, {'position_embedding_type': 'relative_key'}],
)
def test_model_of_another_family_is_refused(change):
    with pytest.raises(ConfigurationError, match='expected bert'):
        BertConfig.of({**DOCUMENT, **change})
