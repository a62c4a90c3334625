"""From a batch of records to canonical rows: the columns of `row:` become those of the row, each row gets id and group.

Works on whole columns. Whether an id is unique, `unique_ids` checks.
"""

import hashlib
import json
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tunegate.data.rows import MESSAGE, PLACED_ROW, TEXTS
from tunegate.data.sources.batches import Batch
from tunegate.data.sources.conversations import Conversations
from tunegate.data.sources.fields import Content, content_of, default_template
from tunegate.data.sources.row_declaration import RowTemplate, Value
from tunegate.data.sources.streams import MAX_RECORD
from tunegate.data.sources.values import Columns, Kinds
from tunegate.errors import InputError

_encode = json.JSONEncoder().encode
_encode_sorted = json.JSONEncoder(sort_keys=True).encode


class Mapper:
    """Makes rows of a source's batches; `declared` names its `row:` in errors.

    What a file is made of is decided by its first record; what kind of values a column holds, by the source's first.
    """

    def __init__(self, template: RowTemplate, source: str, declared: str) -> None:
        self._declared_row = template
        self._source = source
        self._declared = declared
        self._kinds: Kinds = {}
        self._file = ""
        self._template = template

    def rows(self, batch: Batch) -> tuple[Any, bool]:
        """The rows of `batch` as a `pyarrow.RecordBatch` (PLACED_ROW), and whether their ids are their own.

        An id that is not the record's own is a hash of the row's content, the same for equal rows.
        """
        if batch.file != self._file:
            self._file, self._template = batch.file, self._completed(batch)
        self._check_ids(batch)
        columns = Columns(batch, self._kinds, self._declared)
        content = content_of(self._template, columns)
        ids, groups, own = self._names(columns, content)
        slices = {name: columns.filled(value) for name, value in sorted(self._template.slices.items())}
        nothing = pa.nulls(len(batch), pa.string())
        arrays = {
            "id": ids,
            "group": groups,
            "messages": _messages(content.conversations)
            if content.conversations
            else pa.nulls(len(batch), pa.list_(MESSAGE)),
            "text": content.texts or nothing,
            "label": content.labels or nothing,
            "rejected": content.rejected or nothing,
            "slices": _maps(slices, len(batch)),
            "source": [self._source] * len(batch),
            "place": [f"{batch.file}:{line}" for line in batch.lines],
        }
        columns_of_rows = [pa.array(arrays[field.name], field.type) for field in PLACED_ROW]
        rows = pa.RecordBatch.from_arrays(columns_of_rows, schema=PLACED_ROW)
        _check_texts(rows, batch)
        return rows, own

    def _completed(self, batch: Batch) -> RowTemplate:
        template, names = self._declared_row, batch.names()
        if not template.is_complete:
            default = default_template(batch, self._declared)
            template = default.model_copy(update={k: getattr(template, k) for k in ("id", "group", "slices")})
        if template.id is None and "id" in names:
            template = template.model_copy(update={"id": Value(from_="{id}")})
        return template

    def _check_ids(self, batch: Batch) -> None:
        # Some rows with an id of their own and some without: which are which must not depend on chance.
        if self._template.id is not None:
            return
        first = next((index for index, value in enumerate(batch.cells("id")) if value is not None), None)
        if first is not None:
            remedy = f"give every record of the file an id, or map `id` at {self._declared}"
            problem = "this record has an id, but the first of the file has none"
            raise InputError(problem, place=batch.place(first), remedy=remedy)

    def _names(self, columns: Columns, content: Content) -> tuple[list[str], list[str], bool]:
        template = self._template
        questions = content.texts or []
        if content.conversations is not None and template.id is None:
            questions = [_encode_sorted(turns[:-1]) for turns in content.conversations]
        if template.id is not None:
            ids = columns.required("id", template.id)
        else:
            # What no row has is not part of it, so that a new column of ours renames no row.
            parts = [questions, content.answers, *([] if content.rejected is None else [content.rejected])]
            ids = [_hash(_encode(values)) for values in zip(*parts, strict=True)]
        if template.group is not None:
            return ids, columns.required("group", template.group), template.id is not None
        groups = ids if template.id is not None else [f"q-{_hash(question)}" for question in questions]
        return ids, groups, template.id is not None


def _check_texts(rows: Any, batch: Batch) -> None:
    """Raise InputError for the first row with a NUL byte or beyond MAX_RECORD, whatever format it came from."""
    lengths = np.zeros(len(rows), np.int64)
    for name in ("id", "group", *TEXTS, "messages", "slices"):
        texts, row = rows.column(name), np.arange(len(rows))
        if name == "messages":
            texts, row = texts.flatten().field("content"), pc.list_parent_indices(texts).to_numpy()
        elif name == "slices":
            texts, row = texts.items, np.repeat(row, np.diff(texts.offsets.to_numpy()))
        nul = pc.index(pc.match_substring(texts, "\0"), True).as_py()
        if nul >= 0:
            remedy = "take the NUL bytes out: no text has them"
            raise InputError(f"a NUL byte in {name}", place=batch.place(int(row[nul])), remedy=remedy)
        np.add.at(lengths, row, pc.utf8_length(texts).fill_null(0).to_numpy())
    if lengths.max(initial=0) > MAX_RECORD:
        problem = f"a row of {lengths.max():,} characters, more than {MAX_RECORD:,}"
        remedy = "cut its texts; no model reads as much at once"
        raise InputError(problem, place=batch.place(int(lengths.argmax())), remedy=remedy)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _messages(conversations: Conversations) -> Any:
    turns = list(chain.from_iterable(conversations))
    roles = pa.array([turn["role"] for turn in turns], pa.string())
    contents = pa.array([turn["content"] for turn in turns], pa.string())
    offsets = pa.array(accumulate(map(len, conversations), initial=0), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([roles, contents], fields=list(MESSAGE)))


def _maps(slices: dict[str, list[str | None]], count: int) -> Any:
    names = list(slices)
    rows: list[tuple[str | None, ...]] = list(zip(*slices.values(), strict=True)) if names else [()] * count
    kept = [[(name, value) for name, value in zip(names, row, strict=True) if value is not None] for row in rows]
    pairs = list(chain.from_iterable(kept))
    offsets = pa.array(accumulate(map(len, kept), initial=0), pa.int32())
    keys = pa.array([name for name, _ in pairs], pa.string())
    return pa.MapArray.from_arrays(offsets, keys, pa.array([value for _, value in pairs], pa.string()))
