"""Rows that the head leaves out, quarantines or masks and the base does not, with the row that each one repeats.

Reads dropped.parquet, changes.parquet and quarantine.parquet of both sides, as SQL. A side without such a file
has no such rows.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; values from the data never become SQL

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tunegate.data.diff.result import Count, Pair, Pairs, PersonalData, Quarantine, Quarantined
from tunegate.data.diff.row_tables import scan
from tunegate.data.diff.sides import PREPARED, VALIDATED, Side

if TYPE_CHECKING:
    import duckdb

    Connection = duckdb.DuckDBPyConnection

SHOWN = 50
"""Pairs and rows that are listed of each kind."""
DROPPED, CHANGES, QUARANTINE = "dropped.parquet", "changes.parquet", "quarantine.parquet"

_DUPLICATES = "reason IN ('duplicate', 'near_duplicate')"
_LEAKS = r"regexp_matches(reason, '^question_(also_in|near)_')"
# Repairs and stripped HTML are changes too, but not personal data.
_PERSONAL_CHANGES = "regexp_matches(what, '^(found|masked|tagged): ')"
_LEFT_OUT_FOR_IT = "reason IN ('personal_data', 'secret')"
_TIMES = re.compile(r" x\d+$")


def new_duplicates(connection: "Connection", before: Side, after: Side) -> Pairs:
    """Rows left out as duplicates that the base does not leave out as such."""
    return _new_pairs(connection, before, after, _DUPLICATES)


def new_leaks_left_out(connection: "Connection", before: Side, after: Side) -> Pairs:
    """Rows left out because a row of test or valid asks the same, that the base does not leave out as such."""
    return _new_pairs(connection, before, after, _LEAKS)


def quarantine(connection: "Connection", before: Side, after: Side) -> Quarantine | None:
    """Rows in quarantine on both sides, and those that are new there; None where the head locks none."""
    ours = after.file(VALIDATED, QUARANTINE)
    if ours is None:
        return None
    theirs = before.file(VALIDATED, QUARANTINE)
    new = f"{scan(ours)} AS mine {_anti_join(theirs, 'theirs.id = mine.id')}"
    rows = connection.execute(f"""SELECT id, reasons FROM {new}
        ORDER BY id LIMIT {SHOWN}""").fetchall()
    return Quarantine(
        before=_count(connection, theirs),
        after=_count(connection, ours),
        checked_before=_checked(before),
        checked_after=_checked(after),
        new=[Quarantined(id=name, reasons=list(reasons)) for name, reasons in rows],
    )


def personal_data(connection: "Connection", before: Side, after: Side) -> PersonalData | None:
    """What was done to personal data and secrets on both sides; None where the head has no record of it."""
    if after.file(PREPARED, CHANGES) is None:
        return None
    counts: dict[str, list[int]] = {}
    for number, side in enumerate((before, after)):
        rows_of_side = _rows_with_personal_data(side)
        query = f"SELECT what, count(DISTINCT id) FROM ({rows_of_side}) GROUP BY what"
        for name, rows in connection.execute(query).fetchall():
            counts.setdefault(_TIMES.sub("", name), [0, 0])[number] += rows
    ours, theirs = (_rows_with_personal_data(side) for side in (after, before))
    new = f"(SELECT DISTINCT id FROM ({ours}) AS ours ANTI JOIN ({theirs}) AS theirs USING (id))"
    count = connection.execute(f"SELECT count(*) FROM {new}").fetchone()
    ids = connection.execute(f"SELECT id FROM {new} ORDER BY id LIMIT {SHOWN}").fetchall()
    kinds = [Count(name=name, before=old, after=new) for name, (old, new) in sorted(counts.items())]
    return PersonalData(kinds=kinds, new_rows=count[0] if count else 0, ids=[name for (name,) in ids])


def _rows_with_personal_data(side: Side) -> str:
    """A query for a side's rows with personal data or a secret, and what was done about it: id, what."""
    changes, dropped = side.file(PREPARED, CHANGES), side.file(PREPARED, DROPPED)
    parts = ["SELECT NULL::VARCHAR AS id, NULL::VARCHAR AS what WHERE false"]
    if changes:
        parts.append(f"""SELECT id, what FROM (SELECT id, unnest(changes) AS what FROM {scan(changes)})
            WHERE {_PERSONAL_CHANGES}""")
    if dropped:
        parts.append(f"""SELECT id, 'left out: ' || replace(reason, '_', ' ') FROM {scan(dropped)}
            WHERE {_LEFT_OUT_FOR_IT}""")
    return " UNION ALL ".join(parts)


def _new_pairs(connection: "Connection", before: Side, after: Side, condition: str) -> Pairs:
    ours, theirs = after.file(PREPARED, DROPPED), before.file(PREPARED, DROPPED)
    if ours is None:
        return Pairs(count=0, pairs=[])
    anti_join = _anti_join(theirs, "theirs.id = mine.id AND theirs.reason = mine.reason")
    chosen = f"(SELECT id, reason, other, similarity FROM {scan(ours)} WHERE {condition}) AS mine {anti_join}"
    count = connection.execute(f"SELECT count(*) FROM {chosen}").fetchone()
    rows = connection.execute(f"SELECT id, reason, other, similarity FROM {chosen} ORDER BY id LIMIT {SHOWN}")
    return Pairs(count=count[0] if count else 0, pairs=[_pair(*row) for row in rows.fetchall()])


def _pair(name: str, reason: str, other: str | None, similarity: float | None) -> Pair:
    return Pair(id=name, other=other or "", kind=reason, similarity=similarity)


def _anti_join(theirs: Path | None, match: str) -> str:
    return f"ANTI JOIN {scan(theirs)} AS theirs ON {match}" if theirs else ""


def _count(connection: "Connection", path: Path | None) -> int:
    row = connection.execute(f"SELECT count(*) FROM {scan(path)}").fetchone() if path else None
    return int(row[0]) if row else 0


def _checked(side: Side) -> int:
    return int(side.ledger(VALIDATED).get("rows", {}).get("in", 0))
