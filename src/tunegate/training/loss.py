"""Cross-entropy of the next token, computed at the trained positions only.

The vocabulary projection is computed at those positions only; it is most of a small model's work. Documents lie end to
end where the model keeps them apart; else they are padded, each in a row of its own.
"""

import contextlib
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tunegate.training.batching import Tokens
from tunegate.training.fast import log_probabilities
from tunegate.training.fast.attention import documents
from tunegate.training.fast.packing import core, evaluated, packs
from tunegate.training.technique import Loss

_linear_logits: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
"""Of each model: whether its logits are its output layer's, with nothing after it but scaling."""


def logits_of(model: Any, batch: Tokens) -> torch.Tensor:
    """Logits in fp32 at the batch's trained positions, shape (N, vocabulary)."""
    return _at_trained(model, batch).float()


def log_probs_of(model: Any, batch: Tokens) -> torch.Tensor:
    """Log p of the batch's targets in nats, fp32, shape (N); never holds all logits where that can be avoided."""
    head = core(model).get_output_embeddings()
    if type(head) is torch.nn.Linear and _has_linear_logits(model, head):
        with _with_forward(head, lambda states: states):
            hidden = _at_trained(model, batch)
        return log_probabilities.log_probs(hidden, head.weight, head.bias, batch.targets)
    return -torch.nn.functional.cross_entropy(logits_of(model, batch), batch.targets, reduction="none")


def next_token_loss(model: Any, batch: Tokens) -> Loss:
    """Sum of the cross-entropy over the batch's trained positions, in nats."""
    return Loss(-log_probs_of(model, batch).sum())


def _at_trained(model: Any, batch: Tokens) -> torch.Tensor:
    """What the model gives at the trained positions, shape (N, …)."""
    if not packs(model):
        return _padded(model, batch)
    with documents(batch.lengths):
        output = model(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            use_cache=False,
            **_kept(model, batch.trained),
        )
    return _chosen(output.logits, batch.trained)[0]


def _padded(model: Any, batch: Tokens) -> torch.Tensor:
    """The same, each document in a row of its own, filled up on the right."""
    lengths = torch.tensor(batch.lengths, device=batch.input_ids.device)
    inside = torch.arange(max(batch.lengths), device=lengths.device) < lengths[:, None]
    ids = torch.zeros(inside.shape, dtype=torch.int64, device=lengths.device)
    ids[inside] = batch.input_ids[0]
    rows, columns = (where[batch.trained] for where in inside.nonzero(as_tuple=True))
    kept, places = torch.unique(columns, return_inverse=True)
    output = model(input_ids=ids, attention_mask=inside.long(), use_cache=False, **_kept(model, kept))
    return _chosen(output.logits, kept)[rows, places]


def _kept(model: Any, positions: torch.Tensor) -> dict[str, torch.Tensor]:
    keeps = "logits_to_keep" in inspect.signature(core(model).forward).parameters
    return {"logits_to_keep": positions} if keeps else {}


def _chosen(logits: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The logits at `positions`, whether or not the model left the others out."""
    return logits if logits.shape[1] == len(positions) else logits[:, positions]


def _has_linear_logits(model: Any, head: torch.nn.Linear) -> bool:
    if model not in _linear_logits:
        _linear_logits[model] = _measure(model, head)
    return _linear_logits[model]


def _measure(model: Any, head: torch.nn.Linear) -> bool:
    """Whether what comes out of the output layer is at most scaled: not cut off, not bent (`softcap`)."""
    hidden = torch.linspace(-1e4, 1e4, head.in_features, device=head.weight.device).expand(1, 3, -1)
    ids = torch.arange(1, 4, device=head.weight.device)[None]
    with evaluated(model), _with_forward(head, lambda _states: hidden):
        logits = core(model)(input_ids=ids, use_cache=False).logits.float()
    if logits.shape != hidden.shape:
        return False
    scale = (logits * hidden).sum() / (hidden * hidden).sum()
    return bool((logits - scale * hidden).abs().max() <= 1e-3 * logits.abs().max())


@contextlib.contextmanager
def _with_forward(head: torch.nn.Linear, forward: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """While open, this is what the output layer does."""
    before = vars(head).get("forward")
    head.forward = forward  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        del head.forward
        if before is not None:
            head.forward = before  # type: ignore[method-assign]
