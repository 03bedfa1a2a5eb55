from pathlib import Path

import numpy as np
import pytest
import torch

from vla_ros.models.vision.vit import VisionTransformer

# Weights, images and last hidden states of a ViTModel of the transformers library 5.23 with torch
# 2.13: width 8, 2 layers, 2 heads, patches of 4, random weights, positions as in MAE.
REFERENCE = np.load(Path(__file__).parents[1] / 'vit_reference.npz')
PUBLISHED = {
    'class_token': 'embeddings.cls_token',
    'patches.project': 'embeddings.patch_embeddings.projection',
    'blocks': 'layers',
    'attention_norm': 'layernorm_before',
    'attention.to_query': 'attention.q_proj',
    'attention.to_key': 'attention.k_proj',
    'attention.to_value': 'attention.v_proj',
    'attention.to_out': 'attention.o_proj',
    'feed_forward.0': 'mlp.fc1',
    'feed_forward.3': 'mlp.fc2',
}


@pytest.fixture
def vit():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return VisionTransformer(patch_px=4, width=8, heads=2, layers=2).eval()


def published(name):
    """Return the name under which the reference has one of our weights."""
    for ours, theirs in PUBLISHED.items():
        name = name.replace(ours, theirs)
    in_block, _, part = name.rpartition('.norm.')
    if in_block:
        return f'{in_block}.layernorm_after.{part}'
    return name.replace('norm.', 'layernorm.') if name.startswith('norm.') else name


def test_it_equals_the_reference_implementation(vit):
    weights = {
        name: torch.from_numpy(REFERENCE[f'weights/{published(name)}']).view(own.shape)
        for name, own in vit.state_dict().items()
    }
    vit.load_state_dict(weights)
    summary, cells = vit(torch.from_numpy(REFERENCE['image']))
    hidden = torch.from_numpy(REFERENCE['hidden'])
    torch.testing.assert_close(summary, hidden[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(cells.flatten(1, 2), hidden[:, 1:], rtol=1e-4, atol=1e-5)


def copied(block):
    """Return the layer of torch with the weights of one of ours."""
    theirs = torch.nn.TransformerEncoderLayer(
        8, 2, 32, dropout=0.0, activation='gelu', batch_first=True, norm_first=True
    ).eval()
    ours = block.attention
    parts = (ours.to_query, ours.to_key, ours.to_value)
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    for to, part in (
        (theirs.self_attn.out_proj, ours.to_out),
        (theirs.norm1, block.attention_norm),
        (theirs.norm2, block.norm),
        (theirs.linear1, block.feed_forward[0]),
        (theirs.linear2, block.feed_forward[3]),
    ):
        to.load_state_dict(part.state_dict())
    return theirs


def test_it_equals_the_encoder_of_torch_over_patches_with_a_class_token(vit):
    image = torch.randn(2, 3, 8, 12)
    cells = vit.position(vit.patches(image)).flatten(1, 2)
    x = torch.cat([vit.class_token.expand(2, 1, 8), cells], dim=1)
    for block in vit.blocks:
        x = copied(block)(x)
    x = vit.norm(x)
    summary, cells = vit(image)
    torch.testing.assert_close(summary, x[:, 0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cells.flatten(1, 2), x[:, 1:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(('size', 'grid'), [((4, 4), (1, 1)), ((16, 8), (4, 2)), ((9, 5), (3, 2))])
def test_images_of_any_size_have_a_cell_for_each_patch(vit, size, grid):
    summary, cells = vit(torch.randn(1, 3, *size))
    assert summary.shape == (1, 8)
    assert cells.shape == (1, *grid, 8)


def test_where_a_patch_is_matters(vit):
    image = torch.randn(1, 3, 8, 8)
    moved = image.roll(4, dims=3)  # the two columns of patches change places
    difference = vit(image).cells - vit(moved).cells.flip(2)
    assert difference.abs().max() > 1e-2


def test_every_patch_reaches_the_summary(vit):
    image = torch.randn(1, 3, 8, 12, requires_grad=True)
    vit(image).summary[0, 0].backward()
    assert (image.grad.abs().sum(dim=1) > 0).all()
