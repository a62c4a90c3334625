"""Cross-entropy of the next token, computed at the trained positions only.

Knows how a causal language model of transformers is asked for logits; does not know techniques.
"""

from typing import Any

import torch

from tunegate.training.batching import Tokens
from tunegate.training.technique import Loss


def logits_of(model: Any, batch: Tokens) -> torch.Tensor:
    """Logits in fp32 at the batch's trained positions, shape (N, vocabulary).

    The vocabulary projection is computed at those positions only; it is most of a small model's work.
    """
    output = model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        logits_to_keep=batch.trained,
        use_cache=False,
    )
    return output.logits[0].float()  # type: ignore[no-any-return]


def next_token_loss(model: Any, batch: Tokens) -> Loss:
    """Sum of the cross-entropy over the batch's trained positions, in nats."""
    return Loss(torch.nn.functional.cross_entropy(logits_of(model, batch), batch.targets, reduction="sum"))
