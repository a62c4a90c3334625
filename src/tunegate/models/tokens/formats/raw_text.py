"""Raw text: every token of a document is trained on, after the token that begins one and up to the one that ends it.

For `pretrain`. No chat template is applied; control tokens that the text spells out stay text. A document that is too
long can be split into several examples.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.errors import InputError
from tunegate.models.tokens.chat_tokens import ChatTokenizer, Recipe
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.models.tokens.formats.answers import tasks_of

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class RawText:
    """A document as tokens. The first one is predicted by nothing and so not trained on."""

    def __call__(self, recipe: Recipe, rows: Sequence[Row]) -> Iterator[Example]:
        """The rows as examples. Raises InputError that names a row with an answer, or whose text is not to be read."""
        for row in rows:
            _require_raw(row)
        for row, ids in zip(rows, documents(recipe, rows), strict=True):
            yield Example(row["id"], ids, [IGNORED, *ids[1:]], tasks=tasks_of(row))


def documents(recipe: Recipe, rows: Sequence[Row]) -> list[list[int]]:
    """Each row's text as token ids, between the tokens that begin and end a document.

    A tokenizer without a token that begins one gives none.
    """
    chat = recipe.text()
    begin = chat.number_of(dict(recipe.special).get("bos_token", ""))
    return [[*([] if begin is None else [begin]), *ids, recipe.eos] for ids in _texts(chat, rows)]


def split_document(example: Example, limit: int) -> list[Example]:
    """The example as examples of at most `limit` tokens: `id`, `id#2`, `id#3`, …

    As few as hold it, of nearly the same length: none is a last word alone. They do not overlap; the first token of
    each is predicted by nothing.
    """
    length = len(example.ids)
    count = max(1, -(-length // limit))
    if count == 1:
        return [example]
    bounds = [length * number // count for number in range(count + 1)]
    return [
        dataclasses.replace(
            example,
            id=example.id if number == 0 else f"{example.id}#{number + 1}",
            ids=example.ids[start:end],
            labels=[IGNORED, *example.labels[start + 1 : end]],
        )
        for number, (start, end) in enumerate(itertools.pairwise(bounds))
    ]


def _texts(chat: ChatTokenizer, rows: Sequence[Row]) -> list[list[int]]:
    try:
        return chat.text_ids([row["text"] for row in rows])
    except InputError:
        return [_text(chat, row) for row in rows]


def _text(chat: ChatTokenizer, row: Row) -> list[int]:
    try:
        return chat.text_ids([row["text"]])[0]
    except InputError as error:
        raise InputError(error.problem, place=f"row {row['id']}: {error.place}", remedy=error.remedy) from None


def _require_raw(row: Row) -> None:
    answer = "messages" if row["messages"] else "a label" if row["label"] is not None else ""
    if answer or not row["text"]:
        problem = f"technique pretrain learns from raw text, and this row has {answer or 'no text'}"
        remedy = "declare the source with a `row:` of text alone in data/sources.yaml, or set train.technique to sft"
        raise InputError(problem, place=f"row {row['id']}", remedy=remedy)
