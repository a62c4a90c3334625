"""What happens to each row by itself: repair, HTML, secrets, personal data, the rules of length and repetition.

A pure function of a batch, so that batches may be worked on anywhere and in any order. Most rows need nothing done:
Arrow finds those that may, and only they become Python objects. Also gives each row the keys by which rows are compared
with others later on.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tunegate.data.preparation import html, secrets
from tunegate.data.preparation.personal_data.masking import Masker
from tunegate.data.preparation.row_filters import conversations, exceeded
from tunegate.data.preparation.row_steps import Steps
from tunegate.data.preparation.text_repair import comparable, may_need_repair
from tunegate.data.rows import PLACED_ROW, TEXTS, rows_of, table_of
from tunegate.data.similarity.overlap import compared
from tunegate.data.similarity.shingles import plan_for, sketched
from tunegate.params import Prepare

KEYS = [
    ("question_key", pa.binary(16)),
    ("answer_key", pa.binary(16)),
    ("split_point", pa.float64()),
    ("mixture_point", pa.float64()),
]
"""What rows are compared by: hashes of question and answer, and the group's place in two keyed hashes, from 0 to 1."""

TREATED = pa.schema(
    [
        *PLACED_ROW,
        pa.field("changes", pa.list_(pa.string())),
        pa.field("reason", pa.string()),
        pa.field("other", pa.string()),
        *KEYS,
    ]
)
"""A treated row: what was changed, why it is left out (null: it is not) and the value that was in its way."""


@dataclass(frozen=True)
class Treatment:
    """What params.yaml says is done to a row; `key` is the secret that makes tags of personal data."""

    settings: Prepare
    key: bytes | None = None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch of PLACED_ROW as a batch of TREATED with, unless near duplicates are off, the row's sketch."""
        rows, changes, left = self._changed(batch)
        left = {**exceeded(rows, self.settings), **left}
        reasons = [left.get(number, (None, None)) for number in range(rows.num_rows)]
        notes = [changes, [reason for reason, _ in reasons], [other for _, other in reasons]]
        columns = [*rows.columns, *notes, *self._keys(rows)]
        types = TREATED.types
        arrays = [
            one if isinstance(one, pa.Array) else pa.array(one, kind) for one, kind in zip(columns, types, strict=True)
        ]
        done = pa.RecordBatch.from_arrays(arrays, schema=TREATED)
        if self.settings.near_duplicates is None:
            return done
        sketches = sketched(compared(done), plan_for(self.settings.near_duplicates))
        names = [*done.schema.names, *sketches.schema.names]
        return pa.RecordBatch.from_arrays([*done.columns, *sketches.columns], names=names)

    def _changed(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Any], dict[int, tuple[str, str | None]]]:
        """The rows as they are now, what changed in each, and the number of each row that is left out, with why."""
        batch = pa.RecordBatch.from_arrays([batch[name] for name in PLACED_ROW.names], schema=PLACED_ROW)
        concerned = self._concerned(batch)
        changes: list[Any] = [None] * batch.num_rows
        left: dict[int, tuple[str, str | None]] = {}
        if not len(concerned):
            return batch, changes, left
        steps = Steps(self.settings, self.key)
        treated = []
        for number, row in zip(concerned.tolist(), rows_of(batch.take(pa.array(concerned))), strict=True):
            row, done, reason = steps(row)  # noqa: PLW2901
            treated.append(row)
            changes[number] = done or None
            if reason:
                left[number] = (reason, done[0] if reason in ("secret", "personal_data") else None)
        order = np.arange(batch.num_rows)
        order[concerned] = batch.num_rows + np.arange(len(treated))
        both = pa.concat_tables([pa.Table.from_batches([batch]), table_of(treated, PLACED_ROW)])
        return both.take(pa.array(order)).combine_chunks().to_batches()[0], changes, left

    def _concerned(self, batch: pa.RecordBatch) -> Any:
        """The numbers of the rows that a step may change or leave out."""
        concerned = np.zeros(batch.num_rows, dtype=bool)
        if self.settings.repair_text:
            concerned |= anywhere(batch, may_need_repair)
        if self.settings.strip_html:
            concerned |= anywhere(batch, lambda texts: pc.match_substring_regex(texts, html.SCREEN))
        concerned |= anywhere(batch, secrets.concerns)
        concerned |= anywhere(batch, Masker(self.settings.personal_data, self.key).concerns)
        return np.flatnonzero(concerned)

    def _keys(self, rows: pa.RecordBatch) -> list[list[Any]]:
        questions, answers = ([text or "" for text in rows[name].to_pylist()] for name in ("text", "label"))
        for number, row in conversations(rows):
            questions[number], answers[number] = row.prompt, row.answer
        if rows["rejected"].null_count < rows.num_rows:
            pairs = zip(answers, rows["rejected"].to_pylist(), strict=True)
            # No text has a NUL byte.
            answers = [one if other is None else f"{comparable(one)}\0{comparable(other)}" for one, other in pairs]
        groups, key = rows["group"].to_pylist(), self.settings.split_key
        return [
            [_digest(comparable(question)) for question in questions],
            [_answer_digest(answer) for answer in answers],
            [point(group, key) for group in groups],
            [point(group, f"{key}\nmixture") for group in groups],
        ]


def point(group: str, key: str) -> float:
    """The group's place in [0, 1): a hash (HMAC-SHA256) keyed with `key`, so that it says nothing else about it."""
    return int.from_bytes(hmac.digest(key.encode(), group.encode(), "sha256")[:8]) / 2**64


def anywhere(batch: pa.RecordBatch, test: Callable[[Any], Any]) -> Any:
    """For each row, whether `test`, from Arrow strings to booleans, holds of any text of it or of any message."""
    rows = np.zeros(batch.num_rows, dtype=bool)
    for name in TEXTS:
        if batch[name].null_count < batch.num_rows:
            rows |= pc.fill_null(test(batch[name]), False).to_numpy(zero_copy_only=False)
    messages = batch["messages"]
    if messages.null_count < batch.num_rows:
        hits = pc.fill_null(test(pc.struct_field(pc.list_flatten(messages), "content")), False)
        rows[pc.list_parent_indices(messages).filter(hits).to_numpy()] = True
    return rows


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@lru_cache(maxsize=2**14)
def _answer_digest(answer: str) -> bytes:
    return _digest(comparable(answer))


UNANSWERED = _answer_digest("")
"""The `answer_key` of rows without an answer."""
