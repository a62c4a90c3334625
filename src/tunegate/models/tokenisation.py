"""From conversations to token ids and labels: answer-only mask, an explicit over-length policy, every token counted.

Prompt and answer are tokenised apart and joined, because that is what a model sees when it generates: it continues the
prompt's tokens. This module neither reads nor writes files.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

import pyarrow as pa

from tunegate.errors import InputError
from tunegate.models.template import messages_of, render

IGNORED = -100
"""The label of a position that is not trained on (PyTorch's cross-entropy ignores it)."""

TOKENS = pa.schema([("id", pa.string()), ("ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])
"""The columns of data/tokens/<split>.parquet: the fields of `Example`."""


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

    def as_notes(self) -> dict[str, int | float]:
        """The counts, and the share of the kept tokens that is trained on, for the stage's ledger."""
        return dataclasses.asdict(self) | {"tokens_trained_share": self.tokens_trained / max(1, self.tokens_out)}


def encode(tokenizer: Any, row: dict[str, Any]) -> Example:
    """A canonical row as an example. Raises InputError when its answer never reaches the end-of-answer token."""
    prompt, answer = render(tokenizer, messages_of(row))
    prompt_ids = prompt_tokens(tokenizer, prompt)
    answer_ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    if tokenizer.eos_token_id not in answer_ids:
        problem = f"the chat template does not end an answer with {tokenizer.eos_token!r}: the model would never stop"
        raise InputError(problem, place=f"row {row['id']}", remedy="set eos_token of the entry in models/catalog.yaml")
    answer_ids = answer_ids[: answer_ids.index(tokenizer.eos_token_id) + 1]
    return Example(row["id"], prompt_ids + answer_ids, [IGNORED] * len(prompt_ids) + answer_ids)


def examples_from(table: Any) -> list[Example]:
    """The examples in a `pyarrow.Table` with the columns TOKENS."""
    return [Example(row["id"], row["ids"], row["labels"]) for row in table.to_pylist()]


def prompt_tokens(tokenizer: Any, prompt: str) -> list[int]:
    """The token ids of a rendered prompt; the template has already written every special token."""
    ids: list[int] = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return ids


def encode_all(
    tokenizer: Any,
    rows: Iterable[dict[str, Any]],
    *,
    max_length: int,
    over_length: Literal["drop", "truncate", "error"],
) -> tuple[list[Example], Counts]:
    """Every row as an example, the over-long ones dropped, cut or refused, and the counts of what happened."""
    counts, examples = Counts(), []
    for row in rows:
        example = encode(tokenizer, row)
        counts.rows_in += 1
        counts.tokens_in += len(example.ids)
        if len(example.ids) > max_length:
            kept = _shorten(example, max_length, over_length, counts)
            if kept is None:
                continue
            example = kept
        examples.append(example)
        counts.rows_out += 1
        counts.tokens_out += len(example.ids)
        counts.tokens_trained += sum(label != IGNORED for label in example.labels)
    return examples, counts


def _shorten(example: Example, limit: int, policy: str, counts: Counts) -> Example | None:
    length = len(example.ids)
    if policy == "error":
        problem = f"{length} tokens, tokenize.max_length is {limit}"
        remedy = "raise tokenize.max_length, or set tokenize.over_length to drop or truncate"
        raise InputError(problem, place=f"row {example.id}", remedy=remedy)
    cut = Example(example.id, example.ids[:limit], example.labels[:limit])
    # A prompt that fills the whole length leaves nothing to train on: such a row is dropped under either policy.
    if policy == "drop" or all(label == IGNORED for label in cut.labels):
        counts.rows_dropped += 1
        counts.tokens_dropped += length
        return None
    counts.rows_cut += 1
    counts.eos_lost += 1
    counts.tokens_cut += length - limit
    return cut
