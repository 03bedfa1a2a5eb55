import io

from every_policy import small_inputs, small_policy
import pytest
import torch

from vla_ros.models.heads.plan import END
from vla_ros.models.policies.embodied import PLAN_LENGTH, STEPS
from vla_ros.models.policies.multitask import PLAIN_ANSWERS


def small(name, **options):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return small_policy(name, **options).eval()


def inputs():
    torch.manual_seed(1)
    return small_inputs()


def exported(policy):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(policy), buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


def plan_always(policy, step):
    with torch.no_grad():
        policy.plan.to_logits.bias[step] = 100.0


@pytest.mark.parametrize('step', range(1, 1 + len(STEPS)))
def test_another_plan_makes_another_chunk(step):
    policy, other = small('embodied'), small('embodied')
    plan_always(policy, END)
    plan_always(other, step)
    assert not torch.allclose(policy(*inputs()).actions, other(*inputs()).actions)


def test_the_plan_can_be_read():
    policy = small('embodied')
    plan_always(policy, 1 + STEPS.index('push'))
    steps = policy.intend(*inputs()).plan.steps
    assert steps.tolist() == [[1 + STEPS.index('push')] * PLAN_LENGTH] * 3


def test_acting_teaches_planning():
    policy = small('embodied')
    policy(*inputs()).actions.sum().backward()
    assert policy.plan.to_logits.weight.grad.abs().sum() > 0.0


def test_questions_can_be_asked_of_the_exported_file():
    policy = small('multitask')
    replies = exported(policy).reply(*inputs())
    assert replies.shape == (3, len(PLAIN_ANSWERS) + 6)
    torch.testing.assert_close(replies, policy.reply(*inputs()), atol=1e-5, rtol=1e-5)


def test_answering_teaches_the_trunk_that_acts():
    policy = small('multitask')
    policy.reply(*inputs()).sum().backward()
    assert policy.senses.vision.shrink.weight.grad.abs().sum() > 0.0
    assert policy.head.act.first.weight.grad is None


def test_what_reads_leaves_what_is_read_as_it_was():
    policy, more = (small('octo_readout', layers=2, readouts=n) for n in (4, 9))
    more.load_state_dict({**policy.state_dict(), 'readouts': more.readouts})
    contexts = []
    for one in (policy, more):
        one.sequence.blocks[0].register_forward_hook(lambda *call: contexts.append(call[2][1]))
        one(*inputs())
    # The prefix first; then it again, as what the readouts see.
    assert torch.equal(contexts[0], contexts[2])
    n = contexts[0].shape[1]
    assert torch.equal(contexts[1][:, :n], contexts[3][:, :n])
