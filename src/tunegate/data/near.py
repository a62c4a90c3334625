"""Pairs of near texts among sketches in a work database: candidates by equal bands, then the true similarity.

Works on tables with a number `n` for each text, which gives their order, its `shingles` and its bands
(tunegate.data.shingles.sketched). All of it is done by the database, so that it may be larger than memory. A band that
very many texts share, because they were made from one form, would give the square of their number of pairs: only the
first LEADERS of them are compared with all. Two of the others that are more like each other than like these agree in
more bands than this one, and are found there. Knows neither rows nor why near texts matter.
"""

from typing import TYPE_CHECKING

from tunegate.data.shingles import Plan

if TYPE_CHECKING:
    import duckdb

LEADERS = 8
"""Texts of one band that are compared with all others of it."""

_CANDIDATES = "near_candidates"


def pairs_within(connection: "duckdb.DuckDBPyConnection", table: str, into: str, plan: Plan, threshold: float) -> None:
    """Write the near pairs of `table` to the new table `into`: `later`, `earlier`, `similarity`.

    Only texts with the same value in the column `alike` are compared. `table` may be a view.
    """
    _start(connection)
    for band in plan.columns:
        connection.execute(f"""
            INSERT INTO {_CANDIDATES}
            WITH shared AS (SELECT {band} AS band, alike FROM {table} GROUP BY ALL HAVING count(*) > 1),
            members AS (
                SELECT n, band, alike, row_number() OVER (PARTITION BY band, alike ORDER BY n) AS place
                FROM (SELECT n, {band} AS band, alike FROM {table}) SEMI JOIN shared USING (band, alike)
            )
            SELECT later.n, leader.n FROM members AS later JOIN members AS leader USING (band, alike)
            WHERE leader.place <= {LEADERS} AND leader.place < later.place
            EXCEPT FROM {_CANDIDATES}
        """)  # noqa: S608
    _verify(connection, (table, table), ("later", "earlier", into), threshold)


def pairs_between(
    connection: "duckdb.DuckDBPyConnection", tables: tuple[str, str], into: str, plan: Plan, threshold: float
) -> None:
    """Write to the new table `into`, as `one`, `other`, `similarity`, texts of the first table near some of the second.

    Both tables have bands of the same plan; either may be a view. A text of the second table that has the same
    shingles as one of the first is always found.
    """
    _start(connection)
    ones, others = tables
    for band in plan.columns:
        connection.execute(f"""
            INSERT INTO {_CANDIDATES}
            WITH leaders AS (
                SELECT n, {band} AS band FROM {others}
                WHERE {band} IN (SELECT {band} FROM {ones})
                QUALIFY row_number() OVER (PARTITION BY {band} ORDER BY n) <= {LEADERS}
            )
            SELECT ones.n, leaders.n FROM {ones} AS ones JOIN leaders ON ones.{band} = leaders.band
            EXCEPT FROM {_CANDIDATES}
        """)  # noqa: S608
    _verify(connection, tables, ("one", "other", into), threshold)


def _start(connection: "duckdb.DuckDBPyConnection") -> None:
    connection.execute(f"CREATE OR REPLACE TABLE {_CANDIDATES} (one BIGINT, other BIGINT)")


def _verify(
    connection: "duckdb.DuckDBPyConnection", tables: tuple[str, str], names: tuple[str, str, str], threshold: float
) -> None:
    one, other, into = names
    ones, others = tables
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {into} AS
        WITH ones AS (
            SELECT n, list_distinct(shingles) AS shingles FROM {ones}
            WHERE n IN (SELECT one FROM {_CANDIDATES})
        ), others AS (
            SELECT n, list_distinct(shingles) AS shingles FROM {others}
            WHERE n IN (SELECT other FROM {_CANDIDATES})
        ), counted AS (
            SELECT one, other, len(list_intersect(ones.shingles, others.shingles)) AS shared,
                   len(ones.shingles) + len(others.shingles) AS total
            FROM {_CANDIDATES} JOIN ones ON one = ones.n JOIN others ON other = others.n
        )
        SELECT one AS {one}, other AS {other}, round(shared / (total - shared), 6) AS similarity
        FROM counted WHERE round(shared / (total - shared), 6) >= ?
        """,  # noqa: S608
        [threshold],
    )
    connection.execute(f"DROP TABLE {_CANDIDATES}")
