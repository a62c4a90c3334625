"""`expect_text_to_have_no_control_tokens`, an expectation for Great Expectations, which knows it once this is imported.

Importing this imports Great Expectations. A chat template's own tokens (`<|im_start|>`) in what a user wrote were
copied from a transcript, or want to pass for another's turn. Does not know which tokens a model has.
"""

from typing import Any, ClassVar

import pandas
from great_expectations.compatibility import pydantic
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)


class TextWithoutTokens(ColumnMapMetricProvider):  # type: ignore[misc]
    """Row by row: whether none of the tokens occurs in the text."""

    condition_metric_name = "column_values.without_tokens"
    condition_value_keys = ("tokens",)

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls: Any, column: Any, tokens: list[str], **_: Any) -> Any:  # noqa: N805
        found = pandas.Series(False, index=column.index)
        for token in tokens:
            found |= column.astype(str).str.contains(token, regex=False)
        return ~found


class ExpectTextToHaveNoControlTokens(ColumnMapExpectation):  # type: ignore[misc]
    """None of `tokens` occurs in the text."""

    column: str = "text"
    tokens: list[str]

    map_metric: ClassVar[str] = "column_values.without_tokens"
    success_keys: ClassVar[tuple[str, ...]] = ("tokens", "mostly")

    @pydantic.validator("tokens")  # type: ignore[untyped-decorator]
    def _are_tokens(cls, tokens: list[str]) -> list[str]:  # noqa: N805
        if not tokens or not all(tokens):
            raise ValueError("name at least one token, and none that is empty")
        return tokens
