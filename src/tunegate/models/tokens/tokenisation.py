"""From canonical rows to token ids and labels: a format, an explicit over-length policy, every token counted.

Works on batches of rows, and keeps every row: what is dropped says why, and its tokens are counted all the same. Writes
data/tokens/<split>.parquet while batches pass by, so that a split of any size takes little memory.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from tunegate.errors import InputError
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED, TOKENS, Example, columns_of, examples_from
from tunegate.models.tokens.formats.choice import Format
from tunegate.models.tokens.formats.classes import shortened
from tunegate.models.tokens.formats.raw_text import split_document
from tunegate.models.tokens.rows import messages_of
from tunegate.tables import parquet_writer

OVER_LENGTH = "over_length"
"""Why a row is dropped."""

ENCODED = pa.schema(
    [
        *TOKENS,
        ("source", pa.string()),
        ("reason", pa.string()),
        ("tokens", pa.int32()),
        ("trained", pa.int32()),
        ("cut", pa.int32()),
        ("eos_lost", pa.bool_()),
        ("examples", pa.int32()),
    ]
)
"""A row that was tokenised: why it is dropped, if it is; its tokens, those trained on, those that were cut off, whether
the one that ends an answer is among them, and how many examples it makes."""

_TEXTS = ("messages", "text", "label", "rejected", "slices")

Copies = Callable[[set[str]], Iterable[Any]]
"""The ids of the rows that were dropped → batches of ENCODED of the others' augmented copies."""

Row = Mapping[str, Any]
Policy = Literal["drop", "truncate", "split", "error"]


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
    examples_out: int = 0

    def add(self, batch: Any) -> None:
        """Count a batch of ENCODED."""
        dropped = batch["reason"].is_valid().to_numpy(zero_copy_only=False)
        tokens, trained, cut = (batch[name].to_numpy() for name in ("tokens", "trained", "cut"))
        self.rows_in += len(tokens)
        self.rows_out += int((~dropped).sum())
        self.rows_dropped += int(dropped.sum())
        self.rows_cut += int((cut > 0).sum())
        self.eos_lost += int(batch["eos_lost"].to_numpy(zero_copy_only=False).sum())
        self.tokens_in += int((tokens + cut).sum())
        self.tokens_out += int(tokens[~dropped].sum())
        self.tokens_dropped += int(tokens[dropped].sum())
        self.tokens_cut += int(cut.sum())
        self.tokens_trained += int(trained.sum())
        self.examples_out += int(batch["examples"].to_numpy()[~dropped].sum())

    def __str__(self) -> str:
        share = self.tokens_trained / max(1, self.tokens_out)
        return f"{self.rows_out} of {self.rows_in} rows kept, {share:.0%} of their tokens trained on"

    def as_notes(self) -> dict[str, int | float]:
        """The counts, and the share of the kept tokens that is trained on, for the stage's ledger."""
        return dataclasses.asdict(self) | {"tokens_trained_share": self.tokens_trained / max(1, self.tokens_out)}


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A batch of canonical rows to one of ENCODED: the same rows, the over-long ones dropped, cut or refused."""

    recipe: Recipe
    format: Format
    max_length: int
    over_length: Policy

    def __call__(self, batch: Any) -> Any:
        """Raises InputError that names the row which cannot be tokenised."""
        examples = list(self.format(self.recipe, batch.to_pylist()))
        limited = [_within(example, self.max_length, self.over_length, self.recipe) for example in examples]
        reasons = pa.array([reason for _, reason, _ in limited], pa.string())
        parts = [[kept] if reason else self._split(kept) for kept, reason, _ in limited]
        trained = [0 if reason else sum(map(_trained, p)) for p, (_, reason, _) in zip(parts, limited, strict=True)]
        numbers = ([kept.length for kept, _, _ in limited], trained, [cut for _, _, cut in limited])
        counts = [pa.array(values, pa.int32()) for values in numbers]
        pairs = zip(examples, limited, strict=True)
        lost = pa.array([_ends(kept) != _ends(example) for example, (kept, _, _) in pairs], pa.bool_())
        lengths = pa.array(list(map(len, parts)), pa.int32())
        columns = [*columns_of(kept for kept, _, _ in limited), batch["source"], reasons, *counts, lost, lengths]
        return pa.RecordBatch.from_arrays(columns, schema=ENCODED)

    def examples(self, batch: Any) -> Any:
        """The TOKENS to write of a batch of ENCODED: its kept rows, each as the examples that it makes."""
        kept = batch.filter(batch["reason"].is_null()).select([*TOKENS.names, "examples"])
        if not kept.num_rows or kept["examples"].to_numpy().max() == 1:
            return kept.select(TOKENS.names)
        examples = [part for example in examples_from(kept) for part in self._split(example)]
        return pa.RecordBatch.from_arrays(columns_of(examples), schema=TOKENS)

    def _split(self, example: Example) -> list[Example]:
        return split_document(example, self.max_length) if self.over_length == "split" else [example]


@dataclasses.dataclass(frozen=True)
class Counting:
    """A batch of canonical rows to one with their `tokens` in place of their texts."""

    recipe: Recipe
    format: Format
    strict: bool = False
    """Refuse a row that the format or the template refuses; else it is counted without them."""

    def __call__(self, batch: Any) -> Any:
        """Raises InputError that names a refused row, where it is strict."""
        rows = batch.to_pylist()
        if self.strict:
            tokens = [example.length for example in self.format(self.recipe, rows)]
        else:
            tokens = count_rows(self.recipe, rows, self.format)
        rest = batch.select([name for name in batch.schema.names if name not in _TEXTS])
        return rest.append_column("tokens", pa.array(tokens, pa.int32()))


def write_examples(
    path: Path, batches: Iterable[Any], encode: Encoding, count: Counts, copies: Copies | None = None
) -> Iterator[Any]:
    """The batches of ENCODED, unchanged, while their examples are written to `path` and their rows counted.

    `copies` are written after them; they are neither counted nor passed on, for they are not rows that came in.
    """
    dropped = set[str]()
    with parquet_writer(path, TOKENS) as write:
        for batch in batches:
            count.add(batch)
            write(encode.examples(batch))
            if copies is not None:
                dropped.update(batch.filter(batch["reason"].is_valid())["id"].to_pylist())
            yield batch
        for batch in copies(dropped) if copies is not None else ():
            write(encode.examples(batch))


def require_rows(count: Counts, split: str, max_length: int) -> None:
    """Raise InputError when no row of the split is left."""
    if not count.rows_out:
        problem = f"no example of the split {split} fits into {max_length} tokens"
        remedy = "raise tokenize.max_length, or set tokenize.over_length to truncate"
        raise InputError(problem, place="params.yaml: tokenize", remedy=remedy)


def count_rows(recipe: Recipe, rows: Sequence[Row], format_: Format) -> list[int]:
    """How many tokens each of these canonical rows has: rows that are not trained on, and may not fit the format."""
    try:
        return [example.length for example in format_(recipe, rows)]
    except InputError:
        return [_count(recipe, row, format_) for row in rows]


def _count(recipe: Recipe, row: Row, format_: Format) -> int:
    try:
        return next(iter(format_(recipe, [row]))).length
    except InputError:
        return recipe.text().count(messages_of({**row, "text": row["text"] or "", "label": row["label"] or ""}))


def _trained(example: Example) -> int:
    return len(example.labels) - example.labels.count(IGNORED)


def _ends(example: Example) -> tuple[list[int], list[int]]:
    """The last token of each answer."""
    return example.ids[-1:], (example.rejected or [])[-1:]


def _within(example: Example, limit: int, policy: Policy, recipe: Recipe) -> tuple[Example, str | None, int]:
    """The example or what is left of it, why it is dropped, if it is, and how many tokens were cut off."""
    length = example.longest
    if length <= limit or policy == "split":
        return example, None, 0
    if policy == "error":
        problem = f"{length} tokens, tokenize.max_length is {limit}"
        remedy = "raise tokenize.max_length, or set tokenize.over_length to drop or truncate"
        raise InputError(problem, place=f"row {example.id}", remedy=remedy)
    if policy == "truncate" and not _trained(example):
        ids = shortened(recipe, example.ids, limit)
        kept = dataclasses.replace(example, ids=ids, labels=[IGNORED] * len(ids))
        return kept, None if len(ids) <= limit else OVER_LENGTH, length - len(ids)
    # What is cut ends an answer and no prompt: a prompt as long as the whole leaves nothing to train on.
    if policy == "drop" or example.prompt >= limit:
        return example, OVER_LENGTH, 0
    rest = None if example.rejected is None else example.rejected[: limit - example.prompt]
    ids, labels = example.ids[:limit], example.labels[:limit]
    cut = dataclasses.replace(example, ids=ids, labels=labels, rejected=rest)
    return cut, None, example.length - cut.length
