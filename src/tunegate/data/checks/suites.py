"""data/expectations/<suite>.json: what must hold of the rows, as Great Expectations writes it, without ids or times.

The form of a suite and the columns that it names are checked here; types and arguments of expectations in `engine`.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tunegate.data.patterns import pattern_fault
from tunegate.errors import InputError
from tunegate.files import read_json, to_json
from tunegate.params import Closed, parse
from tunegate.text import did_you_mean, listed

Severity = Literal["critical", "warning", "info"]

COLUMN_KEYS = ("column", "column_list", "column_A", "column_B", "column_set")
DEFAULT_COLUMNS = {
    "expect_conversation_to_be_well_formed": "messages",
    "expect_text_to_have_no_control_tokens": "text",
}
"""The column of tunegate's own expectations where a suite names none."""
_PATTERN_KEYS = ("regex", "regex_list")


class Expectation(Closed):
    """One expectation."""

    type: str
    """A type of Great Expectations, or of tunegate, in its snake_case name."""
    kwargs: dict[str, Any]
    """Its arguments."""
    severity: Severity = "critical"
    """critical stops the pipeline, warning moves the failing rows to quarantine, info only reports."""
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Stop when this expectation, of severity warning, would move more than this share of all rows."""
    description: str | None = None
    """Why it must hold; for readers."""

    @field_validator("kwargs")
    @classmethod
    def _judges_rows_by_condition_objects(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        # A condition in words is a program for pandas: it could do more than choose rows.
        condition = kwargs.get("row_condition")
        if condition is not None and not _compares(condition):
            raise ValueError('a row_condition of objects of type "comparison", "nullity", "and", "or"')
        return kwargs

    @model_validator(mode="after")
    def _limits_what_it_moves(self) -> "Expectation":
        if self.max_quarantined_share is not None and self.severity != "warning":
            raise ValueError(f"of severity warning to have a max_quarantined_share (is {self.severity})")
        return self

    @property
    def columns(self) -> list[str]:
        """The columns it judges."""
        values = [self.kwargs[key] for key in COLUMN_KEYS if key in self.kwargs]
        if not values and self.type in DEFAULT_COLUMNS:
            values = [DEFAULT_COLUMNS[self.type]]
        return [str(name) for value in values for name in (value if isinstance(value, list) else [value])]

    @property
    def condition_columns(self) -> list[str]:
        """The columns by which it chooses the rows that it judges."""
        return sorted(set(_condition_columns(self.kwargs.get("row_condition"))))

    @property
    def name(self) -> str:
        """The expectation as a reader recognises it: its type and the columns it judges."""
        return f"{self.type}({', '.join(self.columns)})"


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
        names = sorted(file.stem for file in folder.glob("*.json"))
        remedy = f"set validate.suite to one of {listed(names)}" if names else "write one: docs/checks.md shows how"
        raise InputError(f"no suite {name!r}{did_you_mean(name, names)}", place=str(path), remedy=remedy)
    value = read_json(path)
    _check_numbers(value, path)
    remedy = "keep name and expectations, and for each type, kwargs, severity, max_quarantined_share, description"
    suite = parse(Suite, value, place=str(path), remedy=remedy)
    if suite.name != name:
        remedy = "name a suite like its file"
        raise InputError(f"must be {name!r} (got {suite.name!r})", place=f"{path}: name", remedy=remedy)
    _check_patterns(suite, path)
    return suite


def check_columns(suite: Suite, columns: Collection[str], place: str) -> None:
    """Raise InputError when an expectation looks at a column that the checked table does not have."""
    for index, expectation in enumerate(suite.expectations):
        # These ask whether there is such a column; that there is none is their answer, not a fault of the suite.
        asks = expectation.type == "expect_column_to_exist" or expectation.type.startswith("expect_table_")
        for column in expectation.condition_columns if asks else expectation.columns + expectation.condition_columns:
            if column not in columns:
                problem = f"{expectation.type}: no column {column!r}{did_you_mean(column, columns)}"
                where = f"{place}: expectations[{index}].kwargs"
                raise InputError(problem, place=where, remedy=f"the columns are {listed(columns, 40)}")


def _check_numbers(value: Any, path: Path) -> None:
    try:
        to_json(value)
    except InputError as error:
        remedy = "write a number, or leave the argument out: NaN is equal to nothing, so nothing could pass or fail"
        raise InputError(error.problem, place=f"{path}: {error.place}", remedy=remedy) from None


def _check_patterns(suite: Suite, path: Path) -> None:
    for index, expectation in enumerate(suite.expectations):
        for key in _PATTERN_KEYS:
            given = expectation.kwargs.get(key, [])
            for pattern in given if isinstance(given, list) else [given]:
                fault = pattern_fault(str(pattern))
                if fault:
                    place = f"{path}: expectations[{index}].kwargs.{key}"
                    raise InputError(fault.problem, place=place, remedy=fault.remedy)


def _compares(condition: Any) -> bool:
    if not isinstance(condition, dict) or condition.get("type") not in ("comparison", "nullity", "and", "or"):
        return False
    return all(_compares(inner) for inner in condition.get("conditions", ()))


def _condition_columns(condition: Any) -> Iterator[str]:
    if isinstance(condition, dict):
        if "column" in condition:
            column = condition["column"]
            yield str(column.get("name") if isinstance(column, dict) else column)
        for inner in condition.get("conditions", ()):
            yield from _condition_columns(inner)
