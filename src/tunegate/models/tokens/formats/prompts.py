"""Prompts to which a model answers itself, with the row's own answer beside them: for `reinforce`."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.models.tokens.formats.answers import is_answered, tasks_of
from tunegate.models.tokens.prompts import pairs_of, prompts_of
from tunegate.models.tokens.template import messages_of

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Nothing of a row is trained on; its answer, if it has one, is what rewards compare with."""

    def __call__(self, recipe: Recipe, rows: Sequence[Row]) -> Iterator[Example]:
        """The rows as examples, in order. Raises InputError that names the row which the template refuses."""
        answered = iter(pairs_of(recipe.chat(), [row for row in rows if is_answered(row)]))
        others = iter(prompts_of(recipe.chat(), [row for row in rows if not is_answered(row)]))
        for row in rows:
            has_answer = is_answered(row)
            ids = next(answered)[0] if has_answer else next(others)
            target = messages_of(row)[-1]["content"] if has_answer else None
            yield Example(row["id"], ids, [IGNORED] * len(ids), target=target, tasks=tasks_of(row))
