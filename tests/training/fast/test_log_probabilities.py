import pytest
import torch
from rounding import is_close

from tunegate.training.fast import log_probabilities


def made(
    seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    hidden, weight, bias = torch.randn(23, 16), torch.randn(50, 16), torch.randn(50)
    return hidden.to(dtype), weight.to(dtype), bias.to(dtype), torch.randint(0, 50, (23,))


@pytest.mark.parametrize("trained", [False, True], ids=["a frozen projection", "a trained one"])
@pytest.mark.parametrize("held", [10**6, 50 * 4])
def test_log_probabilities_in_parts_are_torch_s_with_their_gradients(
    trained: bool, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(log_probabilities.HELD, "cpu", held)
    hidden, weight, bias, targets = made()
    inputs = [hidden.requires_grad_(), weight.requires_grad_(trained), bias.requires_grad_(trained)]
    asked = [value for value in inputs if value.requires_grad]
    how = torch.linspace(-1, 2, 23)
    logits = torch.nn.functional.linear(*inputs)
    expected = -torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    found = log_probabilities.log_probs(*inputs, targets)
    assert is_close(found, expected)
    gradients = zip(
        torch.autograd.grad((expected * how).sum(), asked), torch.autograd.grad((found * how).sum(), asked), strict=True
    )
    for one, other in gradients:
        assert is_close(other, one, 2)


def test_without_gradients_only_the_numbers_are_made() -> None:
    hidden, weight, _, targets = made(dtype=torch.bfloat16)
    with torch.no_grad():
        found = log_probabilities.log_probs(hidden, weight, None, targets)
    logits = (hidden @ weight.t()).float()
    assert is_close(found, -torch.nn.functional.cross_entropy(logits, targets, reduction="none"))


def test_under_autocast_the_products_are_in_bf16() -> None:
    hidden, weight, _, targets = made()
    with torch.autocast("cpu", torch.bfloat16):
        found = log_probabilities.log_probs(hidden, weight, None, targets)
    expected = log_probabilities.log_probs(hidden.bfloat16(), weight.bfloat16(), None, targets)
    assert torch.equal(found, expected)


def test_no_trained_position_is_no_error() -> None:
    hidden, weight, _, targets = made()
    assert log_probabilities.log_probs(hidden[:0], weight, None, targets[:0]).shape == (0,)
