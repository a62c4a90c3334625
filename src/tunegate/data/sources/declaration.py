"""data/sources.yaml: where the rows come from, and which columns make a row.

A source is files of the repository below data/raw, a resource of an installed Python package, or an external source (a
database, an API, an object store) of which only the snapshot in data/raw is read. `locations` looks for the files.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tunegate.data.sources.external_declaration import External, Object, Rest, Sql
from tunegate.data.sources.row_declaration import RowTemplate
from tunegate.errors import InputError
from tunegate.files import read_yaml
from tunegate.params import Closed, parse

RECORD_FORMATS = (".csv", ".json", ".jsonl", ".parquet")
"""Of files of records, as an object store may have them."""
FORMATS = (*RECORD_FORMATS, ".txt")
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
RECORD_SUFFIX = ".snapshot.json"
"""How the name of a snapshot's record ends, which lies next to it."""
REMEDY = "docs/data.md shows every key of data/sources.yaml"


RowPer = Literal["file", "paragraph"]


class Source(Closed):
    """One source of rows: files (`path`), a package's resource (`package` and `path`), `sql`, `rest` or `object`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """Names the source in rows, ledgers and reports."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """A file below data/raw, or one inside the package. `*` is allowed."""
    package: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None
    """The import name of an installed package that the lock file pins."""
    sql: Sql | None = None
    """A table or a query of a database."""
    rest: Rest | None = None
    """Records of an HTTP API."""
    object: Object | None = None
    """Files of an object store."""
    license: Annotated[str, Field(min_length=1)] | None = None
    """The SPDX identifier of the licence the rows are under."""
    row_per: RowPer = "file"
    """What of plain text (.txt) is one row: a file, or a paragraph, which an empty line ends."""
    row: RowTemplate = RowTemplate()
    """How a record becomes a row."""

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, value: str | None) -> str | None:
        if value is None:
            return None
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("a relative path without '..'")
        layout, compression = suffixes_of(value)
        if layout not in FORMATS:
            raise ValueError(
                f"a path that ends with {', '.join(FORMATS)}, or one of them and {', '.join(COMPRESSIONS)}"
            )
        if layout == ".parquet" and compression:
            raise ValueError("a Parquet file as it is: its columns are compressed already")
        return value

    @model_validator(mode="after")
    def _is_one_kind(self) -> "Source":
        if sum(kind is not None for kind in (self.path, self.sql, self.rest, self.object)) != 1:
            raise ValueError("one of path, sql, rest or object")
        if self.package is not None and self.path is None:
            raise ValueError("package together with path")
        if "row_per" in self.model_fields_set and (self.path is None or suffixes_of(self.path)[0] != ".txt"):
            raise ValueError("row_per together with a path that ends with .txt: other files have a row per record")
        return self

    @property
    def external(self) -> External | None:
        """What `tunegate data refresh` takes a snapshot of; None for files of the repository or of a package."""
        return self.sql or self.rest or self.object


class Sources(Closed):
    """The whole of data/sources.yaml."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    """Read in this order."""


def load_sources(path: Path) -> tuple[Source, ...]:
    """The sources declared in `path`. Raises InputError with key, value and remedy."""
    sources = parse(Sources, read_yaml(path), place=str(path), remedy=REMEDY).sources
    indices: dict[str, int] = {}
    for index, source in enumerate(sources):
        if source.name in indices:
            problem = f"the name {source.name!r} is taken by sources[{indices[source.name]}]"
            raise InputError(problem, place=f"{path}: sources[{index}].name", remedy="give each source its own name")
        indices[source.name] = index
    return sources


def suffixes_of(name: str) -> tuple[str, str]:
    """The layout of a file and its compression, both as suffixes: `a.csv.gz` is `.csv` and `.gz`, `a.csv` has none."""
    path = PurePosixPath(name)
    if path.suffix in COMPRESSIONS:
        return PurePosixPath(path.stem).suffix, path.suffix
    return path.suffix, ""


def snapshot_of(source: Source, raw: Path) -> Path:
    """Where the snapshot of an external source lies: `tunegate data refresh` writes it, `ingest` reads it."""
    return raw / f"{source.name}.parquet"
