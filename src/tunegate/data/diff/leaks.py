"""Questions of test and validation rows that another split, or what the base was trained on, contains too.

Questions that are equal except for case, width and white space are found by joining hashes over all rows. Near ones
are looked for among the new test rows alone, as the stage `prepare` looks for them: old rows were compared when they
were new. Rows of the base pass in batches.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; values from the data never become SQL

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tunegate.data.compute.database import batches
from tunegate.data.diff.removed_rows import SHOWN
from tunegate.data.diff.result import Pair, Pairs
from tunegate.data.diff.sides import PREPARED, Side
from tunegate.data.similarity.overlap import near_pairs
from tunegate.tables import parquet_batches

if TYPE_CHECKING:
    import duckdb

    Connection = duckdb.DuckDBPyConnection

_COLUMNS = ["id", "text", "messages"]
MOST_NEW = 20_000
"""New test rows that are compared with near ones; beyond that, a sample."""

_NEW_IN_TEST = """split_after = 'test'
    AND (split_before IS DISTINCT FROM 'test' OR question_before IS DISTINCT FROM question_after)"""


def open_leaks(connection: "Connection") -> Pairs:
    """Rows of test and valid whose question another split of the head contains too, and did not in the base."""
    query = f"""WITH sides AS ({_repeated("after")} EXCEPT {_repeated("before")})
        SELECT id, min_by(other, (where_, other)), min(where_) FROM sides GROUP BY id ORDER BY id"""
    return _pairs([Pair(id=a, other=b, kind=f"in {c}", similarity=1.0) for a, b, c in _rows(connection, query)])


def seen_by_base(connection: "Connection", before: Side, *, near: float) -> Pairs:
    """Rows that are new in the head's test and were in the base's train or valid, exactly or nearly."""
    query = f"""WITH old AS (SELECT question_before AS q, split_before AS s, min(id) AS id FROM joined
            WHERE split_before IN ('train', 'valid') GROUP BY q, s)
        SELECT joined.id, min_by(old.id, (old.s, old.id)), min(old.s) FROM joined
        JOIN old ON question_after = old.q WHERE {_NEW_IN_TEST} GROUP BY joined.id ORDER BY joined.id"""
    exact = [Pair(id=a, other=b, kind=f"base's {c}", similarity=1.0) for a, b, c in _rows(connection, query)]
    ids = {pair.id for pair in exact}
    similar = [pair for pair in _near(connection, before, near) if pair.id not in ids]
    return _pairs(sorted([*exact, *similar], key=lambda pair: pair.id))


def _repeated(side: str) -> str:
    held = f"""SELECT id, split_{side} AS s, question_{side} AS q FROM joined WHERE split_{side} IN ('test', 'valid')"""
    others = f"""SELECT question_{side} AS q, split_{side} AS s, min(id) AS id FROM joined
        WHERE split_{side} IN ('train', 'valid') GROUP BY q, s"""
    return f"""SELECT held.id AS id, others.id AS other, others.s AS where_ FROM ({held}) held
        JOIN ({others}) others ON held.q = others.q AND (held.s = 'test' OR others.s = 'train')"""


def _near(connection: "Connection", before: Side, near: float) -> list[Pair]:
    connection.execute(f"""CREATE OR REPLACE TABLE new_in_test AS SELECT id FROM joined
        WHERE {_NEW_IN_TEST} AND question_after IS NOT NULL ORDER BY md5(id) LIMIT {MOST_NEW}""")
    if not _rows(connection, "SELECT 1 FROM new_in_test LIMIT 1"):
        return []
    query = f"SELECT {', '.join(_COLUMNS)} FROM after_texts SEMI JOIN new_in_test USING (id) ORDER BY id"
    pairs = near_pairs(batches(connection, query), _trained(before), near, connection).to_pylist()
    others = [pair["right"] for pair in pairs]
    query = "SELECT id, split_before FROM joined WHERE id IN (SELECT unnest(?))"
    splits = dict(connection.execute(query, [others]).fetchall())
    return [
        Pair(id=p["left"], other=p["right"], kind=f"base's {splits[p['right']]}", similarity=p["similarity"])
        for p in pairs
    ]


def _trained(before: Side) -> Iterator[Any]:
    """What the base was trained and validated on, in the order of its files, so that ties are the same every time."""
    for split in ("train", "valid"):
        path = before.file(PREPARED, f"{split}.parquet")
        if path:
            yield from parquet_batches(path, columns=_COLUMNS)


def _pairs(pairs: list[Pair]) -> Pairs:
    return Pairs(count=len(pairs), pairs=pairs[:SHOWN])


def _rows(connection: "Connection", query: str) -> list[Any]:
    return connection.execute(query).fetchall()
