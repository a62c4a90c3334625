"""Great Expectations, kept to what it does well: evaluating a suite over the rows.

Reads and writes nothing, but for the data docs, which are a web page on request. Its context lives in memory and it
reports nothing to anyone; ids, times and its own stores stay out of the results, so that equal rows give equal bytes.
Does not decide what follows from a failure: `validation` does. Importing Great Expectations takes seconds (it loads
all of scipy.stats, sqlalchemy and altair, whatever is imported of it), so it is imported when a suite is run.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.data.checks.suites import Expectation, Severity, Suite, check_columns, checked_columns
from tunegate.data.nearest import did_you_mean
from tunegate.data.rows import Row
from tunegate.errors import InputError

SHOWN_KEYS = 20
"""Failing ids that a result lists; the quarantine has all of them."""


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation; `failing` are the ids of all failing rows, in the order of the rows."""

    type: str
    kwargs: dict[str, Any]
    severity: Severity
    success: bool
    observed: Any
    failing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The outcome for result.json, without ids of its own and without times."""
        return {
            "type": self.type,
            "kwargs": self.kwargs,
            "severity": self.severity,
            "success": self.success,
            "observed": self.observed,
            "failed_rows": len(self.failing),
            "failing": list(self.failing[:SHOWN_KEYS]),
        }


def run_suite(suite: Suite, rows: list[Row], place: str) -> list[Outcome]:
    """The outcome of each expectation of `suite`, in its order. `place` names the suite's file in errors.

    Raises InputError when the suite names a column or a type that does not exist, or arguments that make no sense.
    """
    gx = _great_expectations()
    results = _run(gx, gx.get_context(mode="ephemeral"), suite, rows, place)
    order = {row.id: number for number, row in enumerate(rows)}
    by_index = {result.expectation_config.meta["index"]: result.to_json_dict() for result in results}
    return [_outcome(e, by_index[i], order, f"{place}: expectations[{i}]") for i, e in enumerate(suite.expectations)]


def write_docs(suite: Suite, rows: list[Row], place: str, folder: Path) -> Path:
    """Great Expectations' data docs of `suite` over `rows`, in the existing `folder`; returns their first page."""
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    context.add_data_docs_site("docs", site)
    _run(gx, context, suite, rows, place)
    context.build_data_docs(site_names=["docs"])
    return folder / "index.html"


def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def _run(gx: Any, context: Any, suite: Suite, rows: list[Row], place: str) -> Any:
    import pandas

    columns = checked_columns(rows)
    check_columns(suite, list(columns), place)
    expectations = [_expectation(e, i, f"{place}: expectations[{i}]") for i, e in enumerate(suite.expectations)]
    context.variables.progress_bars = {"globally": False}
    data = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    definition = gx.ValidationDefinition(
        name=suite.name,
        data=data.add_batch_definition_whole_dataframe("all"),
        suite=context.suites.add(gx.ExpectationSuite(name=suite.name, expectations=expectations)),
    )
    frame = {"dataframe": pandas.DataFrame(columns)}
    added = context.validation_definitions.add(definition)
    return added.run(batch_parameters=frame, result_format=_FORMAT).results


def _expectation(expectation: Expectation, index: int, place: str) -> Any:
    from great_expectations.expectations import registry

    known = registry.list_registered_expectation_implementations()
    if expectation.type not in known:
        problem = f"unknown expectation {expectation.type!r}{did_you_mean(expectation.type, known)}"
        remedy = "write the type as in Great Expectations' gallery of expectations"
        raise InputError(problem, place=f"{place}.type", remedy=remedy)
    kind = registry.get_expectation_impl(expectation.type)
    _check_can_quarantine(kind, expectation, place)
    try:
        return kind(
            **expectation.kwargs,
            severity=expectation.severity,
            description=expectation.description,
            meta={"index": index},
        )
    except (TypeError, ValueError) as error:
        problem = f"{expectation.type}: {_first_fault(error)}"
        remedy = "correct the arguments; Great Expectations' gallery lists them"
        raise InputError(problem, place=f"{place}.kwargs", remedy=remedy) from None


def _check_can_quarantine(kind: type, expectation: Expectation, place: str) -> None:
    from great_expectations.expectations import expectation as kinds

    by_row = (kinds.ColumnMapExpectation, kinds.ColumnPairMapExpectation, kinds.MulticolumnMapExpectation)
    if expectation.severity == "warning" and not issubclass(kind, by_row):
        problem = f"warning sends rows to quarantine, but {expectation.type} judges the table as a whole"
        raise InputError(problem, place=f"{place}.severity", remedy="write critical or info")


def _first_fault(error: Exception) -> str:
    faults = error.errors() if hasattr(error, "errors") else []
    if not faults:
        return str(error).splitlines()[0]
    name = ".".join(str(step) for step in faults[0]["loc"] if step != "__root__")
    return f"{name}: {faults[0]['msg']}" if name else str(faults[0]["msg"])


def _outcome(expectation: Expectation, result: dict[str, Any], order: dict[str, int], place: str) -> Outcome:
    raised = result["exception_info"]
    # One exception, or one for each metric that raised.
    faults = [raised] if "raised_exception" in raised else list(raised.values())
    message = next((fault["exception_message"] for fault in faults if fault["raised_exception"]), None)
    if message is not None:
        problem = f"{expectation.type} cannot be evaluated: {str(message).splitlines()[0]}"
        raise InputError(problem, place=place, remedy="correct its arguments, or drop it")
    found = result["result"]
    failing = {entry["id"] for entry in found.get("unexpected_index_list") or ()}
    return Outcome(
        type=expectation.type,
        kwargs=expectation.kwargs,
        severity=expectation.severity,
        success=bool(result["success"]),
        observed=found.get("observed_value"),
        failing=tuple(sorted(failing, key=order.__getitem__)),
    )


_FORMAT = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"], "include_unexpected_rows": False}
