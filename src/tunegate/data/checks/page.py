"""Great Expectations' own page on the rows that the pipeline checks, for people to look at.

Reads the rows, and where there are many a sample of them; writes a web page. Decides nothing: `validation` does.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tunegate.data.checks.columns import chunks, column_names
from tunegate.data.checks.engine import make_expectations, write_docs
from tunegate.data.checks.frames import frame_of
from tunegate.data.checks.suites import Suite, check_columns
from tunegate.errors import InputError
from tunegate.tables import parquet_rows

SAMPLE_ROWS = 20_000
"""More rows than these are sampled: the page would take minutes and say the same."""


class Page(NamedTuple):
    """The page to open, and how many of how many rows it is about."""

    path: Path
    shown: int
    rows: int


def write_page(suite: Suite, path: Path, place: str, templates: Path, folder: Path, sample: int = SAMPLE_ROWS) -> Page:
    """Write the page on `suite`, which is the file `place`, over the rows in the Parquet file `path` to `folder`.

    Of more than `sample` rows, every so many-th is taken. Raises InputError as `run_suite` does.
    """
    rows = parquet_rows(path)
    if not rows:
        raise InputError("no rows to check", place=str(path), remedy="see what data/sources.yaml and its sources give")
    names = column_names(path)
    check_columns(suite, names, place)
    made = make_expectations(suite, place, templates)
    frame = _sample(path, names, max(1, math.ceil(rows / sample)))
    run = f"all {rows} rows" if len(frame) == rows else f"a sample of {len(frame)} of {rows} rows"
    return Page(write_docs(suite, made, frame, run, folder), len(frame), rows)


def _sample(path: Path, names: list[str], step: int) -> Any:
    import pyarrow

    parts = []
    for chunk in chunks(path, names):
        numbers = np.arange(-chunk.start % step, chunk.rows, step)
        parts.append(pyarrow.table(chunk.columns).take(numbers))
    whole = pyarrow.concat_tables(parts)
    return frame_of({name: whole.column(name) for name in names}, 0, whole.num_rows)
