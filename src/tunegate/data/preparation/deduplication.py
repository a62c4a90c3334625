"""Rows that repeat an earlier row: equal ones, and near ones with the same answer. The first of them stays.

Equal is question and answer but for case, width and white space (cleaning.comparable); near is what
`similarity.near_duplicates` finds. A row without an answer also repeats an equal or near question that has one,
wherever that stands. A row is left out when it is near an earlier row that stays: never because of a row that is left
out itself, so that a chain of small steps does not drop both of its ends. Works in the tables of `row_tables`.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tunegate.data.compute.database import add, batches
from tunegate.data.preparation.row_processing import UNANSWERED
from tunegate.data.preparation.row_tables import drop_sketches_of_dropped
from tunegate.data.similarity.near_duplicates import pairs_between, pairs_within
from tunegate.data.similarity.shingles import plan_for

if TYPE_CHECKING:
    import duckdb


def drop_duplicates(connection: "duckdb.DuckDBPyConnection", *, frozen: int = 0) -> None:
    """Drop rows whose question and answer equal an earlier row's, as `duplicate` of its id.

    Also those without an answer whose question is answered, but for the first `frozen` rows.
    """
    connection.execute("""
        INSERT INTO dropped
        WITH firsts AS (
            SELECT question_key, answer_key, min(n) AS first, min_by(id, n) AS first_id FROM kept
            GROUP BY question_key, answer_key HAVING count(*) > 1
        )
        SELECT n, 'duplicate', first_id, NULL FROM kept JOIN firsts USING (question_key, answer_key) WHERE n > first
    """)
    connection.execute(
        """
        INSERT INTO dropped
        WITH open AS (SELECT n, question_key FROM kept WHERE answer_key = $unanswered AND n >= $frozen),
        answered AS (
            SELECT question_key, min_by(id, n) AS first_id FROM kept SEMI JOIN open USING (question_key)
            WHERE answer_key <> $unanswered GROUP BY question_key
        )
        SELECT n, 'duplicate', first_id, NULL FROM open JOIN answered USING (question_key)
        """,
        {"unanswered": UNANSWERED, "frozen": frozen},
    )


def drop_near_duplicates(connection: "duckdb.DuckDBPyConnection", threshold: float, *, frozen: int = 0) -> None:
    """Drop rows near an earlier row with the same answer, as `near_duplicate` of its id.

    Also those without an answer that are near an answered one, but for the first `frozen` rows.
    """
    drop_sketches_of_dropped(connection)
    _drop_near_answered(connection, threshold, frozen)
    pairs_within(connection, "sketches", "near_duplicates", plan_for(threshold), threshold)
    largest = connection.execute("SELECT coalesce(max(n), 0) FROM keys").fetchall()[0][0]
    gone = np.zeros(largest + 1, dtype=bool)
    connection.execute("CREATE TABLE nearest (n BIGINT, earlier BIGINT, similarity DOUBLE)")
    order = "SELECT later, earlier, similarity FROM near_duplicates ORDER BY later, similarity DESC, earlier"
    for batch in batches(connection, order):
        pairs = []
        for later, earlier, similarity in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if not gone[later] and not gone[earlier]:
                gone[later] = True
                pairs.append((later, earlier, similarity))
        if pairs:
            add(connection, "nearest", pa.table(list(zip(*pairs, strict=True)), names=["n", "earlier", "similarity"]))
    connection.execute("""
        INSERT INTO dropped SELECT nearest.n, 'near_duplicate', keys.id, similarity
        FROM nearest JOIN keys ON keys.n = nearest.earlier
    """)
    connection.execute("DROP TABLE nearest; DROP TABLE near_duplicates")


def _drop_near_answered(connection: "duckdb.DuckDBPyConnection", threshold: float, frozen: int) -> None:
    connection.execute(
        """
        CREATE TABLE open_sketches AS SELECT * FROM sketches WHERE alike = $unanswered AND n >= $frozen
        """,
        {"unanswered": UNANSWERED, "frozen": frozen},
    )
    if connection.execute("SELECT 1 FROM open_sketches LIMIT 1").fetchone():
        connection.execute(
            "CREATE TABLE answered_sketches AS SELECT * FROM sketches WHERE alike <> $unanswered",
            {"unanswered": UNANSWERED},
        )
        tables = ("open_sketches", "answered_sketches")
        pairs_between(connection, tables, "near_answered", plan_for(threshold), threshold)
        connection.execute("""
            INSERT INTO dropped
            SELECT one, 'near_duplicate', min_by(keys.id, (-similarity, other)), max(similarity)
            FROM near_answered JOIN keys ON keys.n = other GROUP BY one;
            DROP TABLE near_answered; DROP TABLE answered_sketches
        """)
        drop_sketches_of_dropped(connection)
    connection.execute("DROP TABLE open_sketches")
