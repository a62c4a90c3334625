"""How far labels, slices, sources and lengths moved between two sides, as effect sizes with intervals.

Reads the table `joined` of tunegate.data.diff.row_tables, as counts: exact for any number of rows, and lengths in
bins of about equal size. A group is one observation: a question and its translation are not two pieces of evidence. A
column with too many different values is counted by the database alone and reported as not computed. Values are masked;
those of free text are not shown.
"""

# ruff: noqa: S608 - names of columns and splits are ours, paths are quoted; values from the data never become SQL

from typing import TYPE_CHECKING, Any

import numpy as np

from tunegate.data.diff.display import shown
from tunegate.data.diff.result import Count, Length, Shift
from tunegate.statistics.effect_sizes import UNKNOWN, Effect, Floats, cliffs_delta, cohens_w, effect_of_cells

if TYPE_CHECKING:
    import duckdb

    Connection = duckdb.DuckDBPyConnection

W = (0.1, 0.3)
"""Where Cohen (1988) begins a small and a medium w; a medium one counts as large here."""
DELTA = (0.147, 0.33)
"""Where Romano et al. (2006) begin a small and a medium delta."""

MOST_SLICES = 32
"""Slices that are compared, the first by name."""
MOST_VALUES = 500
"""Different values of a label, slice or source beyond which no shift is computed."""

_SHOWN_VALUES = 12
_LONGEST_VALUE = 100
_BINS = 64


def shifts(connection: "Connection") -> tuple[list[Shift], list[str]]:
    """Shifts of labels, slices, sources and lengths, where a side has them; and what was not computed, and why."""
    names = [name for (name,) in connection.execute("""SELECT DISTINCT unnest(map_keys(slices)) AS name FROM (
        SELECT slices_before AS slices FROM joined UNION ALL SELECT slices_after FROM joined)
        ORDER BY name""").fetchall()]  # fmt: skip
    keys = [(name, f"slices_{{}}['{name.replace(chr(39), 2 * chr(39))}']") for name in names[:MOST_SLICES]]
    columns = [("label", "label_{}"), *((f"slice {name}", key) for name, key in keys), ("source", "source_{}")]
    notes: list[str] = []
    all_shifts = [_categories(connection, name, key, notes) for name, key in columns]
    if more := names[MOST_SLICES:]:
        all_shifts.insert(-1, _not_computed(f"{len(more):,} more slices", 0))
        shown_names = ", ".join(shown(name) for name in more[:_SHOWN_VALUES])
        also = ", …" if len(more) > _SHOWN_VALUES else ""
        notes.append(f"slices beyond the first {MOST_SLICES} by name: {shown_names}{also}")
    all_shifts.append(_lengths(connection, "length of the question, characters", "asked_{}", "true"))
    # The length of a label says nothing; only conversations have answers whose length matters.
    all_shifts.append(_lengths(connection, "length of the answer, characters", "said_{}", "chat_{}"))
    all_shifts.append(_lengths(connection, "length of the rejected answer, characters", "rejected_{}", "true"))
    return [shift for shift in all_shifts if shift], notes


def _categories(connection: "Connection", name: str, key: str, notes: list[str]) -> Shift | None:
    before, after = (key.format(side) for side in ("before", "after"))
    # Counted before any value leaves the database: of free text, there are as many as rows.
    distinct, rows, longest = _extent(connection, before, after)
    if not distinct:
        return None
    if distinct > MOST_VALUES:
        notes.append(f"the shift of {name}: {distinct:,} different values, more than {MOST_VALUES}")
        return _not_computed(name, rows)
    cells, groups = _cells(connection, before, after)
    values = sorted({value for pair in cells for value in pair[:2] if value is not None})
    place = {value: number for number, value in enumerate(values)}
    columns = _columns([[place.get(cell[side], -1) for cell in cells] for side in (0, 1)])
    counts = np.array([cell[2] for cell in cells], dtype=np.float64)
    totals = [np.bincount(c[c >= 0].astype(np.int64), counts[c >= 0], len(values)) for c in columns]
    free = longest > _LONGEST_VALUE or distinct > max(total.sum() for total in totals) / 2
    return Shift(
        name=name,
        measure="Cohen's w",
        **effect_fields(effect_of_cells(columns, counts, groups, cohens_w), W),
        rows=rows,
        values=[] if free else _changed(values, totals),
    )


def _extent(connection: "Connection", before: str, after: str) -> tuple[int, int, int]:
    """How many different values there are, in how many rows of both sides together, and the length of the longest."""
    row = connection.execute(f"""SELECT count(*), coalesce(sum(times), 0)::BIGINT, coalesce(max(length(value)), 0)
        FROM (SELECT value, count(*) AS times FROM (
            SELECT {before} AS value FROM joined UNION ALL SELECT {after} FROM joined)
        WHERE value IS NOT NULL GROUP BY value)""").fetchone()
    return row or (0, 0, 0)


def _not_computed(name: str, rows: int) -> Shift:
    return Shift(name=name, measure="Cohen's w", **(effect_fields(UNKNOWN, W) | {"verdict": "not computed"}), rows=rows)


def _changed(values: list[str], totals: list[Any]) -> list[Count]:
    """The values whose share changed most, masked; values whose count did not change are left out."""
    shares = [total / max(total.sum(), 1) for total in totals]
    order = sorted(range(len(values)), key=lambda i: (-abs(round(shares[1][i] - shares[0][i], 9)), values[i]))
    changed = [i for i in order if totals[0][i] != totals[1][i]][:_SHOWN_VALUES]
    return [Count(name=shown(values[i]), before=int(totals[0][i]), after=int(totals[1][i])) for i in changed]


def _lengths(connection: "Connection", name: str, key: str, condition: str) -> Shift | None:
    sides = [f"CASE WHEN {condition.format(side)} THEN {key.format(side)} END" for side in ("before", "after")]
    ends = connection.execute(f"""SELECT quantile_disc(value, {[n / _BINS for n in range(1, _BINS)]}) FROM (
        SELECT {sides[0]} AS value FROM joined UNION ALL SELECT {sides[1]} FROM joined)""").fetchone()
    if not ends or ends[0] is None:
        return None
    edges = sorted(set(ends[0]))
    binned = [f"list_count(list_filter({edges}::BIGINT[], lambda edge: edge < {side}))" for side in sides]
    binned = [f"CASE WHEN {side} IS NOT NULL THEN {bin_} END" for side, bin_ in zip(sides, binned, strict=True)]
    cells, groups = _cells(connection, *binned)
    columns = _columns([[-1 if cell[side] is None else cell[side] for cell in cells] for side in (0, 1)])
    counts = np.array([cell[2] for cell in cells], dtype=np.float64)
    effect = effect_of_cells(columns, counts, groups, cliffs_delta)
    middle, tail = zip(*(_quantiles(connection, side) for side in sides), strict=True)
    return Shift(
        name=name,
        measure="Cliff's delta",
        **effect_fields(effect, DELTA),
        rows=int(sum(counts[column >= 0].sum() for column in columns)),
        length=Length(median=middle, p95=tail),
    )


def _columns(sides: list[list[int]]) -> tuple[Floats, Floats]:
    return np.array(sides[0], dtype=np.float64), np.array(sides[1], dtype=np.float64)


def _quantiles(connection: "Connection", side: str) -> tuple[int | None, int | None]:
    row = connection.execute(f"SELECT quantile_disc({side}, [0.5, 0.95]) FROM joined").fetchone()
    return (row[0][0], row[0][1]) if row and row[0] else (None, None)


def _cells(connection: "Connection", before: str, after: str) -> tuple[list[tuple[Any, Any, int]], int]:
    """How many rows went from which value to which, and in how many groups they are."""
    query = f"""WITH pairs AS (SELECT {before} AS b, {after} AS a, grp FROM joined)
        SELECT b, a, count(*) FROM pairs WHERE b IS NOT NULL OR a IS NOT NULL GROUP BY b, a
        ORDER BY b NULLS FIRST, a NULLS FIRST"""
    groups = connection.execute(
        f"SELECT count(DISTINCT grp) FROM joined WHERE ({before}) IS NOT NULL OR ({after}) IS NOT NULL"
    ).fetchone()
    return connection.execute(query).fetchall(), int(groups[0]) if groups else 0


def effect_fields(effect: Effect, ends: tuple[float, float]) -> dict[str, Any]:
    """The fields of a Shift that an effect gives, with where a small and a large one begin."""
    return {
        "effect": effect.value,
        "low": effect.low,
        "high": effect.high,
        "small": ends[0],
        "large": ends[1],
        "verdict": effect.verdict(*ends),
    }
