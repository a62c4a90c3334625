"""Whether tokenizer and model belong together, and two tokenizers to each other: tokens without an embedding, a token
that never ends an answer, and a teacher's probabilities over other tokens all train without an error, and wrongly.
"""

from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.text import listed

_SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")
_SHOWN = 3


def require_end_token(eos_token: str | None, model: str) -> None:
    """Raise InputError unless the model of this name has a token that ends an answer, or a text."""
    if not eos_token:
        problem, remedy = "the model names no token that ends an answer", "name the template's as `eos_token`"
        raise InputError(problem, place=f"models/catalog.yaml: models.{model}", remedy=remedy)


def require_embeddings(tokenizer: Any, model: Any, name: str) -> None:
    """Raise InputError, with the numbers, when tokenizer or configuration name tokens beyond the model's embeddings."""
    rows = model.get_input_embeddings().weight.shape[0]
    vocabulary = tokenizer.get_vocab()
    token, largest = max(vocabulary.items(), key=lambda item: item[1])
    if largest >= rows:
        count = sum(number >= rows for number in vocabulary.values())
        problem = f"the tokenizer's largest token is {token!r}, {largest}, and the model has {rows} embeddings: "
        raise _mismatch(problem + f"{count} tokens have none", name)
    for key in _SPECIAL:
        value = getattr(model.config, key, None)
        for number in value if isinstance(value, list) else [value]:
            if number is not None and number >= rows:
                raise _mismatch(f"config.json's {key} is {number}, and the model has {rows} embeddings", name)


def require_same_vocabulary(base: Path, teacher: Path) -> None:
    """Raise InputError unless both folders' tokenizers give every token the same number."""
    ours, theirs = _vocabulary(base), _vocabulary(teacher)
    differing = sorted(
        (ours.get(token, theirs.get(token)), token)
        for token in ours.keys() | theirs.keys()
        if ours.get(token) != theirs.get(token)
    )
    if differing:
        shown = listed((_difference(token, ours, theirs) for _, token in differing), _SHOWN)
        problem = f"the teacher's tokenizer has other tokens than the base model's (base → teacher): {shown}"
        remedy = "name a teacher of the same family: its probabilities must be over the same tokens"
        raise InputError(problem, place="params.yaml: base.teacher", remedy=remedy)


def _mismatch(problem: str, name: str) -> InputError:
    remedy = "take tokenizer and weights from the same model and revision"
    return InputError(problem, place=f"models/catalog.yaml: models.{name}", remedy=remedy)


def _difference(token: str, ours: dict[str, int], theirs: dict[str, int]) -> str:
    return f"{token!r} {ours.get(token, 'missing')} → {theirs.get(token, 'missing')}"


def _vocabulary(folder: Path) -> dict[str, int]:
    from tokenizers import Tokenizer

    vocabulary: dict[str, int] = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True)
    return vocabulary
