"""The fusion of the example is as good as those of the library: see test_fusions."""

from pathlib import Path

from every_case import modalities
import pytest
import torch

from vla_ros.models.fusion import registry
from vla_ros.models.fusion.tokens import Tokens

PATH = Path(__file__).resolve().parents[2] / 'examples' / 'new_fusion.py'


@pytest.fixture
def fusion(monkeypatch):
    """The fusion, known by its name for the length of one test."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    registry.fusion_names()
    monkeypatch.setattr(registry, '_FUSIONS', dict(registry._FUSIONS))
    from examples.new_fusion import BottleneckFusion  # registers itself once in a process

    registry.register_fusion('bottleneck')(BottleneckFusion)
    return registry.build_fusion('bottleneck', 8, {'heads': 2}).eval()


def otherwise(tokens, mask):
    return Tokens(torch.where(mask[..., None], tokens, torch.randn_like(tokens)), mask)


def test_it_takes_less_than_sixty_lines():
    assert len(PATH.read_text().splitlines()) < 60


def test_what_is_masked_changes_nothing(fusion):
    given = modalities()
    for one, other in zip(fusion(*given), fusion(*(otherwise(*m) for m in given)), strict=True):
        torch.testing.assert_close(one, other)


def test_words_look_at_cells_that_are_there_and_at_most_once(fusion):
    vision, text, state = modalities()
    attention = fusion(vision, text, state).attention
    there = text.mask[:, :, None] & vision.mask[:, None]
    assert ((attention > 0) == there).all()
    assert (attention.sum(dim=2) <= 1.0 + 1e-6).all()


def test_every_modality_matters(fusion):
    given = modalities()
    before = fusion(*given).tokens[0]
    for place in range(3):
        changed = list(given)
        changed[place] = Tokens(torch.randn_like(given[place].tokens), given[place].mask)
        assert not torch.allclose(fusion(*changed).tokens[0], before)


def test_it_scripts_and_computes_the_same_then(fusion):
    given = modalities()
    for one, other in zip(fusion(*given), torch.jit.script(fusion)(*given), strict=True):
        torch.testing.assert_close(one, other)
