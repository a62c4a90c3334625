"""One row of a Parquet file by its id, and the ids nearest to an unknown one, fast in a million rows.

DuckDB reads the column `id` and, of the other columns, only the one row.
"""

from pathlib import Path
from typing import Any

from tunegate.data.compute.database import open_database
from tunegate.errors import InputError

NEAREST = 3


class Lookup:
    """Looks rows up; close it, or use it as a context."""

    def __init__(self) -> None:
        self._connection = open_database()

    def __enter__(self) -> "Lookup":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def one(self, path: Path, name: str) -> dict[str, Any] | None:
        """The row with that id, or None. Raises InputError when the file is missing or not Parquet."""
        rows = self._read("SELECT * FROM read_parquet(?) WHERE id = ? LIMIT 1", path, name)
        return rows[0] if rows else None

    def nearest(self, path: Path, name: str) -> list[str]:
        """The ids most like `name`, the nearest first."""
        order = "jaro_winkler_similarity(lower(id), lower(?)) DESC, id"
        query = f"SELECT id FROM read_parquet(?) ORDER BY {order} LIMIT {NEAREST}"  # noqa: S608
        return [row["id"] for row in self._read(query, path, name)]

    def _read(self, query: str, path: Path, value: str) -> list[dict[str, Any]]:
        import duckdb

        if not path.is_file():
            raise InputError("no such file", place=str(path), remedy="run `dvc repro`, or `dvc pull`")
        try:
            relation: Any = self._connection.sql(query, params=[str(path), value])
            return list(relation.to_arrow_table().to_pylist())
        except duckdb.Error as error:
            problem = f"cannot be read: {str(error).splitlines()[0]}"
            remedy = "run the stage that writes it again"
            raise InputError(problem, place=str(path), remedy=remedy) from None
