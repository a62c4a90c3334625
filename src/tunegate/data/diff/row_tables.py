"""The rows of two sides as DuckDB tables, joined by id: what every count of a comparison is made from.

Tables keep hashes, labels and lengths, not texts; texts are read from the Parquet files again for the few rows that
are shown. Equal contents have equal hashes of 64 bits; questions are hashed in the form in which the stage `prepare`
compares them. Does not count.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; values from the data never become SQL

from pathlib import Path
from typing import TYPE_CHECKING

from tunegate.data.diff.sides import INGESTED, PREPARED, Side
from tunegate.data.preparation.splits import SPLITS
from tunegate.data.preparation.text_repair import comparable
from tunegate.data.rows import ANSWER_SQL, DIALOGUE_SQL, LAST_TURN_SQL

if TYPE_CHECKING:
    import duckdb

SIDES = ("before", "after")

_CONTENT = 'hash(messages, text, label, rejected, "group", slices, source)'
# Also beside rows: those of an older tunegate lack columns.
_NO_ROWS = """SELECT NULL::VARCHAR id, NULL::VARCHAR "group", NULL::STRUCT(role VARCHAR, content VARCHAR)[] messages,
    NULL::VARCHAR text, NULL::VARCHAR label, NULL::VARCHAR rejected, NULL::MAP(VARCHAR, VARCHAR) slices,
    NULL::VARCHAR source, NULL::VARCHAR split WHERE false"""


def load(connection: "duckdb.DuckDBPyConnection", before: Side, after: Side) -> None:
    """Make, for both sides, a view `*_texts` of the prepared rows, and the tables `joined` and `ingested`.

    `joined` has a row per id of either side; a column ends with _before or _after, NULL where the side lacks the id. A
    question without any text is NULL, too: it equals no other.
    """
    connection.create_function("comparable", comparable, ["VARCHAR"], "VARCHAR")
    for name, side in zip(SIDES, (before, after), strict=True):
        splits = {str(split): side.file(PREPARED, f"{split}.parquet") for split in SPLITS}
        connection.execute(f"CREATE VIEW {name}_texts AS {_union(splits)}")
        rows = side.file(INGESTED, "rows.parquet")
        connection.execute(f"CREATE VIEW {name}_ingested AS {_union({'ingested': rows})}")
    connection.execute(f"CREATE TABLE joined AS {_joined()}")
    connection.execute(f"CREATE TABLE ingested AS {_ingested()}")


def _union(files: dict[str, Path | None]) -> str:
    parts = [f"SELECT *, '{split}' AS split FROM {scan(path)}" for split, path in files.items() if path]
    return " UNION ALL BY NAME ".join([_NO_ROWS, *parts])


def scan(path: Path) -> str:
    """A Parquet file as SQL names it."""
    quoted = str(path).replace("'", "''")
    return f"read_parquet('{quoted}')"


def _joined() -> str:
    columns = ("split", "content", "question", "label", "slices", "source", "asked", "said", "chat", "rejected")
    parts = {
        side: f"""SELECT id, "group" AS grp, split, {_CONTENT} AS content,
            CASE WHEN compared <> '' THEN hash(compared) END AS question, label, slices, source,
            length({LAST_TURN_SQL}) AS asked, length({ANSWER_SQL}) AS said, messages IS NOT NULL AS chat,
            length(rejected) AS rejected
            FROM (SELECT *, comparable({DIALOGUE_SQL}) AS compared FROM {side}_texts)"""
        for side in SIDES
    }
    named = ", ".join(f"{side[0]}.{column} AS {column}_{side}" for side in SIDES for column in columns)
    return f"""SELECT coalesce(a.id, b.id) AS id, coalesce(a.grp, b.grp) AS grp, {named},
        b.content IS NOT NULL AND a.content IS NOT NULL AND a.content <> b.content AS edited
        FROM ({parts["before"]}) b FULL JOIN ({parts["after"]}) a ON a.id = b.id"""


def _ingested() -> str:
    parts = {side: f"SELECT id, {_CONTENT} AS content FROM {side}_ingested" for side in SIDES}
    return f"""SELECT b.content AS before, a.content AS after
        FROM ({parts["before"]}) b FULL JOIN ({parts["after"]}) a ON a.id = b.id"""
