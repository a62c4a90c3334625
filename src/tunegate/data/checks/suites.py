"""data/expectations/<suite>.json: what must hold of the rows, as Great Expectations writes it, without ids or times.

Reads a suite. Knows its form and the columns of the table that is checked; does not know which types of expectation
there are, nor how they are evaluated: `checks` does.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tunegate.data.nearest import did_you_mean, listed
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.files import read_json
from tunegate.params import Closed, parse

Severity = Literal["critical", "warning", "info"]

COLUMN_KEYS = ("column", "column_A", "column_B", "column_list", "column_set")


class Expectation(Closed):
    """One expectation."""

    type: str
    """A type of Great Expectations, in its snake_case name."""
    kwargs: dict[str, Any]
    """Its arguments."""
    severity: Severity = "critical"
    """critical stops the pipeline, warning moves the failing rows to quarantine, info only reports."""
    description: str | None = None
    """Why it must hold; for readers."""

    @property
    def columns(self) -> list[str]:
        """The columns it looks at."""
        values = [self.kwargs[key] for key in COLUMN_KEYS if key in self.kwargs]
        return [name for value in values for name in (value if isinstance(value, list) else [value])]


class Suite(Closed):
    """A suite of expectations."""

    name: str
    """The file's name without `.json`."""
    expectations: Annotated[tuple[Expectation, ...], Field(min_length=1)]
    """At least one: a suite that checks nothing would let everything pass."""


def load_suite(folder: Path, name: str) -> Suite:
    """The suite `name` in `folder`. Raises InputError with the nearest name when there is none."""
    path = folder / f"{name}.json"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.json"))
        remedy = f"set validate.suite to one of {listed(known)}" if known else "write one: docs/data.md shows how"
        raise InputError(f"no suite {name!r}{did_you_mean(name, known)}", place=str(path), remedy=remedy)
    remedy = "keep name and expectations, and for each type, kwargs, severity, description; ids and times are no input"
    suite = parse(Suite, read_json(path), place=str(path), remedy=remedy)
    if suite.name != name:
        remedy = "name a suite like its file"
        raise InputError(f"must be {name!r} (got {suite.name!r})", place=f"{path}: name", remedy=remedy)
    return suite


def check_columns(suite: Suite, columns: list[str], place: str) -> None:
    """Raise InputError when an expectation looks at a column that the checked table does not have."""
    for index, expectation in enumerate(suite.expectations):
        # This one asks whether there is such a column; that there is none is its answer, not a fault of the suite.
        if expectation.type == "expect_column_to_exist":
            continue
        for column in expectation.columns:
            if column not in columns:
                problem = f"{expectation.type}: no column {column!r}{did_you_mean(str(column), columns)}"
                where = f"{place}: expectations[{index}].kwargs"
                raise InputError(problem, place=where, remedy=f"the columns are {listed(columns, 40)}")


def checked_columns(rows: list[Row]) -> dict[str, list[Any]]:
    """The table that expectations see: one value per row and column; a slice a row is not in is None."""
    slices = sorted({name for row in rows for name in row.slices})
    columns: dict[str, list[Any]] = {
        "id": [row.id for row in rows],
        "group": [row.group for row in rows],
        "source": [row.source for row in rows],
        "text": [row.last_turn for row in rows],
        "answer": [row.answer for row in rows],
        "label": [row.label for row in rows],
        "turns": [1 if row.messages is None else sum(m["role"] == "user" for m in row.messages) for row in rows],
    }
    return columns | {f"slices.{name}": [row.slices.get(name) for row in rows] for name in slices}
