"""Which split a row belongs to, and questions that would be in two splits.

A group's split depends on its name, the key and the shares alone, so that rows added later never move an old one;
unless splits are stratified, where it depends on the other groups of its label, or else on those without any. A frozen
test set is the test split, and the others are what they would be without it. Makes `placed`: the kept rows,
each with its split.

Of a question in two splits, under other groups' names, test wins over valid, valid over train; the loser's row is left
out, whatever its answer. Equal is the question but for case, width and white space; near is what
`similarity.near_duplicates` finds. Works in the tables of `row_tables`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from tunegate.data.preparation.row_tables import drop_sketches_of_dropped
from tunegate.data.similarity.near_duplicates import pairs_between
from tunegate.data.similarity.shingles import plan_for
from tunegate.errors import InputError
from tunegate.params import Prepare

if TYPE_CHECKING:
    import duckdb

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

_WINNERS = (("test", ("valid", "train")), ("valid", ("train",)))
# test, then valid, then train: raising a share takes no row out of the test.
_BY_POINT = """CASE WHEN {point} < $test THEN 'test' WHEN {point} < $test_and_valid THEN 'valid' ELSE 'train' END"""


def split_groups(connection: "duckdb.DuckDBPyConnection", settings: Prepare, *, frozen: int) -> None:
    """Give every group of the kept rows its split; the first `frozen` rows are the frozen test set.

    With one, a row of its groups that is not in it is dropped as `not_in_frozen_test`: it may be in no other split.
    """
    shares = {"test": settings.test_share, "test_and_valid": settings.test_share + settings.valid_share}
    query = _stratified() if settings.stratify else _hashed()
    connection.execute(f'CREATE TABLE split_of ("group" VARCHAR, split VARCHAR); INSERT INTO split_of {query}', shares)
    if frozen:
        connection.execute("UPDATE split_of SET split = 'train' WHERE split = 'test'")
        connection.execute(
            """UPDATE split_of SET split = 'test' WHERE "group" IN (SELECT "group" FROM kept WHERE n < ?)""", [frozen]
        )
        connection.execute(
            """
            INSERT INTO dropped SELECT n, 'not_in_frozen_test', "group", NULL FROM kept JOIN split_of USING ("group")
            WHERE split = 'test' AND n >= ?
            """,
            [frozen],
        )
    connection.execute('CREATE VIEW placed AS SELECT * FROM kept JOIN split_of USING ("group")')


def sizes(connection: "duckdb.DuckDBPyConnection") -> dict[Split, int]:
    """How many rows are in each split."""
    counts = dict(connection.execute("SELECT split, count(*) FROM placed GROUP BY split").fetchall())
    return {name: counts.get(name, 0) for name in SPLITS}


def check_not_empty(rows: Mapping[Split, int], shares: Mapping[Split, float], *, groups: int, place: str) -> None:
    """Raise InputError when a split with a share above 0 has no rows."""
    for name in SPLITS:
        if shares[name] > 0 and not rows[name]:
            problem = f"the {name} split is empty: {groups} groups, of which a share of {shares[name]:g} goes there"
            remedy = "add rows, raise the share, or choose another prepare.split_key"
            where = "train" if name == "train" else f"{name}_share"
            raise InputError(problem, place=f"{place}: prepare.{where}", remedy=remedy)


def _hashed() -> str:
    return f"""SELECT "group", {_BY_POINT.format(point="split_point")} FROM
        (SELECT "group", min(split_point) AS split_point FROM kept GROUP BY "group")"""  # noqa: S608


def _stratified() -> str:
    # A group stands where the middle of its rows stands among those of its label, in the order of the keyed hash.
    return f"""
        WITH counted AS (
            SELECT "group", label, min(split_point) AS point, count(*) AS size FROM kept GROUP BY "group", label
        ), groups AS (
            SELECT "group", min(point) AS point, sum(size) AS size,
                   min_by(label, (-size, coalesce(label, ''))) AS label
            FROM counted GROUP BY "group"
        ), ranked AS (
            SELECT "group",
                   (sum(size) OVER (PARTITION BY label ORDER BY point, "group") - size / 2)
                   / sum(size) OVER (PARTITION BY label) AS middle
            FROM groups
        )
        SELECT "group", {_BY_POINT.format(point="middle")} FROM ranked
    """  # noqa: S608


def drop_equal_questions(connection: "duckdb.DuckDBPyConnection") -> None:
    """Drop rows with a question that stands in a split that wins, as `question_also_in_test` or `…_valid`."""
    for winner, losers in _WINNERS:
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
    for winner, losers in _WINNERS:
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
