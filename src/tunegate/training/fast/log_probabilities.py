"""Log-probabilities of tokens without ever holding the logits of a whole batch.

A row of logits has one number per word of the vocabulary; a batch's are often the largest thing that training holds,
several times over (bf16, fp32, softmax, gradient). Here they are made a few rows at a time. With a frozen vocabulary
projection, as LoRA leaves it, the direction in which each row would move its hidden state is computed in the same pass,
so that the backward pass computes nothing again; with a trained one, its logits are computed again there. Row by row
the same arithmetic as torch's cross-entropy.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

HELD = {"cpu": 2**22, "cuda": 2**27}
"""Logits that are held at a time, by device: what stays in a processor's cache, and what keeps a GPU busy."""


def log_probs(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
) -> torch.Tensor:
    """Log p(target) in nats, fp32, shape (N), from hidden states (N, width) and a projection (vocabulary, width)."""
    return _LogProbs.apply(hidden, weight, bias, targets, _dtype(weight))  # type: ignore[no-any-return, no-untyped-call]


def _dtype(weight: torch.Tensor) -> torch.dtype:
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def _parts(hidden: torch.Tensor, weight: torch.Tensor) -> Iterator[slice]:
    rows = max(1, HELD.get(hidden.device.type, HELD["cuda"]) // len(weight))
    yield from (slice(first, first + rows) for first in range(0, len(hidden), rows))


def _logits(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.nn.functional.linear(hidden, weight, bias).float()


def _logit_gradients(logits: torch.Tensor, total: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The gradient of log p(target) for the logits, in place of the logits."""
    gradients = logits.sub_(total).exp_().neg_()
    return gradients.scatter_add_(1, targets[:, None], torch.ones_like(total))


class _LogProbs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        states, matrix = hidden.to(dtype), weight.to(dtype)
        shift = None if bias is None else bias.to(dtype)
        log_p = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        one_pass = ctx.needs_input_grad[0] and not any(ctx.needs_input_grad[1:3])
        directions = torch.empty_like(states) if one_pass else None
        for part in _parts(states, matrix):
            logits = _logits(states[part], matrix, shift)
            total = logits.logsumexp(1, keepdim=True)
            log_p[part] = (logits.gather(1, targets[part, None]) - total).squeeze(1)
            if directions is not None:
                directions[part] = _logit_gradients(logits, total, targets[part]).to(dtype) @ matrix
        ctx.one_pass = one_pass
        ctx.dtypes = (hidden.dtype, dtype)
        ctx.save_for_backward(*((directions,) if one_pass else (hidden, weight, bias, targets)))
        return log_p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if ctx.one_pass:
            (directions,) = ctx.saved_tensors
            return (directions * grad_output[:, None]).to(ctx.dtypes[0]), None, None, None, None
        return _backward_recomputed(ctx, grad_output)


def _backward_recomputed(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    hidden, weight, bias, targets = ctx.saved_tensors
    kind, dtype = ctx.dtypes
    states, matrix = hidden.to(dtype), weight.to(dtype)
    shift = None if bias is None else bias.to(dtype)
    grad_hidden, grad_weight = torch.empty_like(states), torch.zeros_like(weight)
    grad_bias = None if bias is None else torch.zeros_like(bias)
    for part in _parts(states, matrix):
        logits = _logits(states[part], matrix, shift)
        gradients = _logit_gradients(logits, logits.logsumexp(1, keepdim=True), targets[part])
        gradients = gradients.mul_(grad_output[part, None]).to(dtype)
        grad_hidden[part] = gradients @ matrix
        grad_weight += gradients.t() @ states[part]
        if grad_bias is not None:
            grad_bias += gradients.sum(0)
    return grad_hidden.to(kind), grad_weight, grad_bias, None, None
