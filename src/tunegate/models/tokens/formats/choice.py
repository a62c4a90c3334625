"""Which technique has which row format."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import Example
from tunegate.models.tokens.formats.answers import Answers, Prompts
from tunegate.models.tokens.formats.classes import Classes
from tunegate.models.tokens.formats.preferences import Preferences
from tunegate.models.tokens.formats.raw_text import RawText
from tunegate.params import Technique, Tokenize


class Format(Protocol):
    """From canonical rows to examples, in order; a frozen dataclass, so that its settings are part of cache keys."""

    def __call__(self, recipe: Recipe, rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
        """One example per row. Raises InputError that names the row it cannot use."""
        ...


def format_of(technique: Technique, settings: Tokenize) -> Format:  # noqa: PLR0911 (one for each format)
    """The row format of a technique."""
    match technique:
        case "pretrain":
            return RawText()
        case "classify":
            return Classes()
        case "preference":
            return Preferences()
        case "reinforce":
            return Prompts()
        case "multitask" | "fewshot":
            return Answers(with_tasks=True, turns=settings.turns)
        case "semisupervised":
            return Answers(with_tasks=True, turns=settings.turns, unanswered=True)
        case _:
            return Answers(turns=settings.turns)
