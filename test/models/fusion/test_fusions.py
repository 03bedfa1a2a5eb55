"""What every fusion owes the policy: see ``vla_ros.models.fusion.tokens``."""

import pytest
import torch

from vla_ros.models.fusion.registry import build_fusion, fusion_names
from vla_ros.models.fusion.tokens import Entrance, Tokens


@pytest.fixture(params=fusion_names())
def name(request):
    return request.param


@pytest.fixture
def fusion(name):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return build_fusion(name, 8, {'heads': 2}).eval()


def batch(rows=2, cells=4, words=3, states=2):
    torch.manual_seed(1)
    return tuple(
        Tokens(torch.randn(rows, n, 8), torch.ones(rows, n).bool()) for n in (cells, words, states)
    )


def without(modality, count=1):
    """Return the modality with its last ``count`` tokens masked."""
    mask = modality.mask.clone()
    mask[:, mask.shape[1] - count :] = False
    return Tokens(modality.tokens, mask)


def summary(out):
    return (out.tokens * out.mask[:, :, None]).sum(dim=1)


def test_each_word_that_is_there_spreads_at_most_one_over_the_cells(fusion):
    attention = fusion(*batch()).attention
    assert (attention > 0).all()
    assert (attention.sum(dim=2) <= 1 + 1e-6).all()


def test_absent_words_look_nowhere_and_nobody_looks_at_absent_cells(fusion):
    vision, text, state = batch()
    attention = fusion(without(vision), without(text), state).attention
    assert (attention[:, 2] == 0).all()
    assert (attention[:, :, 3] == 0).all()
    assert (attention[:, :2, :3] > 0).all()


def test_attention_has_the_form_of_the_contract(fusion):
    attention = fusion(*batch(cells=6)).attention
    assert attention.dtype == torch.float32
    assert attention.view(2, 3, 2, 3).shape == (2, 3, 2, 3)


def test_attention_stays_float32_in_mixed_precision(fusion):
    with torch.autocast('cpu', torch.bfloat16):
        out = fusion(*batch())
    assert out.attention.dtype == torch.float32
    assert out.auxiliary_loss.dtype == torch.float32
    assert out.tokens.isfinite().all()


def test_cells_that_change_places_take_their_attention_along(fusion):
    vision, text, state = batch()
    order = torch.tensor([2, 0, 3, 1])
    moved = Tokens(vision.tokens[:, order], vision.mask[:, order])
    before, after = fusion(vision, text, state), fusion(moved, text, state)
    torch.testing.assert_close(
        after.attention, before.attention[:, :, order], rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(summary(after), summary(before), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('which', range(3))
def test_every_modality_matters(fusion, which):
    inputs = list(batch())
    before = summary(fusion(*inputs))
    inputs[which] = Tokens(inputs[which].tokens.flip(2), inputs[which].mask)
    assert (summary(fusion(*inputs)) - before).abs().max() > 1e-3


@pytest.mark.parametrize('which', range(3))
def test_a_modality_of_no_tokens_is_one_that_is_masked(fusion, which):
    inputs = list(batch())
    inputs[which] = without(inputs[which], inputs[which].tokens.shape[1])
    masked = fusion(*inputs)
    inputs[which] = Tokens(inputs[which].tokens[:, :0], inputs[which].mask[:, :0])
    empty = fusion(*inputs)
    torch.testing.assert_close(summary(empty), summary(masked), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('which', range(3))
def test_what_stands_for_a_missing_modality_is_learned_and_used(fusion, which):
    inputs = list(batch())
    inputs[which] = without(inputs[which], inputs[which].tokens.shape[1])
    summary(fusion(*inputs))[:, 0].sum().backward()
    reached = fusion.entrance.missing.grad.abs().amax(dim=1) > 0
    assert reached.tolist() == [index == which for index in range(3)]


def test_what_is_masked_may_even_be_nan(fusion):
    vision, text, state = (without(part) for part in batch())
    before = fusion(vision, text, state)
    for part in (vision, text, state):
        part.tokens[:, -1] = float('nan')
    after = fusion(vision, text, state)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)


def test_more_padding_changes_nothing(fusion):
    vision, text, state = batch()
    padded = [
        Tokens(
            torch.cat([part.tokens, torch.randn(2, 3, 8)], dim=1),
            torch.cat([part.mask, torch.zeros(2, 3).bool()], dim=1),
        )
        for part in (vision, text, state)
    ]
    before, after = fusion(vision, text, state), fusion(*padded)
    torch.testing.assert_close(summary(after), summary(before), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.attention[:, :3, :4], before.attention, rtol=1e-4, atol=1e-6)


def test_masked_outputs_are_zero_and_some_token_is_always_there(fusion):
    nothing = [without(part, part.tokens.shape[1]) for part in batch()]
    for inputs in (batch(), [without(part) for part in batch()], nothing):
        out = fusion(*inputs)
        assert out.mask.any(dim=1).all()
        assert (out.tokens[~out.mask] == 0).all()


def test_only_a_mixture_of_experts_adds_to_the_loss(name, fusion):
    loss = fusion(*batch()).auxiliary_loss
    assert (float(loss.detach()) >= 0.9) if name == 'mixture' else (float(loss) == 0.0)


def test_only_a_mixture_of_experts_drops_tokens(name):
    options = {'capacity': 0.25, 'layers': 2} if name == 'mixture' else {}
    fusion = build_fusion(name, 8, {'heads': 2, **options})
    dropped = fusion(*batch()).dropped
    assert (dropped > 0).all() if name == 'mixture' else not dropped.any()


def test_attention_can_be_taught(name, fusion):
    """A loss on where the words look is enough to make them look there."""
    vision, text, state = batch(rows=1)
    optimizer = torch.optim.Adam(fusion.parameters(), lr=0.02)
    for _ in range(60):
        out = fusion(vision, text, state)
        share = out.attention[0] / out.attention[0].sum(dim=1, keepdim=True)
        optimizer.zero_grad()
        (-share[:, 2].log().mean()).backward()
        optimizer.step()
    assert share[:, 2].min() > 0.9


def test_the_entrance_tells_equal_tokens_of_two_modalities_apart():
    torch.manual_seed(0)
    same = batch()[0]
    vision, text, _ = Entrance(8)(same, same, same)
    assert (vision.tokens[:, 1:] - text.tokens[:, 1:]).abs().max() > 0.01
