"""Questions of test and validation rows that stand elsewhere too: in another split, or in what the base was trained on.

Equal but for case, punctuation and white space is found by a join of hashes over all rows. Nearly equal is looked for
among the rows that are new in test alone: an old one was compared when it came. Candidates share one of the few runs of
three words that two texts so alike must share (prefix filtering; Chaudhuri et al. 2006); each is then compared whole.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; what data says is never SQL

from typing import TYPE_CHECKING, Any

from tunegate.data.comparison.leaving import SHOWN
from tunegate.data.comparison.loading import ASKED
from tunegate.data.comparison.result import Pair, Pairs
from tunegate.data.duplicates import matches

if TYPE_CHECKING:
    import duckdb

    Connection = duckdb.DuckDBPyConnection

MOST_NEW = 20_000
"""New test rows that are compared with near ones; beyond that, a sample."""

_NEW_IN_TEST = """split_after = 'test'
    AND (split_before IS DISTINCT FROM 'test' OR question_before IS DISTINCT FROM question_after)"""


def open_leaks(connection: "Connection") -> Pairs:
    """Rows of test and valid whose question stands in another split of the head too, and in the base did not."""
    query = f"""WITH sides AS ({_repeated("after")} EXCEPT {_repeated("before")})
        SELECT id, min_by(other, (where_, other)), min(where_) FROM sides GROUP BY id ORDER BY id"""
    return _pairs([Pair(id=a, other=b, kind=f"in {c}", similarity=1.0) for a, b, c in _all(connection, query)])


def seen_by_base(connection: "Connection", *, near: float) -> Pairs:
    """Rows that are new in the head's test and stood in the base's train or valid, exactly or nearly."""
    query = f"""WITH old AS (SELECT question_before AS q, split_before AS s, min(id) AS id FROM joined
            WHERE split_before IN ('train', 'valid') GROUP BY q, s)
        SELECT joined.id, min_by(old.id, (old.s, old.id)), min(old.s) FROM joined
        JOIN old ON question_after = old.q WHERE {_NEW_IN_TEST} GROUP BY joined.id ORDER BY joined.id"""
    found = [Pair(id=a, other=b, kind=f"base's {c}", similarity=1.0) for a, b, c in _all(connection, query)]
    known = {pair.id for pair in found}
    alike = [pair for pair in _near(connection, near) if pair.id not in known]
    return _pairs(sorted([*found, *alike], key=lambda pair: pair.id))


def _repeated(side: str) -> str:
    held = f"""SELECT id, split_{side} AS s, question_{side} AS q FROM joined WHERE split_{side} IN ('test', 'valid')"""
    others = f"""SELECT question_{side} AS q, split_{side} AS s, min(id) AS id FROM joined
        WHERE split_{side} IN ('train', 'valid') GROUP BY q, s"""
    return f"""SELECT held.id AS id, others.id AS other, others.s AS where_ FROM ({held}) held
        JOIN ({others}) others ON held.q = others.q AND (held.s = 'test' OR others.s = 'train')"""


def _near(connection: "Connection", near: float) -> list[Pair]:
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE fresh AS SELECT id, {ASKED} AS text FROM after_texts
        WHERE id IN (SELECT id FROM joined WHERE {_NEW_IN_TEST} ORDER BY md5(id) LIMIT {MOST_NEW})""")
    rows: dict[str, str] = dict(_all(connection, "SELECT id, text FROM fresh ORDER BY id"))
    if not rows:
        return []
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE rare AS
        WITH runs AS (SELECT DISTINCT id, run FROM ({_runs("fresh")})),
        counted AS (SELECT run, count(*) AS times FROM runs GROUP BY run),
        ranked AS (SELECT run, row_number() OVER (PARTITION BY id ORDER BY times, run) AS place,
            count(*) OVER (PARTITION BY id) AS size FROM runs JOIN counted USING (run))
        SELECT DISTINCT run FROM ranked WHERE place <= size - ceil({near} * size - 1e-9) + 1""")
    old = f"SELECT id, split, {ASKED} AS text FROM before_texts WHERE split IN ('train', 'valid')"
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE candidates AS
        SELECT DISTINCT id FROM ({_runs(f"({old})")}) SEMI JOIN rare USING (run)""")
    texts = f"SELECT id, split, text FROM ({old}) SEMI JOIN candidates USING (id) ORDER BY id"
    theirs = {name: (split, text) for name, split, text in _all(connection, texts)}
    found = matches(rows, {name: text for name, (_, text) in theirs.items()}, threshold=near)
    return [Pair(id=m.left, other=m.right, kind=f"base's {theirs[m.right][0]}", similarity=m.similarity) for m in found]


def _runs(table: str) -> str:
    """The id of a text and a hash, for each of its runs of three words; texts of fewer words have none."""
    words = r"string_split(trim(regexp_replace(lower(text), '[^\p{L}\p{N}_]+', ' ', 'g')), ' ')"
    run = "lambda i: hash(words[i], words[i + 1], words[i + 2])"
    return f"""SELECT id, unnest(list_transform(range(1, greatest(length(words) - 1, 1)), {run})) AS run
        FROM (SELECT id, {words} AS words FROM {table})"""


def _pairs(found: list[Pair]) -> Pairs:
    return Pairs(count=len(found), pairs=found[:SHOWN])


def _all(connection: "Connection", query: str) -> list[Any]:
    return connection.execute(query).fetchall()
