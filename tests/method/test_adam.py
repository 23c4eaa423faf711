"""Adam here is torch's own, bit for bit."""

import torch

from sterna.method.adam import MOMENTS, Adam


def test_bits_and_state_are_those_of_torch():
    torch.manual_seed(0)
    shapes = [(300,), (7,), (4, 5), (5,)]
    ours = [torch.randn(shape) for shape in shapes]
    theirs = [tensor.clone().requires_grad_() for tensor in ours]
    own = Adam((ours[:1], 1e-2), (ours[1:2], 0.0), (ours[2:], 1e-3))
    groups = [{"params": theirs[:1]}, {"params": theirs[1:2]}, {"params": theirs[2:]}]
    stock = torch.optim.Adam(groups, fused=True)
    for step in range(20):
        rate = 1.0 - step / 40
        for group, size in zip(stock.param_groups, (1e-2, 0.0, 1e-3), strict=True):
            group["lr"] = size * rate
        for index, (tensor, other) in enumerate(zip(ours, theirs, strict=True)):
            # The last is used from the fourth step on; the first no more after the tenth.
            gone = (index == 3 and step < 4) or (index == 0 and step > 10)
            tensor.grad = None if gone else torch.randn_like(tensor)
            other.grad = None if gone else tensor.grad.clone()
        own.step(rate)
        stock.step()
    for tensor, other in zip(ours, theirs, strict=True):
        assert torch.equal(tensor, other)
        for name in MOMENTS:
            assert torch.equal(own.state[tensor][name], stock.state[other][name])
    assert all(a is b for a, b in zip(own.parameters, ours, strict=True))


def test_what_was_never_moved_has_no_state():
    tensor = torch.ones(3)
    own = Adam(([tensor], 1e-2))
    own.step(1.0)
    assert own.state == {}
    assert torch.equal(tensor, torch.ones(3))
