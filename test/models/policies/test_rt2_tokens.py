from every_policy import small_inputs, small_policy, SPEC
import pytest
import torch

from vla_ros.errors import ConfigurationError

BINS = 16
#: Tokens beside the words: cells, state, one for each missing modality, answer.
FIXED = 4 + 1 + 3 + 7


def small(**options):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return small_policy('rt2_tokens', **options).eval()


def inputs():
    torch.manual_seed(1)
    return small_inputs()


def guessed(policy, answer):
    return policy.guess(*inputs(), answer)[0]


@pytest.fixture
def policy():
    return small(bins=BINS)


def decoded(policy):
    """Return the answers (3, 7) that the policy gives to the inputs."""
    answers = []
    hook = policy.embed.register_forward_pre_hook(lambda _, given: answers.append(given[0]))
    bins = policy.bins.decode
    policy.bins.decode = lambda b: (answers.append(b[:, -1] + policy.first[-1]), bins(b))[1]
    policy(*inputs())
    hook.remove()
    return torch.stack(answers[1:], dim=1)


def test_an_answer_comes_back_at_most_half_a_bin_away(policy):
    low, high = policy.bins.edges[:, 0], policy.bins.edges[:, -1]
    torch.manual_seed(2)
    numbers = low + (high - low) * torch.rand(50, 6)
    answer = policy.answer(torch.zeros(50, dtype=torch.int64), numbers)
    back = policy.bins.decode(answer[:, 1:] - policy.first[1:])
    assert ((back - numbers).abs() <= (high - low) / BINS / 2.0 + 1e-6).all()


def test_every_token_of_an_answer_is_allowed_at_its_place_only(policy):
    assert policy.allowed.sum(dim=0).tolist() == [1] * policy.vocabulary
    answer = policy.answer(torch.tensor([6]), torch.tensor([[0.4, 0.0, 0.1, 0.2, 1.0, 0.0]]))
    assert policy.allowed[torch.arange(7), answer[0]].all()


def test_a_later_token_of_the_answer_changes_no_earlier_guess(policy):
    answer = policy.answer(torch.tensor([0, 3, 1]), torch.zeros(3, 6))
    before = guessed(policy, answer)
    for place in range(7):
        other = answer.clone()
        other[:, place] = (other[:, place] + 1) % policy.vocabulary
        after = guessed(policy, other)
        assert torch.equal(after[:, : place + 1], before[:, : place + 1])
        if place < 6:
            assert not torch.allclose(after[:, place + 1], before[:, place + 1])


def test_a_token_that_does_not_belong_there_is_never_chosen(policy):
    favourite = int(policy.first[2])  # a bin of y
    with torch.no_grad():
        policy.to_logits.bias[favourite] = 100.0
    answer = decoded(policy)
    assert guessed(policy, answer).argmax(dim=-1).eq(favourite).all()
    assert policy.allowed[torch.arange(7), answer].all()
    assert (answer[:, 2] == favourite).all()


def test_decoding_one_by_one_follows_the_guesses_made_at_once(policy):
    answer = decoded(policy)
    guesses = guessed(policy, answer).masked_fill(~policy.allowed, -torch.inf)
    assert torch.equal(guesses.argmax(dim=-1), answer)
    logits = policy(*inputs()).task_logits
    torch.testing.assert_close(logits, guesses[:, 0, : len(SPEC.tasks)], atol=1e-5, rtol=1e-5)


def test_the_chunk_goes_straight_to_the_answer(policy):
    inner = policy.bins.decode(decoded(policy)[:, 1:] - policy.first[1:])
    output, state = policy(*inputs()), inputs()[3]
    way = output.actions[:, -1, :3] - state[:, :3]
    wanted = inner[:, :3] - state[:, :3]
    torch.testing.assert_close(
        torch.cosine_similarity(way, wanted), torch.ones(3), atol=1e-5, rtol=0.0
    )
    assert torch.equal(output.actions[:, 0, 7], inner[:, 4])


def test_the_chance_of_being_done_is_the_mean_over_its_bins(policy):
    guesses = guessed(policy, decoded(policy))[:, -1].masked_fill(~policy.allowed[-1], -torch.inf)
    chances = guesses.softmax(dim=-1)[:, policy.first[-1] :]
    wanted = (chances * (torch.arange(BINS) + 0.5) / BINS).sum(dim=1)
    termination = policy(*inputs()).termination
    torch.testing.assert_close(termination, wanted[:, None].expand(-1, 4), atol=1e-5, rtol=0.0)
    assert 0.1 < float(termination.detach().mean()) < 0.9


def test_it_is_surer_by_the_bins_beside_the_likeliest_as_well(policy):
    start = int(policy.first[-1])
    with torch.no_grad():
        policy.to_logits.weight[start:] = 0.0
        policy.to_logits.bias[start:] = 0.0
        policy.to_logits.bias[start] = 1.0  # not done is the likeliest of 16 bins, and unlikely
    termination = policy(*inputs()).termination
    assert (termination > 0.3).all()


def test_of_a_command_too_long_for_the_context_the_end_is_cut():
    policy = small(context=FIXED + 3)
    image, text, mask, state = inputs()
    whole = policy(image, text, mask, state)
    start = policy(image, text[:, :3], mask[:, :3], state)
    assert torch.equal(whole.actions, start.actions)
    assert torch.equal(whole.attention[:, :3], start.attention)
    assert whole.attention.shape[1] == 5
    assert (whole.attention[:, 3:] == 0.0).all()


def test_a_context_without_room_for_a_word_is_refused():
    with pytest.raises(ConfigurationError, match=f'set it to more than {FIXED}'):
        small(context=FIXED)
