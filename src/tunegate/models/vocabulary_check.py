"""Whether a tokenizer is that of a model: every token that it can make must have an embedding.

Works on both as transformers loads them; reads and writes nothing.
"""

from typing import Any

from tunegate.errors import InputError

_SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")


def require_fitting(tokenizer: Any, model: Any, name: str) -> None:
    """Raise InputError, with the numbers, when tokenizer or configuration name tokens that the model has not."""
    rows = model.get_input_embeddings().weight.shape[0]
    vocabulary = tokenizer.get_vocab()
    token, largest = max(vocabulary.items(), key=lambda item: item[1])
    if largest >= rows:
        count = sum(number >= rows for number in vocabulary.values())
        problem = f"the tokenizer's largest token is {token!r}, {largest}, and the model has {rows} embeddings: "
        raise _unfit(problem + f"{count} tokens have none", name)
    for key in _SPECIAL:
        found = getattr(model.config, key, None)
        for number in found if isinstance(found, list) else [found]:
            if number is not None and number >= rows:
                raise _unfit(f"config.json's {key} is {number}, and the model has {rows} embeddings", name)


def _unfit(problem: str, name: str) -> InputError:
    remedy = "take tokenizer and weights from the same model and revision"
    return InputError(problem, place=f"models/catalog.yaml: models.{name}", remedy=remedy)
