"""Rows added, removed, edited and moved, counted whole and shown as a sample, the same one every time.

Reads the tables of tunegate.data.diff.row_tables. A sample is in the order of a hash of the ids, so that it is not
the first source's alone. Masks and cuts every text that it shows.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; values from the data never become SQL

from typing import TYPE_CHECKING, Any

from tunegate.data.diff.result import EditedRow, FieldEdit, Move, RowCounts, RowSample
from tunegate.data.preparation.splits import SPLITS
from tunegate.data.rows import ROW, Row, rows_of

if TYPE_CHECKING:
    import duckdb

    from tunegate.data.diff.display import Show, ShowEdit

    Connection = duckdb.DuckDBPyConnection

SHOWN_ROWS = 30
"""Rows that are shown of each kind."""

_MOVED = "split_before IS NOT NULL AND split_after IS NOT NULL AND split_before <> split_after"
_FIELDS = ("question", "answer", "rejected", "group", "slices", "source")


def row_counts(connection: "Connection") -> list[RowCounts]:
    """The ingested rows, where a side has them, then each split; a moved row counts as removed there, added here."""
    counts = connection.execute("""SELECT count(before), count(after), count(*) FILTER (before IS NULL),
        count(*) FILTER (after IS NULL), count(*) FILTER (before <> after) FROM ingested""").fetchone()
    ingested = [_row_counts("ingested", counts)] if counts and counts[0] + counts[1] else []
    return [*ingested, *(_split_counts(connection, split) for split in SPLITS)]


def moved(connection: "Connection") -> tuple[int, list[Move]]:
    """How many rows are in another split than before, and a sample of them."""
    count = connection.execute(f"SELECT count(*) FROM joined WHERE {_MOVED}").fetchone()
    rows = connection.execute(
        f"SELECT id, split_before, split_after FROM joined WHERE {_MOVED} ORDER BY md5(id) LIMIT {SHOWN_ROWS}"
    ).fetchall()
    return count[0] if count else 0, sorted(
        (Move(id=i, before=b, after=a) for i, b, a in rows), key=lambda move: move.id
    )


def one_sided(connection: "Connection", side: str, show: "Show") -> list[RowSample]:
    """A sample of the rows that only `side` (before or after) has."""
    other = "after" if side == "before" else "before"
    ids = _sampled(connection, f"content_{side} IS NOT NULL AND content_{other} IS NULL")
    return [
        RowSample(
            id=row.id,
            split=split,
            source=row.source,
            question=show(row.last_turn),
            answer=show(row.answer),
            rejected=None if row.rejected is None else show(row.rejected),
        )
        for split, row in _texts(connection, side, ids)
    ]


def edited(connection: "Connection", show: "ShowEdit") -> list[EditedRow]:
    """A sample of the rows whose content differs, with the words that do."""
    ids = _sampled(connection, "edited")
    old = {row.id: row for _, row in _texts(connection, "before", ids)}
    return [
        EditedRow(id=row.id, split=split, fields=_edits(old[row.id], row, show))
        for split, row in _texts(connection, "after", ids)
    ]


def _edits(old: Row, new: Row, show: "ShowEdit") -> list[FieldEdit]:
    before, after = _fields(old), _fields(new)
    return [
        FieldEdit(field=name, words=show(before[name], after[name])) for name in _FIELDS if before[name] != after[name]
    ]


def _fields(row: Row) -> dict[str, str]:
    turns = [] if row.messages is None else [f"{turn['role']}: {turn['content']}" for turn in row.messages[:-1]]
    question = "\n".join(turns) if len(turns) > 1 else row.last_turn
    slices = ", ".join(f"{name}: {value}" for name, value in sorted(row.slices.items()))
    return dict(zip(_FIELDS, (question, row.answer, row.rejected or "", row.group, slices, row.source), strict=True))


def _split_counts(connection: "Connection", split: str) -> RowCounts:
    here, there = f"coalesce(split_before, '') = '{split}'", f"coalesce(split_after, '') = '{split}'"
    counts = connection.execute(f"""SELECT count(*) FILTER ({here}), count(*) FILTER ({there}),
        count(*) FILTER ({there} AND NOT ({here})), count(*) FILTER ({here} AND NOT ({there})),
        count(*) FILTER (edited AND {here} AND {there}) FROM joined""").fetchone()
    return _row_counts(split, counts)


def _row_counts(name: str, counts: tuple[Any, ...] | None) -> RowCounts:
    before, after, added, removed, edited = counts or (0,) * 5
    return RowCounts(name=name, before=before, after=after, added=added, removed=removed, edited=edited)


def _sampled(connection: "Connection", condition: str) -> list[str]:
    query = f"SELECT id FROM joined WHERE {condition} ORDER BY md5(id) LIMIT {SHOWN_ROWS}"
    return [name for (name,) in connection.execute(query).fetchall()]


def _texts(connection: "Connection", side: str, ids: list[str]) -> list[tuple[str, Row]]:
    """Split and row of each id, sorted by id."""
    if not ids:
        return []
    columns = ", ".join(f'"{name}"' for name in ROW.names)
    query = f"SELECT {columns}, split FROM {side}_texts WHERE id IN (SELECT unnest(?)) ORDER BY id"
    table = connection.sql(query, params=[ids]).to_arrow_table()
    return list(zip(table["split"].to_pylist(), rows_of(table), strict=True))
