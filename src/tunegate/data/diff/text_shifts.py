"""How far the words of the rows moved: their frequencies, and whether a classifier can tell the two sides apart.

Looks at a seeded sample of ids, the same one every time. The classifier sees hashed words; no language model is asked.
Reads the tables of tunegate.data.diff.row_tables.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; values from the data never become SQL

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tunegate.data.diff.result import Count, Shift
from tunegate.data.diff.shifts import DELTA, W, effect_fields
from tunegate.data.rows import ANSWER_SQL, LAST_TURN_SQL
from tunegate.statistics.two_samples import Ints, classifier_effect, frequency_effect

if TYPE_CHECKING:
    import duckdb

    Connection = duckdb.DuckDBPyConnection

SAMPLE_ROWS = 5_000
"""Ids whose words are looked at."""

_FEATURES = 2**15
_MOST_FREQUENT = 8_192
_SHOWN_WORDS = 12
_LEAST_ROWS, _LEAST_CHANGE = 5, 0.002
"""A word is shown if so many rows of a side have it, and the share of rows that have it changed by so much."""
_WORD = r"(?u)\b\w+\b"

Sample = list[tuple[str, str | None, str | None]]
"""Group, text before, text after; None where a side does not have the row."""

_NEW = "content_after IS NOT NULL AND content_before IS DISTINCT FROM content_after"
_TEXT = f"""{LAST_TURN_SQL} || CASE WHEN messages IS NULL THEN '' ELSE ' ' || {ANSWER_SQL} END
    || coalesce(' ' || rejected, '')"""


def text_shifts(connection: "Connection") -> list[Shift]:
    """Of all words, of what a classifier sees in all rows, and of what it sees in the new ones against the old."""
    rows = _sample(connection, "true")
    if not all(any(row[side] is not None for row in rows) for side in (1, 2)):
        return []
    new = [(group, None, after) for group, _, after in _sample(connection, _NEW)]
    old = [(group, before, None) for group, before, _ in rows if before is not None]
    return [
        _frequency_shift(rows),
        _classifier_shift("words, as a classifier tells base from head", rows, "all rows"),
        _classifier_shift("words of new rows, as a classifier tells them from the base's", [*old, *new], "new rows"),
    ]


def _sample(connection: "Connection", condition: str) -> Sample:
    """Rows of a sample of groups; a group is in it as a whole."""
    query = f"""WITH chosen AS (SELECT id, grp FROM joined WHERE {condition}
            ORDER BY md5(grp), id LIMIT {SAMPLE_ROWS}),
        b AS (SELECT id, {_TEXT} AS text FROM before_texts SEMI JOIN chosen USING (id)),
        a AS (SELECT id, {_TEXT} AS text FROM after_texts SEMI JOIN chosen USING (id))
        SELECT grp, b.text, a.text FROM chosen LEFT JOIN b USING (id) LEFT JOIN a USING (id) ORDER BY id"""
    return connection.execute(query).fetchall()


def _frequency_shift(rows: Sample) -> Shift:
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(token_pattern=_WORD)
    counter.fit([text for row in rows for text in row[1:] if text is not None] + ["word"])
    sides = [counter.transform([row[side] or "" for row in rows]) for side in (1, 2)]
    together = np.asarray(sum(side.sum(axis=0) for side in sides)).ravel()
    order = np.argsort(-together, kind="stable")[:_MOST_FREQUENT]
    before, after = (side[:, order] for side in sides)
    names = counter.get_feature_names_out()
    totals = [sum(row[side] is not None for row in rows) for side in (1, 2)]
    return Shift(
        name="words, by frequency",
        measure="Jensen-Shannon distance",
        **effect_fields(frequency_effect(before, after, _group_numbers(rows)), W),
        rows=sum(totals),
        values=list(_changed_words([before, after], totals, [str(names[i]) for i in order]))[:_SHOWN_WORDS],
    )


def _changed_words(sides: list[Any], totals: list[int], names: list[str]) -> Iterator[Count]:
    """Words, the share of whose rows changed most first; only letters, in many rows: no names, no numbers."""
    rows = [np.asarray((side > 0).sum(axis=0)).ravel() for side in sides]
    shares = [count / max(1, total) for count, total in zip(rows, totals, strict=True)]
    change = np.abs(shares[1] - shares[0])
    for i in sorted(range(len(names)), key=lambda i: (-round(float(change[i]), 9), names[i])):
        frequent = change[i] >= _LEAST_CHANGE and max(rows[0][i], rows[1][i]) >= _LEAST_ROWS
        if frequent and re.fullmatch(r"[^\W\d_]+", names[i]):
            yield Count(name=names[i], before=int(rows[0][i]), after=int(rows[1][i]))


def _classifier_shift(name: str, rows: Sample, of: Literal["all rows", "new rows"]) -> Shift:
    from sklearn.feature_extraction.text import HashingVectorizer

    numbers = _group_numbers(rows)
    texts: list[str] = []
    groups: list[int] = []
    for side in (1, 2):
        chosen = [number for number, row in enumerate(rows) if row[side] is not None]
        texts += [str(rows[number][side]) for number in chosen]
        groups += numbers[chosen].tolist()
    before = sum(row[1] is not None for row in rows)
    features = HashingVectorizer(n_features=_FEATURES, alternate_sign=False, token_pattern=_WORD)
    effect = classifier_effect(features.transform(texts), np.arange(len(texts)) >= before, np.array(groups))
    return Shift(name=name, measure="2 AUC - 1", **effect_fields(effect, DELTA), rows=len(texts), of=of)


def _group_numbers(rows: Sample) -> Ints:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(row[0], len(numbers)) for row in rows], dtype=np.int64)
