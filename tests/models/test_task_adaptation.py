import pytest
import torch

from tunegate.models.task_adaptation import descend, restored


def test_steps_go_downhill_and_the_start_comes_back() -> None:
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    with restored([weight]) as start:
        losses = descend([weight], [0, 1, 2], lambda _: (weight**2).sum() / 2, rate=0.5, max_norm=100.0)
        assert losses == pytest.approx([12.5, 12.5 / 4, 12.5 / 16])
        assert torch.equal(start[0], torch.tensor([3.0, 4.0]))
        assert torch.allclose(weight.detach(), torch.tensor([3.0, 4.0]) / 8)
    assert torch.equal(weight.detach(), torch.tensor([3.0, 4.0]))


def test_a_long_gradient_is_scaled_down_and_a_short_one_is_not() -> None:
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    descend([weight], [0], lambda _: (weight**2).sum() / 2, rate=0.5, max_norm=1.0)
    assert torch.allclose(weight.detach(), torch.tensor([2.7, 3.6]))


def test_the_start_comes_back_after_an_error_too() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(ZeroDivisionError), restored([weight]):
        weight.data.fill_(5)
        _ = 1 / 0
    assert torch.equal(weight.detach(), torch.ones(2))
