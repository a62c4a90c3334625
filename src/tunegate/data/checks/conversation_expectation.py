"""`expect_conversation_to_be_well_formed`, an expectation for Great Expectations, which knows it once this is imported.

Importing this imports Great Expectations. Judges the column `messages`, conversations as JSON; rows without one are
not judged. What well-formed means is in `chat`.
"""

import json
from pathlib import Path
from typing import Any, ClassVar

from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)

from tunegate.data.checks.chat import is_well_formed, renderer


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
