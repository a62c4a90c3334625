"""How far the words of the rows moved: their frequencies, and whether a classifier can tell the two sides apart.

Looks at a seeded sample of ids, the same one every time. The classifier is linear, on hashed words, and scores only
rows whose group it was not trained on (the classifier two-sample test of Lopez-Paz and Oquab 2017): no language model
is asked, and no group is on both sides of a fold. Reads the tables of tunegate.data.diff.row_tables.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; what data says is never SQL

import re
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tunegate.data.diff.result import Count, Shift
from tunegate.data.diff.row_tables import ANSWER, QUESTION
from tunegate.data.diff.shifts import DELTA, W, said
from tunegate.statistics.effect_sizes import LEAST, RESAMPLES, UNKNOWN, Effect, Floats, interval, jensen_shannon

if TYPE_CHECKING:
    import duckdb

    Connection = duckdb.DuckDBPyConnection

SAMPLE_ROWS = 5_000
"""Ids whose words are looked at."""

_FOLDS = 5
_FEATURES = 2**15
_WORDS = 8_192
_SHOWN_WORDS = 12
_SHOWN_IN, _SHOWN_FROM = 5, 0.002
_SEED = 20261121
_CHUNK = 50
_WORD = r"(?u)\b\w+\b"

Sample = list[tuple[str, str | None, str | None]]
"""Group, text before, text after; None where a side has no such row."""


def text_shifts(connection: "Connection") -> list[Shift]:
    """Of all words, of what a classifier sees in all rows, and of what it sees in the new ones against the old."""
    rows = _sample(connection, "true")
    if not any(before is not None for _, before, _ in rows) or not any(after is not None for _, _, after in rows):
        return []
    fresh = [(group, None, after) for group, _, after in _sample(connection, _NEW)]
    old = [(group, before, None) for group, before, _ in rows if before is not None]
    return [
        _vocabulary(rows),
        _drift("words, as a classifier tells base from head", rows, "all rows"),
        _drift("words of new rows, as a classifier tells them from the base's", [*old, *fresh], "new rows"),
    ]


_NEW = "content_after IS NOT NULL AND content_before IS DISTINCT FROM content_after"
_TEXT = f"{QUESTION} || CASE WHEN messages IS NULL THEN '' ELSE ' ' || {ANSWER} END || coalesce(' ' || rejected, '')"


def _sample(connection: "Connection", condition: str) -> Sample:
    """Rows of a sample of groups, whole."""
    query = f"""WITH chosen AS (SELECT id, grp FROM joined WHERE {condition}
            ORDER BY md5(grp), id LIMIT {SAMPLE_ROWS}),
        b AS (SELECT id, {_TEXT} AS text FROM before_texts SEMI JOIN chosen USING (id)),
        a AS (SELECT id, {_TEXT} AS text FROM after_texts SEMI JOIN chosen USING (id))
        SELECT grp, b.text, a.text FROM chosen LEFT JOIN b USING (id) LEFT JOIN a USING (id) ORDER BY id"""
    return connection.execute(query).fetchall()


def _vocabulary(rows: Sample) -> Shift:
    from sklearn.feature_extraction.text import CountVectorizer

    groups = _numbers(rows)
    counter = CountVectorizer(token_pattern=_WORD)
    counter.fit([text for row in rows for text in row[1:] if text is not None] + ["word"])
    sides = [counter.transform([row[side] or "" for row in rows]) for side in (1, 2)]
    together = np.asarray(sum(side.sum(axis=0) for side in sides)).ravel()
    order = np.argsort(-together, kind="stable")[:_WORDS]
    effect = UNKNOWN if groups.max() + 1 < LEAST else _distance([side[:, order] for side in sides], groups)
    names = counter.get_feature_names_out()
    return Shift(
        name="words, by frequency",
        measure="Jensen-Shannon distance",
        **said(effect, W),
        rows=sum(_present(rows)),
        values=_words([side[:, order] for side in sides], _present(rows), [str(names[i]) for i in order]),
    )


def _distance(sides: list[Any], groups: Floats) -> Effect:
    found = jensen_shannon(*(_shares(np.asarray(side.sum(axis=0), dtype=np.float64)) for side in sides))
    drawn = []
    for weights in _weights(groups):
        drawn.append(jensen_shannon(*(_shares(np.asarray((side.T @ weights[:, groups].T).T)) for side in sides)))
    return interval(float(found[0]), np.concatenate(drawn))


def _words(sides: list[Any], totals: list[int], names: list[str]) -> list[Count]:
    """The words whose share of rows changed most; only letters, and only what many rows say: no name, no number."""
    rows = [np.asarray((side > 0).sum(axis=0)).ravel() for side in sides]
    shares = [count / max(1, total) for count, total in zip(rows, totals, strict=True)]
    change = np.abs(shares[1] - shares[0])
    order = sorted(range(len(names)), key=lambda i: (-round(float(change[i]), 9), names[i]))
    shown = [i for i in order if change[i] >= _SHOWN_FROM and max(rows[0][i], rows[1][i]) >= _SHOWN_IN]
    plain = [i for i in shown if re.fullmatch(r"[^\W\d_]+", names[i])]
    return [Count(name=names[i], before=int(rows[0][i]), after=int(rows[1][i])) for i in plain[:_SHOWN_WORDS]]


def _present(rows: Sample) -> list[int]:
    return [sum(row[side] is not None for row in rows) for side in (1, 2)]


def _drift(name: str, rows: Sample, of: Any) -> Shift:
    sides = [[(group, row[side]) for group, *row in rows if row[side] is not None] for side in (0, 1)]
    number = dict(zip((row[0] for row in rows), _numbers(rows).tolist(), strict=True))
    groups = [np.array([number[group] for group, _ in side], dtype=np.int64) for side in sides]
    enough = min(len(set(found.tolist())) for found in groups) >= LEAST
    effect = _separation([[text or "" for _, text in side] for side in sides], groups) if enough else UNKNOWN
    return Shift(name=name, measure="2 AUC - 1", **said(effect, DELTA), rows=sum(map(len, sides)), of=of)


def _separation(texts: list[list[str]], groups: list[Any]) -> Effect:
    """How much more often a row of the head scores higher than one of the base than the other way round."""
    scores = _scores([*texts[0], *texts[1]], len(texts[0]), np.concatenate(groups))
    values, place = np.unique(np.round(scores, 9), return_inverse=True)
    parts = (place[: len(texts[0])], place[len(texts[0]) :])
    whole = np.ones((1, int(max(map(np.max, groups))) + 1))
    found = float(_higher(parts, groups, whole, len(values))[0])
    drawn = np.concatenate([_higher(parts, groups, w, len(values)) for w in _weights(np.concatenate(groups))])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Effect(*(round(max(0.0, float(value)), 4) for value in (found, low, high)))


def _scores(texts: list[str], before: int, groups: Any) -> Floats:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression

    features = HashingVectorizer(n_features=_FEATURES, alternate_sign=False, token_pattern=_WORD)
    table, side = features.transform(texts), np.arange(len(texts)) >= before
    fold = np.array([zlib.crc32(str(group).encode()) for group in groups.tolist()]) % _FOLDS
    scores = np.zeros(len(texts))
    for number in range(_FOLDS):
        train, test = fold != number, fold == number
        if test.any() and len(set(side[train].tolist())) == 2:
            model = LogisticRegression(solver="liblinear", class_weight="balanced")
            scores[test] = model.fit(table[train], side[train]).decision_function(table[test])
    return scores


def _higher(parts: tuple[Any, Any], groups: list[Any], weights: Floats, values: int) -> Floats:
    """P(head's score is higher) - P(base's is), for each row of `weights` (resamples x groups)."""
    from scipy.sparse import csr_matrix

    shares = []
    for place, group in zip(parts, groups, strict=True):
        table = csr_matrix((np.ones(len(place)), (place, np.arange(len(place)))), shape=(values, len(place)))
        shares.append(_shares((table @ weights[:, group].T).T))
    below = np.cumsum(shares[0], axis=1) - shares[0]
    return np.asarray((shares[1] * (2 * below + shares[0] - 1)).sum(axis=1), dtype=np.float64)


def _weights(groups: Any) -> Any:
    """How often each group is drawn, chunk by chunk: resamples x groups."""
    count = int(groups.max()) + 1
    rng = np.random.default_rng(_SEED)
    for _ in range(RESAMPLES // _CHUNK):
        yield rng.multinomial(count, np.full(count, 1 / count), size=_CHUNK).astype(np.float64)


def _numbers(rows: Sample) -> Any:
    known: dict[str, int] = {}
    return np.array([known.setdefault(row[0], len(known)) for row in rows], dtype=np.int64)


def _shares(counts: Floats) -> Floats:
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.zeros_like(counts), where=total > 0), dtype=np.float64)
