"""Pairs of near texts among sketches in a work database: candidates by equal bands, then the true similarity.

Works on tables with a number `n` for each text, which gives their order, its `shingles` and its bands
(shingles.sketched). All of it is done by the database, so that it may be larger than memory. A band that
very many texts share, because they were made from one form, would give the square of their number of pairs: only the
first LEADERS of them are compared with all. For the others their rarest shingles are bands, too: two sets of a
similarity t have one of the rarest 1 - t of their shingles in common (prefix filtering; Chaudhuri, Ganti, Kaushik
2006), and what a form has is not rare.
"""

from typing import TYPE_CHECKING

from tunegate.data.similarity.shingles import Plan

if TYPE_CHECKING:
    import duckdb

LEADERS = 8
"""Texts of one band that are compared with all others of it."""

_CANDIDATES = "near_candidates"
_CROWDED = "near_crowded"
_RARE = "near_rare"


def pairs_within(connection: "duckdb.DuckDBPyConnection", table: str, into: str, plan: Plan, threshold: float) -> None:
    """Write the near pairs of `table` to the new table `into`: `later`, `earlier`, `similarity`.

    Only texts with the same value in the column `alike` are compared. `table` may be a view.
    """
    _start(connection)
    for band in plan.columns:
        _add_within(connection, table, band)
        connection.execute(f"""
            INSERT INTO {_CROWDED} SELECT n, 0 FROM {table}
            SEMI JOIN (SELECT {band}, alike FROM {table} GROUP BY ALL HAVING count(*) > {LEADERS + 1})
            USING ({band}, alike)
        """)  # noqa: S608
    _keep_rare(connection, (table,), "alike", threshold)
    _add_within(connection, f"{_RARE}_0", "shingle")
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
        _add_between(connection, tables, band)
        for side, (own, foreign) in enumerate(((ones, others), (others, ones))):
            connection.execute(f"""
                INSERT INTO {_CROWDED} SELECT n, {side} FROM {own}
                SEMI JOIN (SELECT {band} FROM {others} GROUP BY ALL HAVING count(*) > {LEADERS}) USING ({band})
                SEMI JOIN {foreign} AS foreigners USING ({band})
            """)  # noqa: S608
    _keep_rare(connection, tables, "0", threshold)
    _add_between(connection, (f"{_RARE}_0", f"{_RARE}_1"), "shingle")
    _verify(connection, tables, ("one", "other", into), threshold)


def _start(connection: "duckdb.DuckDBPyConnection") -> None:
    connection.execute(f"CREATE OR REPLACE TABLE {_CANDIDATES} (one BIGINT, other BIGINT)")
    connection.execute(f"CREATE OR REPLACE TABLE {_CROWDED} (n BIGINT, side TINYINT)")


def _add_within(connection: "duckdb.DuckDBPyConnection", table: str, band: str) -> None:
    connection.execute(f"""
        INSERT INTO {_CANDIDATES}
        WITH shared AS (SELECT {band} AS band, alike FROM {table} GROUP BY ALL HAVING count(*) > 1),
        members AS (
            SELECT n, band, alike, row_number() OVER (PARTITION BY band, alike ORDER BY n) AS place
            FROM (SELECT n, {band} AS band, alike FROM {table}) SEMI JOIN shared USING (band, alike)
        )
        SELECT DISTINCT later.n, leader.n FROM members AS later JOIN members AS leader USING (band, alike)
        WHERE leader.place <= {LEADERS} AND leader.place < later.place
        EXCEPT FROM {_CANDIDATES}
    """)  # noqa: S608


def _add_between(connection: "duckdb.DuckDBPyConnection", tables: tuple[str, str], band: str) -> None:
    ones, others = tables
    connection.execute(f"""
        INSERT INTO {_CANDIDATES}
        WITH leaders AS (
            SELECT n, {band} AS band FROM {others}
            WHERE {band} IN (SELECT {band} FROM {ones})
            QUALIFY row_number() OVER (PARTITION BY {band} ORDER BY n) <= {LEADERS}
        )
        SELECT DISTINCT ones.n, leaders.n FROM {ones} AS ones JOIN leaders ON ones.{band} = leaders.band
        EXCEPT FROM {_CANDIDATES}
    """)  # noqa: S608


def _keep_rare(connection: "duckdb.DuckDBPyConnection", tables: tuple[str, ...], alike: str, threshold: float) -> None:
    """Write, for each of `tables`, the rarest shingles of its texts that share a band with many: as many as needed.

    `alike` is the column of texts that are compared with each other only.
    """
    for side, table in enumerate(tables):
        connection.execute(f"""
            CREATE OR REPLACE TABLE {_RARE}_all_{side} AS
            SELECT n, {alike} AS alike, len(shingles) AS size, unnest(shingles) AS shingle
            FROM (SELECT * REPLACE (list_distinct(shingles) AS shingles) FROM {table})
            WHERE n IN (SELECT n FROM {_CROWDED} WHERE side = {side})
        """)  # noqa: S608
    everything = " UNION ALL ".join(f"SELECT shingle, alike FROM {_RARE}_all_{side}" for side in range(len(tables)))  # noqa: S608
    connection.execute(f"""
        CREATE OR REPLACE TABLE {_RARE}_counts AS
        SELECT shingle, alike, count(*) AS texts FROM ({everything}) GROUP BY ALL
    """)  # noqa: S608
    for side in range(len(tables)):
        connection.execute(
            f"""
            CREATE OR REPLACE TABLE {_RARE}_{side} AS
            SELECT n, alike, shingle FROM {_RARE}_all_{side} JOIN {_RARE}_counts USING (shingle, alike)
            QUALIFY row_number() OVER (PARTITION BY n ORDER BY texts, shingle) <= size - ceil(size * ? - 1e-6) + 1
            """,  # noqa: S608
            [threshold],
        )
        connection.execute(f"DROP TABLE {_RARE}_all_{side}")
    connection.execute(f"DROP TABLE {_RARE}_counts; DROP TABLE {_CROWDED}")


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
    connection.execute(f"DROP TABLE {_CANDIDATES}; DROP TABLE {_RARE}_0; DROP TABLE IF EXISTS {_RARE}_1")
