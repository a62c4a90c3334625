"""Two answers to one prompt, of which one was chosen: for `preference`."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.errors import InputError
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.models.tokens.formats.answers import ended
from tunegate.models.tokens.rows import pairs_of

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Preferences:
    """The chosen answer is the row's label or last message, the other one its `rejected`."""

    def __call__(self, recipe: Recipe, rows: Sequence[Row]) -> Iterator[Example]:
        """The rows as examples, in order.

        Raises InputError that names the row where one of the two answers is missing, both are the same, or the
        template refuses one.
        """
        for row in rows:
            require_both(row)
        chat = recipe.chat()
        chosen, rejected = pairs_of(chat, rows), pairs_of(chat, [with_rejected(row) for row in rows])
        for row, (prompt, answer), (_, other) in zip(rows, chosen, rejected, strict=True):
            ids, others = (ended(tokens, recipe.eos, row["id"]) for tokens in (answer, other))
            if ids == others:
                problem = "the chosen and the rejected answer are the same: there is nothing to prefer"
                raise InputError(problem, place=f"row {row['id']}", remedy="delete the row, or correct one answer")
            yield Example(row["id"], prompt + ids, [IGNORED] * len(prompt) + ids, rejected=others)


def with_rejected(row: Row) -> dict[str, Any]:
    """The row as if the rejected answer were its answer."""
    if not row["messages"]:
        return {**row, "label": row["rejected"]}
    last = {"role": "assistant", "content": row["rejected"]}
    return {**row, "messages": [*row["messages"][:-1], last]}


def require_both(row: Row) -> None:
    """Raise InputError that names the row where one of the two answers is missing."""
    missing = "rejected" if row["rejected"] is None else None
    if not row["messages"] and row["label"] is None:
        missing = "chosen"
    if missing:
        problem = f"no {missing} answer: technique preference learns from two"
        remedy = "give every source a chosen and a rejected answer (docs/data.md), or choose another train.technique"
        raise InputError(problem, place=f"row {row['id']}", remedy=remedy)
