from typing import Any

import pytest
import torch

from tunegate.params import Train
from tunegate.training.selection import Selection
from tunegate.training.state import Trained


def trained(steps: int, optimizer: Any = torch.optim.AdamW) -> Trained:
    """Two parameters after some steps on random gradients, with a moving average besides them."""
    parameters = {"a": torch.nn.Parameter(torch.zeros(2, 3)), "b": torch.nn.Parameter(torch.ones(3))}
    made = Trained(parameters, optimizer(parameters.values(), lr=0.1), Selection(parameters, Train(ema=0.5)))
    for step in range(steps):
        advance(made, step)
    return made


def advance(one: Trained, step: int) -> None:
    for parameter in one.parameters.values():
        parameter.grad = torch.randn_like(parameter)
    one.optimizer.step()
    one.selection.follow(step)


def equal(one: Trained, other: Trained) -> bool:
    mine, others = one.tensors(), other.tensors()
    return mine.keys() == others.keys() and all(torch.equal(mine[name], others[name]) for name in mine)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_what_takes_over_a_state_goes_on_in_the_same_bits(optimizer: Any) -> None:
    one, other = trained(3, optimizer), trained(0, optimizer)
    tensors, numbers = {name: tensor.clone() for name, tensor in one.tensors().items()}, one.numbers()
    advance(one, 3)
    assert not equal(one, other)
    other.restore(tensors, numbers)
    advance(other, 3)
    assert equal(one, other)


def test_every_tensor_is_named_by_what_it_is() -> None:
    kinds = {name.partition("/")[0] for name in trained(1).tensors()} - {"random"}
    assert kinds == {"weight", "ema", "optimizer.step", "optimizer.exp_avg", "optimizer.exp_avg_sq"}


def test_what_an_optimizer_holds_besides_tensors_is_kept_too() -> None:
    one, other = trained(1), trained(0)
    one.optimizer.state[one.parameters["a"]]["quantiles"] = 7
    assert one.numbers() == {"a": {"quantiles": 7}, "b": {}}
    other.restore(one.tensors(), one.numbers())
    assert other.numbers() == one.numbers()


def test_no_two_tensors_share_their_memory() -> None:
    one = trained(0)
    one.selection.held["best"] = dict.fromkeys(("a", "b"), torch.zeros(3))
    tensors = one.tensors()
    assert len({tensor.data_ptr() for tensor in tensors.values()}) == len(tensors)
