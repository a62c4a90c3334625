"""How far two right computations of one number may lie apart: rounding, by precision.

Which instructions a processor has decides in which order libraries add numbers up, so that last digits differ between
machines, and between one batch and several. In fp32 a pass through a tiny model may move by what error analysis allows:
n numbers added up in another order differ by at most n units of roundoff, relative to their magnitudes (Higham,
Accuracy and Stability of Numerical Algorithms, section 4.2), n being all sums between a token and the loss. In
bf16, products are added up in fp32 and each operation's result is rounded once; that bound would be useless there, but
independent errors grow as the square root of their number (Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019).

It is lax for numbers that are as they should be, and a hundred times less than what mistakes make: a token that sees
another row, a mean over batches in place of tokens. It holds after steps of SGD, which move weights as far as the
gradient says. AdamW divides each gradient by its own size: where one is next to nothing, rounding alone decides the
sign of a whole step, and what follows is compared to `ADAMW` only.
"""

from typing import Any

import pytest
import torch

_LENGTH = 1536
"""Numbers added up between a token and the loss, at most: two layers (two norms, four products and the attention over
widths of 64 and 128: 500 each), the last norm, the vocabulary's product and the sum over 384 words."""
_OPERATIONS = 26
"""Operations between a token and the loss whose results are rounded to bf16: twelve in a layer, and two."""
ADAMW = 0.01
"""Of losses after some ten steps of AdamW. Seen between instruction sets: 5e-4."""


def rounding(passes: int = 1, precision: str = "fp32") -> float:
    """The largest relative difference after so many passes: a loss takes one, its gradient two, and the loss after n
    steps 2 n + 1.
    """
    if precision == "bf16":
        return float((passes * _OPERATIONS) ** 0.5 * torch.finfo(torch.bfloat16).eps / 2)
    return passes * _LENGTH * torch.finfo(torch.float32).eps / 2


def close(expected: Any, passes: int = 1, precision: str = "fp32", *, size: float = 0.0) -> Any:
    """What `expected` is equal to but for rounding; `size`: the magnitude of numbers that it is a difference of."""
    limit = rounding(passes, precision)
    return pytest.approx(expected, rel=limit, abs=limit * size)


def is_close(found: torch.Tensor, expected: torch.Tensor, passes: int = 1, precision: str = "fp32") -> bool:
    """Whether two tensors differ by rounding only, relative to the largest number of the expected one."""
    limit = rounding(passes, precision) * float(expected.detach().abs().max())
    return found.shape == expected.shape and bool((found.float() - expected.float()).abs().max() <= limit)


def assert_same_run(found: list[float], expected: list[float], precision: str = "fp32") -> None:
    """Assert that the losses (or norms of gradients) of two runs by SGD are the same, each after its own steps."""
    assert len(found) == len(expected)
    for step, (mine, other) in enumerate(zip(found, expected, strict=True)):
        assert mine == close(other, 2 * step + 2, precision), f"step {step + 1}"
