"""Merging an adapter into its base, in fp32, and measuring that the merged model is the same model.

In bf16 a merge moves logits by a percent; in fp32 by rounding only. The measure is the largest difference of any logit
over some real examples, relative to the largest logit. This module reads and writes nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch

from tunegate.errors import RefusedError
from tunegate.models.examples import Example


def merge(model: Any, examples: Sequence[Example], tolerance: float) -> tuple[Any, dict[str, float]]:
    """(merged model, {"difference", "agreement", "tolerance", "tokens"}) from a PEFT model in fp32.

    `agreement` is the share of positions at which both predict the same token. Raises RefusedError when the difference
    exceeds the tolerance.
    """
    before = [_logits(model, example) for example in examples]
    merged = model.merge_and_unload(safe_merge=True)
    after = [_logits(merged, example) for example in examples]
    scale = max(float(logits.abs().max()) for logits in before)
    # A tensor's maximum, unlike Python's, is NaN when any of its numbers is.
    worst = float(torch.stack([(a - b).abs().max() for a, b in zip(before, after, strict=True)]).max()) / scale
    same = sum(int((a.argmax(-1) == b.argmax(-1)).sum()) for a, b in zip(before, after, strict=True))
    tokens = sum(len(logits) for logits in before)
    if not worst <= tolerance:
        problem = f"merged and unmerged model differ by {worst:.2g} of the largest logit; the tolerance is {tolerance}"
        raise RefusedError(problem, place="package.tolerance", remedy="report it: an fp32 merge should agree to 1e-4")
    return merged, {"difference": worst, "agreement": same / tokens, "tolerance": tolerance, "tokens": tokens}


@torch.inference_mode()
def _logits(model: Any, example: Example) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=torch.tensor([example.ids]), use_cache=False).logits[0].float()
    return logits
