"""The frozen test set: rows that are the test split, whatever rows are added elsewhere.

Reads and writes data/frozen/test.json: id, group and content (as a sha256) of each row.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tunegate.errors import InputError
from tunegate.files import read_json, sha256_of, write_json
from tunegate.params import Closed, parse
from tunegate.text import listed

if TYPE_CHECKING:
    import duckdb

FILE = "test.json"
_AGAIN = "bring the rows back as they were, or run `tunegate data freeze` and change prepare.test_set"


class FrozenRow(Closed):
    """One row of the test set."""

    id: str
    group: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of what the row says, as `content_of` has it."""


class Frozen(Closed):
    """data/frozen/test.json."""

    rows: tuple[FrozenRow, ...]


def read_frozen(folder: Path, sha256: str | None, *, place: str) -> tuple[FrozenRow, ...]:
    """The rows of the frozen test set, none when `sha256` is None. Raises InputError when the file is another one."""
    if sha256 is None:
        return ()
    path = folder / FILE
    if not path.is_file():
        remedy = "restore the file, or set prepare.test_set to null"
        raise InputError(f"{path}: no such file", place=f"{place}: prepare.test_set", remedy=remedy)
    actual = sha256_of(path)
    if actual != sha256:
        problem = f"{sha256} is not the sha256 of {path}, which is {actual}"
        remedy = "restore the file; or, to test on its rows, write the sha256 that it has"
        raise InputError(problem, place=f"{place}: prepare.test_set", remedy=remedy)
    return parse(Frozen, read_json(path), place=str(path), remedy="restore the file from git").rows


def freeze(batches: Iterable[Any], folder: Path) -> tuple[int, str]:
    """Write the rows in `batches` (of ROW, sorted by id) as the frozen test set; how many they are, and its sha256."""
    rows = [
        {"id": record["id"], "group": record["group"], "sha256": content_of(record)}
        for batch in batches
        for record in batch.to_pylist()
    ]
    if not rows:
        raise InputError("the test split is empty", place=str(folder), remedy="run `dvc repro prepare` first")
    write_json(folder / FILE, {"rows": rows})
    return len(rows), sha256_of(folder / FILE)


def content_of(record: dict[str, Any]) -> str:
    """sha256 of what a row says: its group, texts, messages and slices; not of where it came from."""
    content = [record["group"], record["text"], record["label"], record["messages"], sorted(record["slices"])]
    # Not as a null: test sets that were frozen before there were rejected answers stay what they are.
    content += [record["rejected"]] if record.get("rejected") is not None else []
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_frozen(
    batches: Iterable[Any], rows: tuple[FrozenRow, ...], connection: "duckdb.DuckDBPyConnection", *, place: str
) -> None:
    """Raise InputError naming the frozen rows that are not in `batches`, the test split, or say something else there.

    `connection` has the tables of `row_tables`, which know why a row is missing.
    """
    if not rows:
        return
    contents = {record["id"]: content_of(record) for batch in batches for record in batch.to_pylist()}
    missing = [row.id for row in rows if row.id not in contents]
    edited = [row.id for row in rows if contents.get(row.id, row.sha256) != row.sha256]
    where = f"{place}: prepare.test_set"
    if missing:
        query = "SELECT id, reason FROM dropped JOIN keys USING (n) WHERE list_contains($1, id)"
        why = dict(connection.execute(query, [missing]).fetchall())
        names = listed([f"{name} ({why.get(name, 'not among the rows')})" for name in missing])
        raise InputError(f"{len(missing)} rows of the frozen test set are missing: {names}", place=where, remedy=_AGAIN)
    if edited:
        problem = f"{len(edited)} rows of the frozen test set say something else now: {listed(edited)}"
        raise InputError(problem, place=where, remedy=_AGAIN)
