"""Conversations, or a question and its answer: the answer's tokens are trained on.

For `sft` and every technique whose examples look the same: distill, multitask, semisupervised, fewshot. For `reinforce`
the prompt alone, with the row's answer for comparison.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tunegate.errors import InputError
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.models.tokens.rows import messages_of, pairs_of, prompts_of, turns_of

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Answers:
    """The rows as examples."""

    with_tasks: bool = False
    """The example says what may name its task."""
    turns: Literal["last", "all"] = "last"
    """What of a conversation is trained on."""
    unanswered: bool = False
    """Rows without an answer are prompts, of which nothing is trained on; else they are refused."""

    def __call__(self, recipe: Recipe, rows: Sequence[Row]) -> Iterator[Example]:
        """The rows as examples, in order.

        Raises InputError that names the row where the template refuses it, its answer never reaches the token that
        ends it, or there is no answer.
        """
        answered = [row for row in rows if is_answered(row)]
        others = [row for row in rows if not is_answered(row)]
        if others and not self.unanswered:
            raise unanswered(others[0]["id"])
        encoded = iter(self._answered(recipe, answered))
        prompts = iter(prompts_of(recipe.chat(), others))
        for row in rows:
            ids, labels = next(encoded) if is_answered(row) else _prompt(next(prompts))
            yield Example(row["id"], ids, labels, tasks=tasks_of(row) if self.with_tasks else None)

    def _answered(self, recipe: Recipe, rows: Sequence[Row]) -> Iterator[tuple[list[int], list[int]]]:
        parts = turns_of(recipe.chat(), rows) if self.turns == "all" else pairs_of(recipe.chat(), rows)
        for row, turns in zip(rows, parts, strict=True):
            yield _masked(list(turns), recipe.eos, row["id"])


@dataclasses.dataclass(frozen=True)
class Prompts:
    """For `reinforce`: prompts to which the model itself writes answers.

    Nothing of a row is trained on; its answer, if it has one, is what rewards compare with.
    """

    def __call__(self, recipe: Recipe, rows: Sequence[Row]) -> Iterator[Example]:
        """The rows as examples, in order. Raises InputError that names the row which the template refuses."""
        answered = iter(pairs_of(recipe.chat(), [row for row in rows if is_answered(row)]))
        others = iter(prompts_of(recipe.chat(), [row for row in rows if not is_answered(row)]))
        for row in rows:
            has_answer = is_answered(row)
            ids = next(answered)[0] if has_answer else next(others)
            target = messages_of(row)[-1]["content"] if has_answer else None
            yield Example(row["id"], ids, [IGNORED] * len(ids), target=target, tasks=tasks_of(row))


def is_answered(row: Row) -> bool:
    """Whether the row has an answer to learn: a conversation, or a label."""
    return bool(row["messages"]) or row["label"] is not None


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


def _masked(parts: list[list[int]], eos: int, row: str) -> tuple[list[int], list[int]]:
    """Token ids and labels of [prompt, answer, prompt, …], up to the end of the last answer."""
    ids, labels = list[int](), list[int]()
    for prompt, answer in zip(parts[::2], parts[1::2], strict=True):
        trained = ended(answer, eos, row)
        ids += prompt + answer
        labels += [IGNORED] * len(prompt) + trained + [IGNORED] * (len(answer) - len(trained))
    over = len(parts[-1]) - len(ended(parts[-1], eos, row))
    return ids[: len(ids) - over], labels[: len(labels) - over]


def _prompt(ids: list[int]) -> tuple[list[int], list[int]]:
    return ids, [IGNORED] * len(ids)


def unanswered(row: str) -> InputError:
    """That the row has no answer."""
    problem = "no answer to learn: the row has neither messages nor a label"
    remedy = "give it a label, or set train.technique to pretrain (raw text) or semisupervised (unlabelled questions)"
    return InputError(problem, place=f"row {row}", remedy=remedy)
