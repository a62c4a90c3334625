"""Answers by a model's own distribution, whatever its files say of generation (penalties, suppressed tokens, top-k).

Such settings would make another distribution than the one that is trained and measured.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any


def generated(model: Any, prompts: Sequence[list[int]], *, end: int, longest: int, **sampling: Any) -> list[list[int]]:
    """The tokens of one answer to each prompt, with the one that ends it unless it was cut off at `longest`.

    The likeliest answers, unless `sampling` has settings of transformers' GenerationConfig.
    """
    import torch
    from transformers import GenerationConfig

    width = max(map(len, prompts))
    device = next(model.parameters()).device
    # Padded on the left by a token that the mask hides: which one does not matter.
    ids = torch.tensor([[end] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    config = GenerationConfig(**sampling, max_new_tokens=longest, eos_token_id=end, pad_token_id=end)
    with _without_settings(model):
        sequences = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return [answer[: answer.index(end) + 1] if end in answer else answer for answer in sequences[:, width:].tolist()]


@contextlib.contextmanager
def _without_settings(model: Any) -> Iterator[None]:
    """Hide the model's own settings, which fill what a GenerationConfig leaves open."""
    from transformers import GenerationConfig

    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = core.generation_config
    core.generation_config = GenerationConfig()
    try:
        yield
    finally:
        core.generation_config = before
