import pytest
import torch

from vla_ros.models.text.reader import Reader

CLASSES = (5, 8, 5, 7)


@pytest.fixture
def reader():
    torch.manual_seed(0)
    return Reader(6, CLASSES, width=8, heads=2).eval()


@pytest.fixture
def sentences():
    torch.manual_seed(1)
    mask = torch.arange(5)[None] < torch.tensor([3, 5, 1])[:, None]
    return torch.randn(3, 5, 6), mask


def test_there_are_logits_for_every_class_and_a_weight_for_every_token(reader, sentences):
    reading = reader(*sentences)
    assert [part.shape for part in reading[:4]] == [(3, count) for count in CLASSES]
    assert reading.words.shape == (3, 4, 5)


def test_masked_tokens_change_nothing_at_all(reader, sentences):
    text, mask = sentences
    before = reader(text, mask)
    after = reader(text.masked_fill(~mask[:, :, None], 1e3), mask)
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a, b)


def test_padding_more_changes_no_meaning(reader, sentences):
    text, mask = sentences
    longer = torch.nn.functional.pad(text, (0, 0, 0, 4)), torch.nn.functional.pad(mask, (0, 4))
    for a, b in zip(reader(text, mask)[:4], reader(*longer)[:4], strict=True):
        torch.testing.assert_close(a, b)


def test_words_share_the_weight_of_each_answer(reader, sentences):
    words = reader(*sentences).words
    torch.testing.assert_close(words.sum(dim=-1), torch.ones(3, 4))
    assert (words[0, :, 3:] == 0).all()
    assert (words[2, :, 0] == 1).all()


@pytest.mark.parametrize('part', ['task', 'colour', 'shape', 'zone'])
def test_each_answer_has_a_query_of_its_own(reader, sentences, part):
    before = reader(*sentences)
    with torch.no_grad():
        reader.queries[['task', 'colour', 'shape', 'zone'].index(part)] += 1.0
    after = reader(*sentences)
    changed = {
        name
        for name in ('task', 'colour', 'shape', 'zone')
        if not torch.equal(getattr(before, name), getattr(after, name))
    }
    assert changed == {part}


def test_the_order_of_a_batch_does_not_matter(reader, sentences):
    text, mask = sentences
    for a, b in zip(reader(text, mask), reader(text.flip(0), mask.flip(0)), strict=True):
        torch.testing.assert_close(a, b.flip(0))


def test_gradients_reach_every_parameter(reader, sentences):
    reading = reader.train()(*sentences)
    sum(part.square().sum() for part in reading[:4]).backward()
    assert {n for n, p in reader.named_parameters() if p.grad is None} == set()
    still = {n for n, p in reader.named_parameters() if not p.grad.any()}
    # A key's bias adds the same to all scores of a query, so it has no say.
    assert still == {n for n in still if n.endswith('to_key.bias')}


def test_in_training_it_forgets_some_of_what_it_read(reader, sentences):
    reader.train()
    assert not torch.equal(reader(*sentences).colour, reader(*sentences).colour)


def test_the_scripted_reader_reads_the_same(reader, sentences):
    for a, b in zip(torch.jit.script(reader)(*sentences), reader(*sentences), strict=True):
        torch.testing.assert_close(a, b)
