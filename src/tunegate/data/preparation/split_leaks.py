"""Questions that stand in two splits, under other groups' names: what the model is tested on, it must not have seen.

Test wins over valid, valid over train; the loser's row is left out, whatever its answer. Equal is the question but for
case, width and white space; near is what `similarity.near_duplicates` finds. Works in the tables of `row_tables`.
"""

from typing import TYPE_CHECKING

from tunegate.data.preparation.row_tables import drop_sketches_of_dropped
from tunegate.data.similarity.near_duplicates import pairs_between
from tunegate.data.similarity.shingles import plan_for

if TYPE_CHECKING:
    import duckdb

_ORDER = (("test", ("valid", "train")), ("valid", ("train",)))


def drop_equal_questions(connection: "duckdb.DuckDBPyConnection") -> None:
    """Drop rows with a question that stands in a split that wins, as `question_also_in_test` or `…_valid`."""
    for winner, losers in _ORDER:
        connection.execute(
            f"""
            INSERT INTO dropped
            WITH asked AS (
                SELECT question_key, min_by(id, n) AS first FROM placed WHERE split = ? GROUP BY question_key
            )
            SELECT n, 'question_also_in_{winner}', first, NULL FROM placed JOIN asked USING (question_key)
            WHERE list_contains(?, split)
            """,  # noqa: S608
            [winner, list(losers)],
        )


def drop_near_questions(connection: "duckdb.DuckDBPyConnection", threshold: float) -> None:
    """Drop rows whose question is near one in a split that wins, as `question_near_test` or `…_valid`."""
    drop_sketches_of_dropped(connection)
    # One table with the split in it: the search asks for each band by itself, and would join as often.
    connection.execute("""
        CREATE TABLE placed_sketches AS SELECT sketches.*, split FROM sketches JOIN placed USING (n);
        DROP TABLE sketches
    """)
    for winner, losers in _ORDER:
        connection.execute("DELETE FROM placed_sketches WHERE n IN (SELECT n FROM dropped)")
        names = ", ".join(f"'{name}'" for name in losers)
        for view, split in (("losers", f"IN ({names})"), ("winners", f"= '{winner}'")):
            query = f"SELECT * FROM placed_sketches WHERE split {split}"  # noqa: S608
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {query}")
        pairs_between(connection, ("losers", "winners"), "near_questions", plan_for(threshold), threshold)
        connection.execute(f"""
            INSERT INTO dropped
            SELECT one, 'question_near_{winner}', min_by(keys.id, (-similarity, other)), max(similarity)
            FROM near_questions JOIN keys ON keys.n = other GROUP BY one
        """)  # noqa: S608
