"""The columns of a batch of records as texts, by the templates of sources.yaml.

A column holds one kind of value throughout a source: 7 in one file and 7.0 in the next would be two ids, silently.
"""

import re
from collections.abc import Sequence
from typing import Any

from tunegate.data.sources.batches import Batch
from tunegate.data.sources.row_declaration import Label, Value
from tunegate.data.sources.templates import as_language, as_text, columns_of, pieces_of
from tunegate.errors import InputError
from tunegate.text import did_you_mean, listed

Kinds = dict[str, tuple[type, str]]
"""Column to the type of its values so far, and the place of the first of them."""
_KINDS = {str: "a text", int: "a whole number", float: "a fraction", bool: "a truth value", list: "a list"}
SEPARATOR = ";"
"""Stands between the labels of a row that has several: train.classify.separator as it is by default."""
_ONE_KIND = "write the column's values the same way in every row and file"


class Columns:
    """The columns of one batch; `kinds` is kept for a whole source, `declared` names its `row:` in errors."""

    def __init__(self, batch: Batch, kinds: Kinds, declared: str) -> None:
        self.batch = batch
        self._kinds = kinds
        self._declared = declared
        self._texts: dict[str, list[str | None]] = {}

    def raw(self, name: str) -> list[Any]:
        """A column's values. Raises InputError, naming the nearest column, where a record has no such column."""
        try:
            values = self.batch.column(name)
        except KeyError:
            index, names = self.batch.lacking(name) or (0, self.batch.names())
            problem = f"no column {name!r}{did_you_mean(name, names)}"
            remedy = f"{self._declared} needs it; the columns here are {listed(names)}"
            raise InputError(problem, place=self.batch.place(index), remedy=remedy) from None
        self._check_kind(name, values)
        return values

    def optional(self, name: str) -> list[str | None]:
        """A column as texts, None where a record has no such column, or no value in it."""
        values = self.batch.cells(name)
        self._check_kind(name, values)
        return self._as_texts(name, values)

    def filled(self, value: Value, *, lists: bool = False) -> list[str | None]:
        """`value` for each record; None where a column it names has none, or where its regex finds nothing.

        With `lists`, a column may hold lists, of which the texts are joined with SEPARATOR.
        """
        pieces = pieces_of(value.from_)
        columns = [self._joined(name) if lists else self._column(name) for name in columns_of(value.from_)]
        if not columns:
            texts: list[str | None] = ["".join(text for text, _ in pieces)] * len(self.batch)
        elif len(pieces) == 1 and not pieces[0][0]:
            texts = columns[0]
        else:
            texts = _joined(pieces, columns)
        if value.regex is not None:
            texts = _first_groups(re.compile(value.regex), texts)
        return self._languages(texts) if value.as_ else texts

    def required(self, what: str, value: Value) -> list[str]:
        """`value` for each record. Raises InputError for the first record without one."""
        return self._complete(self.filled(value), what, value)

    def labels(self, value: Label) -> list[str | None]:
        """`value` for each record; None where it is optional and a record has none. Raises what `required` raises."""
        texts = self.filled(value, lists=True)
        if value.optional:
            return [None if text is None or text.isspace() else text for text in texts]
        return list(self._complete(texts, "label", value))

    def _complete(self, texts: list[str | None], what: str, value: Value) -> list[str]:
        for index, text in enumerate(texts):
            if not text or text.isspace():
                raise self._empty(what, value, index)
        return texts  # type: ignore[return-value]

    def _empty(self, what: str, value: Value, index: int) -> InputError:
        problem, remedy = f"empty {what}", "complete this row, or delete it"
        if what == "label":
            problem += ": the row has no answer"
            remedy += f", or write `optional: true` for the label in {self._declared}"
        if value.regex is not None:
            text = self.filled(value.model_copy(update={"regex": None, "as_": None}))[index]
            problem += f": {value.regex!r} finds nothing in {text!r:.80}"
            remedy += f", or correct the regex in {self._declared}"
        return InputError(problem, place=self.batch.place(index), remedy=remedy)

    def _column(self, name: str) -> list[str | None]:
        if name not in self._texts:
            self._texts[name] = self._as_texts(name, self.raw(name))
        return self._texts[name]

    def _joined(self, name: str) -> list[str | None]:
        values = self.raw(name)
        if not any(isinstance(value, list) for value in values):
            return self._column(name)
        return [self._joined_list(name, value, index) if value else None for index, value in enumerate(values)]

    def _joined_list(self, name: str, values: list[Any], index: int) -> str:
        texts = self._as_texts(name, values, index)
        for text in texts:
            if not text or text.isspace() or SEPARATOR in text:
                problem = f"column {name!r} has a label that is empty or holds {SEPARATOR!r}: {text!r:.40}"
                remedy = f"correct the label: several are stored as one text with {SEPARATOR!r} between them"
                raise InputError(problem, place=self.batch.place(index), remedy=remedy)
        return SEPARATOR.join(filter(None, texts))

    def _as_texts(self, name: str, values: list[Any], record: int | None = None) -> list[str | None]:
        """`values` as texts: one for each record, or all of the one that is named."""
        types = set(map(type, values))
        if types == {str}:
            return [value or None for value in values]
        texts = []
        for index, value in enumerate(values):
            try:
                texts.append(as_text(value))
            except ValueError as error:
                remedy = "map another column, or write this one as a text or a number; a time with its zone"
                place = self.batch.place(index if record is None else record)
                raise InputError(f"column {name!r} {error}", place=place, remedy=remedy) from None
        return texts

    def _check_kind(self, name: str, values: list[Any]) -> None:
        types = set(map(type, values)) - {type(None)}
        if not types:
            return
        first = next(index for index, value in enumerate(values) if value is not None)
        kind, place = self._kinds.setdefault(name, (type(values[first]), self.batch.place(first)))
        if types != {kind}:
            index = next(i for i, value in enumerate(values) if value is not None and type(value) is not kind)
            problem = f"column {name!r} holds {_kind(type(values[index]))} (got {values[index]!r:.40})"
            problem += f", but {_kind(kind)} at {place}"
            raise InputError(problem, place=self.batch.place(index), remedy=_ONE_KIND)

    def _languages(self, tags: list[str | None]) -> list[str | None]:
        normalised: dict[str | None, str | None] = {None: None}
        for index, tag in enumerate(tags):
            if tag is not None and tag not in normalised:
                normalised[tag] = as_language(tag)
                if normalised[tag] is None:
                    remedy = "write it as BCP 47 does: en, sv, pt-BR, zh-Hant"
                    problem = f"not a language tag: {tag!r:.40}"
                    raise InputError(problem, place=self.batch.place(index), remedy=remedy)
        return [normalised[tag] for tag in tags]


def _kind(kind: type) -> str:
    return _KINDS.get(kind, f"a {kind.__name__}")


def _joined(pieces: list[tuple[str, str | None]], columns: Sequence[list[str | None]]) -> list[str | None]:
    literals = [text for text, column in pieces if column is not None]
    tail = "".join(text for text, column in pieces if column is None)
    # `%s` between escaped literals: one C call for each record.
    pattern = "".join(text.replace("%", "%%") + "%s" for text in literals) + tail.replace("%", "%%")
    return [None if None in cells else pattern % cells for cells in zip(*columns, strict=True)]


def _first_groups(pattern: re.Pattern[str], texts: list[str | None]) -> list[str | None]:
    matches = [None if text is None else pattern.search(text) for text in texts]
    return [None if match is None else (match[1] or None) for match in matches]
