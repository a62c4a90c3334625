"""Which split a row belongs to.

A group's split depends on its name, the key and the shares alone, so that rows added later never move an old one;
unless splits are stratified, where it depends on the other groups of its label, or else on those without any. A frozen
test set is the test split, and the others are what they would be without it. Works in the tables of `loading`; makes
`placed`: the kept rows, each with its split.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from tunegate.errors import InputError
from tunegate.params import Prepare

if TYPE_CHECKING:
    import duckdb

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

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
