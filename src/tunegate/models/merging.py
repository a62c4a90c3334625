"""Merging an adapter into its base, in fp32, and measuring that the merged model is the same model.

In bf16 a merge moves logits by a percent; in fp32 by rounding only. Over a base in NF4, the merged weights are those
that were computed with, plus the update; merged into NF4 again, they would be rounded once more. The measure is the
largest difference of any logit over some real examples, relative to the largest logit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tunegate.errors import RefusedError
from tunegate.models.quantisation import dequantised
from tunegate.models.tokens.examples import Example
from tunegate.models.tuned import TunedModel


def merge(tuned: TunedModel, examples: Sequence[Example], tolerance: float) -> tuple[Any, dict[str, float]]:
    """(plain model, {"difference", "agreement", "tolerance", "tokens"}) from a tuned model in fp32, which is used up.

    `agreement` is the share of positions at which both predict the same token. Raises RefusedError when the difference
    exceeds the tolerance.
    """
    options = {} if tuned.record.labels else {"use_cache": False}
    before = [_logits(tuned.model, example, options) for example in examples]
    merged = _merged(tuned)
    after = [_logits(merged, example, options) for example in examples]
    scale = max(float(logits.abs().max()) for logits in before)
    # A tensor's maximum, unlike Python's, is NaN when any of its numbers is.
    worst = float(torch.stack([(a - b).abs().max() for a, b in zip(before, after, strict=True)]).max()) / scale
    same = sum(int((a.argmax(-1) == b.argmax(-1)).sum()) for a, b in zip(before, after, strict=True))
    tokens = sum(len(logits) for logits in before)
    if not worst <= tolerance:
        problem = f"merged and unmerged model differ by {worst:.2g} of the largest logit; the tolerance is {tolerance}"
        raise RefusedError(problem, place="package.tolerance", remedy="report it: an fp32 merge should agree to 1e-4")
    return merged, {"difference": worst, "agreement": same / tokens, "tolerance": tolerance, "tokens": tokens}


def _merged(tuned: TunedModel) -> Any:
    match tuned.record.adapter:
        case "full" | "head":
            return tuned.model
        case "qlora":
            return _merged_into_plain(tuned.model)
        case _:
            return tuned.model.merge_and_unload(safe_merge=True)


@torch.no_grad()
def _merged_into_plain(model: Any) -> Any:
    adapted = {name: part for name, part in model.base_model.model.named_modules() if hasattr(part, "get_delta_weight")}
    updates = {name: part.get_delta_weight("default") for name, part in adapted.items()}
    plain = dequantised(model.unload())
    for name, update in updates.items():
        plain.get_submodule(name).weight += update
    return plain.eval()


@torch.inference_mode()
def _logits(model: Any, example: Example, options: Mapping[str, Any]) -> torch.Tensor:
    """Shape (tokens, vocabulary); of a head, (1, labels)."""
    logits: torch.Tensor = model(input_ids=torch.tensor([example.ids]), **options).logits[0].float()
    return logits.reshape(-1, logits.shape[-1])
