"""Great Expectations' own page on the rows that the pipeline checks, for people to look at.

Reads the rows, and where there are many a sample of them; writes a web page. Decides nothing: `validation` does.
"""

import html
import math
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from tunegate.data.checks.columns import chunks, column_names
from tunegate.data.checks.engine import make_expectations, write_docs
from tunegate.data.checks.frames import frame_of
from tunegate.data.checks.sanitizer import inert, make_inert
from tunegate.data.checks.suites import Suite, check_columns
from tunegate.errors import InputError
from tunegate.files import write_text
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
    first = write_docs(suite, made, frame, run, folder)
    make_inert(folder)
    _write_index(first, f"{suite.name}: {run}")
    return Page(first, len(frame), rows)


def _write_index(path: Path, title: str) -> None:
    """The page to open, which Great Expectations leaves to a script."""
    pages = sorted(page.relative_to(path.parent) for page in path.parent.rglob("*.html") if page != path)
    links = (f'<li><a href="{quote(page.as_posix())}">{html.escape(page.parts[0])}</a></li>' for page in pages)
    write_text(
        path,
        inert(
            f"<html><head><title>{html.escape(title)}</title></head><body><h1>{html.escape(title)}</h1>"
            f"<ul>{''.join(links)}</ul></body></html>\n"
        ),
    )


def _sample(path: Path, names: list[str], step: int) -> Any:
    import pyarrow

    parts = []
    for chunk in chunks(path, names):
        numbers = np.arange(-chunk.start % step, chunk.rows, step)
        parts.append(pyarrow.table(chunk.columns).take(numbers))
    whole = pyarrow.concat_tables(parts)
    return frame_of({name: whole.column(name) for name in names}, 0, whole.num_rows)
