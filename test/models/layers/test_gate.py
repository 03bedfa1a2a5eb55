import torch

from vla_ros.models.layers.gate import ConditionalGate


def test_the_condition_opens_and_shuts_the_gate():
    gate, x = ConditionalGate(4, 1), torch.randn(1, 3, 4)
    with torch.no_grad():
        gate.from_condition.weight.fill_(100.0)
    torch.testing.assert_close(gate(x, torch.ones(1, 1))[0], x)
    torch.testing.assert_close(gate(x, -torch.ones(1, 1))[0], torch.zeros_like(x))


def test_what_passes_is_the_share_that_the_gates_say():
    torch.manual_seed(0)
    gate, x = ConditionalGate(4, 2), torch.randn(2, 3, 4)
    passed, gates = gate(x, torch.randn(2, 2))
    assert ((gates > 0.0) & (gates < 1.0)).all()
    torch.testing.assert_close(passed, gates * x)
