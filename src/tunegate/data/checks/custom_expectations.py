"""tunegate's own expectations for Great Expectations, which knows them once this module is imported.

`expect_text_to_have_no_control_tokens`: a chat template's own tokens (`<|im_start|>`) in what a user wrote were copied
from a transcript, or are meant to pass for another's turn. `expect_conversation_to_be_well_formed`: over the column
`messages`, conversations as JSON; rows without one are left out. What well-formed means is in `chat`. Importing this
imports Great Expectations, which takes seconds.
"""

import json
from pathlib import Path
from typing import Any, ClassVar

import pandas
from great_expectations.compatibility import pydantic
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)

from tunegate.data.checks.chat import is_well_formed, renderer


class TextWithoutTokens(ColumnMapMetricProvider):  # type: ignore[misc]
    """Row by row: whether none of the tokens occurs in the text."""

    condition_metric_name = "column_values.without_tokens"
    condition_value_keys = ("tokens",)

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls: Any, column: Any, tokens: list[str], **_: Any) -> Any:  # noqa: N805
        occurs = pandas.Series(False, index=column.index)
        for token in tokens:
            occurs |= column.astype(str).str.contains(token, regex=False)
        return ~occurs


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


class ConversationWellFormed(ColumnMapMetricProvider):  # type: ignore[misc]
    """Row by row: whether the conversation is well formed."""

    condition_metric_name = "column_values.conversation_well_formed"
    condition_value_keys = ("template",)

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls: Any, column: Any, template: str | None = None, **_: Any) -> Any:  # noqa: N805
        renders = renderer(Path(template)) if template else lambda _: True

        def holds(text: str) -> bool:
            messages = json.loads(text)
            return is_well_formed(messages) and renders(messages)

        return column.map(holds).astype(bool)


class ExpectConversationToBeWellFormed(ColumnMapExpectation):  # type: ignore[misc]
    """Roles alternate after an optional system turn, the assistant ends, no turn is empty, the template renders."""

    column: str = "messages"
    template: str | None = None
    """A path; a suite gives a name in models/templates. Without one, nothing is rendered."""

    map_metric: ClassVar[str] = "column_values.conversation_well_formed"
    success_keys: ClassVar[tuple[str, ...]] = ("template", "mostly")
