"""Great Expectations, kept to what it does well: evaluating expectations over a table.

Its context lives in memory and it reports nothing to anyone. Importing Great Expectations takes seconds (it loads all
of scipy.stats, sqlalchemy and altair, whatever is imported of it), so it is imported when a suite is run.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tunegate.data.checks.chat import renderer, template_path
from tunegate.data.checks.suites import Expectation, Suite
from tunegate.errors import InputError
from tunegate.text import did_you_mean

SHOWN_BY_TABLE = 20
"""Values that an expectation of the whole table shows of those it did not expect, or missed."""

# Failing rows come as their numbers, the cheapest that Great Expectations offers: with the names of key columns it
# looks up one value after the other.
_FORMAT = {
    "result_format": "COMPLETE",
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
    "exclude_unexpected_values": True,
    "partial_unexpected_count": SHOWN_BY_TABLE,
}


def make_expectations(suite: Suite, place: str, templates: Path) -> list[Any]:
    """Great Expectations' own objects for the expectations of `suite`, in its order.

    `templates` is the folder of the chat templates that they name. Raises InputError for an unknown type and for
    arguments that make no sense.
    """
    _great_expectations()
    return [_make(e, i, f"{place}: expectations[{i}]", templates) for i, e in enumerate(suite.expectations)]


class Engine:
    """Evaluates expectations over one table after the other."""

    def __init__(self) -> None:
        self._gx = _great_expectations()
        self._context = _quiet_context(self._gx)
        self._batches = _batches(self._context)

    def run(self, expectations: Iterable[Any], frame: Any, place: str) -> dict[int, Any]:
        """The result of each expectation over the `pandas.DataFrame`, by its number in the suite.

        Raises InputError when one cannot be evaluated.
        """
        from great_expectations.validator.v1_validator import Validator

        # What a validation definition does, without its store, which keeps and copies the results of every chunk.
        validator = Validator(
            batch_definition=self._batches, batch_parameters={"dataframe": frame}, result_format=_FORMAT
        )
        suite = self._gx.ExpectationSuite(name="rows", expectations=list(expectations))
        done = validator.validate_expectation_suite(suite).results
        results = {result.expectation_config.meta["index"]: result for result in done}
        for index in sorted(results):
            _check_was_evaluated(results[index], f"{place}: expectations[{index}]")
        return results


def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    # Imported for its effect: Great Expectations then knows these expectations.
    from tunegate.data.checks import custom_expectations  # noqa: F401

    return great_expectations


def _quiet_context(gx: Any) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def _batches(context: Any) -> Any:
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def _make(expectation: Expectation, index: int, place: str, templates: Path) -> Any:
    from great_expectations.expectations import registry

    types = registry.list_registered_expectation_implementations()
    if expectation.type not in types:
        problem = f"unknown expectation {expectation.type!r}{did_you_mean(expectation.type, types)}"
        remedy = "write the type as in Great Expectations' gallery of expectations, or as in docs/checks.md"
        raise InputError(problem, place=f"{place}.type", remedy=remedy)
    kind = registry.get_expectation_impl(expectation.type)
    _check_can_quarantine(kind, expectation, place)
    settings = {"severity": expectation.severity, "description": expectation.description, "meta": {"index": index}}
    try:
        return kind(**_arguments(expectation, place, templates), **settings)
    except (TypeError, ValueError) as error:
        problem = f"{expectation.type}: {_first_fault(error)}"
        remedy = "correct the arguments; Great Expectations' gallery lists them"
        raise InputError(problem, place=f"{place}.kwargs", remedy=remedy) from None


def _arguments(expectation: Expectation, place: str, templates: Path) -> dict[str, Any]:
    name = expectation.kwargs.get("template")
    if expectation.type != "expect_conversation_to_be_well_formed" or name is None:
        return expectation.kwargs
    path = template_path(templates, str(name), f"{place}.kwargs.template")
    renderer(path)
    return expectation.kwargs | {"template": str(path)}


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


def _check_was_evaluated(result: Any, place: str) -> None:
    raised = result.exception_info
    # One exception, or one for each metric that raised.
    faults = [raised] if "raised_exception" in raised else list(raised.values())
    message = next((fault["exception_message"] for fault in faults if fault["raised_exception"]), None)
    if message is not None:
        problem = f"{result.expectation_config.type} cannot be evaluated: {str(message).splitlines()[0]}"
        raise InputError(problem, place=place, remedy="correct its arguments, or drop it")
