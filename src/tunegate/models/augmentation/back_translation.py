"""Back-translation: a text through a language model and back, by two prompts, answered greedily.

Texts are translated one by one: in a batch, the lengths of others would decide the last bits of a probability, and so
now and then a word.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunegate.models.augmentation.perturbations import filled
from tunegate.models.generation import generated
from tunegate.models.tokens.chat_tokens import Recipe

_MOST_GROWTH = 2
"""Longest answer, as a multiple of the question's tokens: the same text in another language."""


class Translator:
    """The model in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def back_translated(self, text: str, prompts: Sequence[str]) -> str:
        """The text after both prompts; empty where the model answers nothing."""
        for prompt in prompts:
            if text:
                text = self._answer(filled(prompt, text))
        return text

    def _answer(self, question: str) -> str:
        import torch

        model, tokenizer = self._loaded
        ids = Recipe.of(tokenizer).chat().prompt_ids([{"role": "user", "content": question}])
        with torch.inference_mode():
            (answer,) = generated(model, [ids], end=tokenizer.eos_token_id, longest=_MOST_GROWTH * len(ids))
        return str(tokenizer.decode(answer, skip_special_tokens=True)).strip()

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from tunegate.models.loading import load_base, load_tokenizer

        return load_base(self._folder, device="cpu", precision="fp32"), load_tokenizer(self._folder)
