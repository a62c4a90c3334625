"""A text and its label: the whole text is read, nothing of it is predicted; the label is for the head.

For `classify`. Where the base has a chat template the text is the prompt that an answer would follow, as in `sft`, so
that a decoder's last position is the one that it answers from; without one, as of an encoder, it stands between what
the tokenizer itself writes around a text ([CLS] and [SEP]). Control tokens that the text spells out stay text.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.errors import InputError
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, Example

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Classes:
    """Rows with a label, which may be empty where a row may have none."""

    def __call__(self, recipe: Recipe, rows: Sequence[Row]) -> Iterator[Example]:
        """The rows as examples. Raises InputError that names the row without a label, or that cannot be tokenised."""
        for row in rows:
            label = label_of(row)
            if label is None:
                problem = "technique classify learns labels, and this row has none"
                remedy = "give it one, or leave unlabelled rows out in data/sources.yaml"
                raise InputError(problem, place=f"row {row['id']}", remedy=remedy)
            ids = text_ids(recipe, row)
            yield Example(row["id"], ids, [IGNORED] * len(ids), target=label)


def label_of(row: Row) -> str | None:
    """A row's label: of a conversation, its last message."""
    label: str | None = row["messages"][-1]["content"] if row["messages"] else row["label"]
    return label


def text_ids(recipe: Recipe, row: Row) -> list[int]:
    """What the model reads of a row. Raises InputError that names the row it cannot be made of."""
    try:
        if recipe.template:
            return recipe.chat().prompt_ids(_question(row))
        before, behind = recipe.text().frame()
        text = "\n".join(message["content"] for message in _question(row))
        return [*before, *recipe.text().text_ids([text])[0], *behind]
    except InputError as error:
        raise InputError(error.problem, place=f"row {row['id']}: {error.place}", remedy=error.remedy) from None


def shortened(recipe: Recipe, ids: list[int], limit: int) -> list[int]:
    """The first tokens of a text and what stands behind every text, together `limit`; the end of the text is cut."""
    empty = text_ids(recipe, {"id": "", "messages": None, "text": "", "label": ""})
    pairs = zip(reversed(ids), reversed(empty), strict=False)
    behind = next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(ids), len(empty)))
    return ids[: limit - behind] + ids[len(ids) - behind :] if len(ids) > limit > len(empty) else ids


def _question(row: Row) -> list[dict[str, str]]:
    if row["messages"]:
        return [{"role": m["role"], "content": m["content"]} for m in row["messages"][:-1]]
    return [{"role": "user", "content": row["text"]}]
