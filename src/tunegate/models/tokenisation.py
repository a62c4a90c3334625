"""From conversations to token ids and labels: answer-only mask, an explicit over-length policy, every token counted.

Works on batches of rows, and keeps every row: what is dropped says why, and its tokens are counted all the same.
Neither reads nor writes files; does not know where a batch is worked on.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tunegate.errors import InputError
from tunegate.models.chat_tokens import ChatTokenizer, Recipe
from tunegate.models.template import Message, messages_of

IGNORED = -100
"""The label of a position that is not trained on (PyTorch's cross-entropy ignores it)."""

OVER_LENGTH = "over_length"
"""Why a row is dropped."""

TOKENS = pa.schema([("id", pa.string()), ("ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])
"""The columns of data/tokens/<split>.parquet: the fields of `Example`."""

ENCODED = pa.schema(
    [
        *TOKENS,
        ("source", pa.string()),
        ("reason", pa.string()),
        ("tokens", pa.int32()),
        ("trained", pa.int32()),
        ("cut", pa.int32()),
    ]
)
"""A row that was tokenised: why it is dropped, if it is; its tokens, those trained on, and those that were cut off."""

Row = Mapping[str, Any]
Policy = Literal["drop", "truncate", "error"]


@dataclasses.dataclass(frozen=True)
class Example:
    """Token ids and labels of one row; `labels[i]` is `ids[i]` where it is trained on, else IGNORED."""

    id: str
    ids: list[int]
    labels: list[int]


@dataclasses.dataclass
class Counts:
    """What happened to the rows and their tokens. rows_in = rows_out + dropped; tokens_in = tokens_out + lost ones."""

    rows_in: int = 0
    rows_out: int = 0
    rows_dropped: int = 0
    rows_cut: int = 0
    eos_lost: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_dropped: int = 0
    tokens_cut: int = 0
    tokens_trained: int = 0

    def add(self, batch: Any) -> None:
        """Count a batch of ENCODED."""
        dropped = batch["reason"].is_valid().to_numpy(zero_copy_only=False)
        tokens, trained, cut = (batch[name].to_numpy() for name in ("tokens", "trained", "cut"))
        self.rows_in += len(tokens)
        self.rows_out += int((~dropped).sum())
        self.rows_dropped += int(dropped.sum())
        self.rows_cut += int((cut > 0).sum())
        self.eos_lost += int((cut > 0).sum())
        self.tokens_in += int((tokens + cut).sum())
        self.tokens_out += int(tokens[~dropped].sum())
        self.tokens_dropped += int(tokens[dropped].sum())
        self.tokens_cut += int(cut.sum())
        self.tokens_trained += int(trained.sum())

    def as_notes(self) -> dict[str, int | float]:
        """The counts, and the share of the kept tokens that is trained on, for the stage's ledger."""
        return dataclasses.asdict(self) | {"tokens_trained_share": self.tokens_trained / max(1, self.tokens_out)}


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A batch of canonical rows to one of ENCODED: the same rows, the over-long ones dropped, cut or refused."""

    recipe: Recipe
    max_length: int
    over_length: Policy

    def __call__(self, batch: Any) -> Any:
        """Raises InputError that names the row which cannot be tokenised."""
        examples = encode_rows(self.recipe.chat(), self.recipe.eos, batch.to_pylist())
        made = [_within(example, self.max_length, self.over_length) for example in examples]
        ids, labels = (_lists([getattr(example, name) for example, _, _ in made]) for name in ("ids", "labels"))
        reasons = pa.array([reason for _, reason, _ in made], pa.string())
        trained = [0 if reason else len(kept.ids) - kept.labels.count(IGNORED) for kept, reason, _ in made]
        numbers = ([len(kept.ids) for kept, _, _ in made], trained, [cut for _, _, cut in made])
        counts = [pa.array(values, pa.int32()) for values in numbers]
        columns = [batch["id"], ids, labels, batch["source"], reasons, *counts]
        return pa.RecordBatch.from_arrays(columns, schema=ENCODED)


@dataclasses.dataclass(frozen=True)
class Counting:
    """A batch of canonical rows to one with their `tokens` in place of their texts."""

    recipe: Recipe

    def __call__(self, batch: Any) -> Any:
        """Rows that the template refuses are counted without it."""
        tokens = count_rows(self.recipe.chat(), self.recipe.eos, batch.to_pylist())
        rest = batch.drop_columns(["messages", "text", "label"])
        return rest.append_column("tokens", pa.array(tokens, pa.int32()))


def pairs_of(chat: ChatTokenizer, rows: Sequence[Row]) -> list[tuple[list[int], list[int]]]:
    """(prompt, answer) of canonical rows as token ids. Raises InputError that names the row the template refuses."""
    conversations = [messages_of(row) for row in rows]
    try:
        return chat.pairs(conversations)
    except InputError:
        return [_pair(chat, row["id"], messages) for row, messages in zip(rows, conversations, strict=True)]


def encode_rows(chat: ChatTokenizer, eos: int, rows: Sequence[Row]) -> Iterator[Example]:
    """Canonical rows as examples.

    Raises InputError that names the row where the template refuses it or its answer never reaches the token `eos`.
    """
    for row, (prompt, answer) in zip(rows, pairs_of(chat, rows), strict=True):
        if eos not in answer:
            problem = "the chat template does not end an answer with eos_token: the model would never stop"
            remedy = "set eos_token of the entry in models/catalog.yaml"
            raise InputError(problem, place=f"row {row['id']}", remedy=remedy)
        ids = answer[: answer.index(eos) + 1]
        yield Example(row["id"], prompt + ids, [IGNORED] * len(prompt) + ids)


def count_rows(chat: ChatTokenizer, eos: int, rows: Sequence[Row]) -> list[int]:
    """How many tokens each of these canonical rows has: rows that are not trained on, and may not fit the template."""
    whole = [{**row, "text": row["text"] or "", "label": row["label"] or ""} for row in rows]
    try:
        return [len(example.ids) for example in encode_rows(chat, eos, whole)]
    except InputError:
        return [_count(chat, eos, row) for row in whole]


def examples_from(table: Any) -> list[Example]:
    """The examples in a `pyarrow.Table` with the columns TOKENS."""
    return [Example(row["id"], row["ids"], row["labels"]) for row in table.to_pylist()]


def _pair(chat: ChatTokenizer, name: str, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    try:
        return chat.pairs([messages])[0]
    except InputError as error:
        raise InputError(error.problem, place=f"row {name}: {error.place}", remedy=error.remedy) from None


def _count(chat: ChatTokenizer, eos: int, row: Row) -> int:
    try:
        return next(len(example.ids) for example in encode_rows(chat, eos, [row]))
    except InputError:
        return chat.count(messages_of(row))


def _within(example: Example, limit: int, policy: Policy) -> tuple[Example, str | None, int]:
    """The example or what is left of it, why it is dropped, if it is, and how many tokens were cut off."""
    length = len(example.ids)
    if length <= limit:
        return example, None, 0
    if policy == "error":
        problem = f"{length} tokens, tokenize.max_length is {limit}"
        remedy = "raise tokenize.max_length, or set tokenize.over_length to drop or truncate"
        raise InputError(problem, place=f"row {example.id}", remedy=remedy)
    cut = Example(example.id, example.ids[:limit], example.labels[:limit])
    # A prompt that fills the whole length leaves nothing to train on: such a row is dropped under either policy.
    if policy == "drop" or all(label == IGNORED for label in cut.labels):
        return example, OVER_LENGTH, 0
    return cut, None, length - limit


def _lists(rows: Iterable[Sequence[int]]) -> Any:
    held = [np.asarray(row, dtype=np.int32) for row in rows]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in held])]).astype(np.int32)
    values = np.concatenate(held) if held else np.empty(0, np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
