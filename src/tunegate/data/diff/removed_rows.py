"""Rows that the head leaves out, quarantines or masks, and the base does not; with the row that each one met.

Reads dropped.parquet, changes.parquet and quarantine.parquet of both sides, as SQL. A side that lacks one has no such
rows: the caller says so. Does not know why a stage left a row out.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; what data says is never SQL

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
# Of other changes, repairs and stripped HTML, no personal data is told.
_FOUND = "regexp_matches(what, '^(found|masked|tagged): ')"
_LEFT_OUT_FOR_IT = "reason IN ('personal_data', 'secret')"
_TIMES = re.compile(r" x\d+$")


def new_duplicates(connection: "Connection", before: Side, after: Side) -> Pairs:
    """Rows left out as duplicates that the base does not leave out so."""
    return _new_pairs(connection, before, after, _DUPLICATES)


def new_leaks_left_out(connection: "Connection", before: Side, after: Side) -> Pairs:
    """Rows left out since they ask what a row of test or valid asks, that the base does not leave out so."""
    return _new_pairs(connection, before, after, _LEAKS)


def quarantine(connection: "Connection", before: Side, after: Side) -> Quarantine | None:
    """Rows in quarantine on both sides, and those that are new there; None where the head locks none."""
    ours = after.file(VALIDATED, QUARANTINE)
    if ours is None:
        return None
    theirs = before.file(VALIDATED, QUARANTINE)
    rows = connection.execute(f"""SELECT id, reasons FROM {scan(ours)} AS mine {_lacking(theirs, "theirs.id = mine.id")}
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
        query = f"SELECT what, count(DISTINCT id) FROM ({_met(side)}) GROUP BY what"
        for name, rows in connection.execute(query).fetchall():
            counts.setdefault(_TIMES.sub("", name), [0, 0])[number] += rows
    fresh = f"(SELECT DISTINCT id FROM ({_met(after)}) AS new ANTI JOIN ({_met(before)}) AS old USING (id))"
    count = connection.execute(f"SELECT count(*) FROM {fresh}").fetchone()
    ids = connection.execute(f"SELECT id FROM {fresh} ORDER BY id LIMIT {SHOWN}").fetchall()
    kinds = [Count(name=name, before=found[0], after=found[1]) for name, found in sorted(counts.items())]
    return PersonalData(kinds=kinds, new_rows=count[0] if count else 0, ids=[name for (name,) in ids])


def _met(side: Side) -> str:
    """A query for the rows of a side in which personal data or a secret was met, and what was done: id, what."""
    changes, dropped = side.file(PREPARED, CHANGES), side.file(PREPARED, DROPPED)
    parts = ["SELECT NULL::VARCHAR AS id, NULL::VARCHAR AS what WHERE false"]
    if changes:
        parts.append(f"""SELECT id, what FROM (SELECT id, unnest(changes) AS what FROM {scan(changes)})
            WHERE {_FOUND}""")
    if dropped:
        parts.append(f"""SELECT id, 'left out: ' || replace(reason, '_', ' ') FROM {scan(dropped)}
            WHERE {_LEFT_OUT_FOR_IT}""")
    return " UNION ALL ".join(parts)


def _new_pairs(connection: "Connection", before: Side, after: Side, condition: str) -> Pairs:
    ours, theirs = after.file(PREPARED, DROPPED), before.file(PREPARED, DROPPED)
    if ours is None:
        return Pairs(count=0, pairs=[])
    lacking = _lacking(theirs, "theirs.id = mine.id AND theirs.reason = mine.reason")
    chosen = f"(SELECT id, reason, other, similarity FROM {scan(ours)} WHERE {condition}) AS mine {lacking}"
    count = connection.execute(f"SELECT count(*) FROM {chosen}").fetchone()
    rows = connection.execute(f"SELECT id, reason, other, similarity FROM {chosen} ORDER BY id LIMIT {SHOWN}")
    return Pairs(count=count[0] if count else 0, pairs=[_pair(*row) for row in rows.fetchall()])


def _pair(name: str, reason: str, other: str | None, similarity: float | None) -> Pair:
    return Pair(id=name, other=other or "", kind=reason, similarity=similarity)


def _lacking(theirs: Path | None, match: str) -> str:
    return f"ANTI JOIN {scan(theirs)} AS theirs ON {match}" if theirs else ""


def _count(connection: "Connection", path: Path | None) -> int:
    found = connection.execute(f"SELECT count(*) FROM {scan(path)}").fetchone() if path else None
    return int(found[0]) if found else 0


def _checked(side: Side) -> int:
    return int(side.ledger(VALIDATED).get("rows", {}).get("in", 0))
