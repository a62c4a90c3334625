"""When what was fetched must not become the snapshot: no rows, other columns, a cursor that went back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunegate.data.refresh.merge import Merge
from tunegate.data.refresh.snapshot import Record
from tunegate.data.refresh.spool import Spool
from tunegate.data.refresh.value_types import Kind, common, unpacked
from tunegate.data.sources.external_declaration import External, Rest, Sql
from tunegate.errors import InputError, RefusedError
from tunegate.text import did_you_mean


def refuse_empty(rows: int | None, place: str) -> None:
    """Raise RefusedError: the source has no rows; `rows` is how many the snapshot has, if there is one."""
    had = f", and had {rows}" if rows else ""
    remedy = "check the source; if it is meant to be empty, run the refresh again with --allow-empty"
    raise RefusedError(f"the source has no rows{had}", place=place, remedy=remedy)


def check_columns(record: Record, spool: Spool, place: str, record_path: Path, *, whole: bool) -> None:
    """Raise InputError when a column has another kind of values than it had, or, where `whole`, is gone.

    `whole` says that the fetched rows show all columns that the source has.
    """
    remedy = f"nothing was changed; if it is intended, delete {record_path}: everything is then read anew"
    for name, kind in spool.columns.items():
        before = record.columns.get(name, "empty")
        # A number among whole numbers would make all of them numbers: ids, groups and parts would change with it.
        if spool.joint(name, before, kind) is None or (before, kind) == ("integer", "number"):
            problem = (
                f"the column changed its type: it held {before}, now {kind}, for instance {spool.example(name)!r:.60}"
            )
            raise InputError(problem, place=f"{place}: column {name!r}", remedy=remedy)
        if before == "number":
            spool.check_doubles(name)
    gone = next((name for name in record.columns if name not in spool.columns), None)
    if whole and gone is not None:
        problem = f"the column is gone{did_you_mean(gone, spool.columns.keys() - record.columns.keys())}"
        raise InputError(problem, place=f"{place}: column {gone!r}", remedy=remedy)


def check_unique(declared: External, merge: Merge, place: str) -> None:
    """Raise InputError when a database gave two rows of one key in one read: only one could stay, and which is chance.

    Pages of an API may show a record again, and the newest one then stays.
    """
    repeated = merge.repeated() if isinstance(declared, Sql) else None
    if repeated is not None:
        problem = f"not unique: two rows have the key {repeated!r:.80}"
        raise InputError(problem, place=f"{place}.key", remedy="name the column, or all columns, that name one row")


def check_forward(since: dict[str, Any] | None, declared: External, merge: Merge, place: str) -> None:
    """Raise InputError when an API that was asked for what is new gives only what is old: its records were reset."""
    if since is None or not isinstance(declared, Rest) or declared.cursor is None:
        return
    column = declared.cursor.column
    largest = merge.largest(column, fetched=True)
    if largest is not None and largest < unpacked(since):
        problem = f"the largest {column!r} among what is new is {largest}, the snapshot ends at {unpacked(since)}"
        remedy = "was the source restored from a backup? `--full` reads everything again"
        raise InputError(problem, place=f"{place}.cursor", remedy=remedy)


def joint_columns(
    one: Mapping[str, Kind], other: Mapping[str, Kind], *, exactly: bool = False
) -> dict[str, Kind] | None:
    """The columns of both, with kinds that hold the values of both; None where there is no such kind.

    `exactly` says that whole numbers and numbers do not go together.
    """
    joint: dict[str, Kind] = {}
    for name in dict.fromkeys([*one, *other]):
        kind = common(one.get(name, "empty"), other.get(name, "empty"))
        if kind is None or (exactly and kind == "number" and "integer" in (one.get(name), other.get(name))):
            return None
        joint[name] = kind
    return joint
