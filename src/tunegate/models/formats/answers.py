"""Conversations, or a question and its answer: the answer's tokens are trained on.

For `sft` and every technique whose examples look the same: distill, multitask, semisupervised, fewshot.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.errors import InputError
from tunegate.models.chat_tokens import Recipe
from tunegate.models.conversations import pairs_of
from tunegate.models.examples import IGNORED, Example

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Answers:
    """`with_tasks`: the example says what may name its task."""

    with_tasks: bool = False

    def __call__(self, recipe: Recipe, rows: Sequence[Row]) -> Iterator[Example]:
        """The rows as examples.

        Raises InputError that names the row where the template refuses it or its answer never reaches the token that
        ends it.
        """
        for row, (prompt, answer) in zip(rows, pairs_of(recipe.chat(), rows), strict=True):
            ids = ended(answer, recipe.eos, row["id"])
            tasks = tasks_of(row) if self.with_tasks else None
            yield Example(row["id"], prompt + ids, [IGNORED] * len(prompt) + ids, tasks=tasks)


def ended(answer: list[int], eos: int, row: str) -> list[int]:
    """The answer's tokens up to the one that ends it. Raises InputError when there is none."""
    if eos not in answer:
        problem = "the chat template does not end an answer with eos_token: the model would never stop"
        remedy = "set eos_token of the entry in models/catalog.yaml"
        raise InputError(problem, place=f"row {row}", remedy=remedy)
    return answer[: answer.index(eos) + 1]


def tasks_of(row: Row) -> dict[str, str]:
    """What may name a row's task: its source and its slices."""
    return {**dict(row["slices"]), "source": row["source"]}
